"""Which instances hold shares of keys' limits: one row each, so that a dead one's are found.

The row is written before an instance takes its first share, and is never older than ANNOUNCE_S when it takes or renews
one. Nothing removes it but the sweep, when the instance is gone and holds nothing any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shared.storage.tables import Row, Table

HOLDERS = "holders"
ANNOUNCE_S = 60.0


class Presence:
    """The row of this instance. `clock` gives seconds since 1970, `now` goes forward."""

    def __init__(self, table: Table, instance: str, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self._table = table
        self._instance = instance
        self._clock = clock
        self._now = now
        self._lock = asyncio.Lock()
        self._written_at = float("-inf")

    async def announce(self) -> None:
        """Sees to it that the row is there and not old. Raises StorageFailed."""
        async with self._lock:
            began = self._now()
            if began - self._written_at >= ANNOUNCE_S:
                await self._table.put(Row(HOLDERS, self._instance, {"at": self._clock()}))
                self._written_at = began
