"""The virtual keys of one instance: the table's, and what is known of them here."""

from __future__ import annotations

import os
from collections.abc import Callable

from shared.callers.key_store import KeyStore
from shared.callers.known_keys import KnownKeys
from shared.callers.virtual_key import VirtualKey
from shared.storage.tables import Table
from shared.supervisor import Supervisor


class Keys:
    """Belongs to the running event loop. `clock` gives seconds since 1970, `now` goes forward."""

    def __init__(
        self,
        table: Table,
        supervisor: Supervisor,
        clock: Callable[[], float],
        now: Callable[[], float],
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.clock = clock
        self.store = KeyStore(table, clock, random_bytes)
        self.known = KnownKeys(self._find, supervisor, now)

    async def spent(self, key: VirtualKey) -> int:
        """What was spent by the key in its budget's period, in picodollars. Raises StorageFailed."""
        return key.spent

    async def close(self) -> None:
        """Lets the storage account go."""
        await self.store.close()

    async def _find(self, hash: str, known: VirtualKey | None) -> VirtualKey | None:
        """A hash leads to the same id for good, so it is looked up once."""
        return await self.store.find(hash) if known is None else await self.store.check(known.key_id, hash)
