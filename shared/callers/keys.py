"""The virtual keys of one instance: the table's, what is known of them here, and what their holders may still do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from decimal import Decimal

from shared.callers.desk import desk
from shared.callers.key_changes import KeyChanges
from shared.callers.key_store import KeyStore
from shared.callers.known_keys import KnownKeys
from shared.callers.purses import Purses
from shared.callers.tasks import Tasks
from shared.callers.virtual_key import VirtualKey
from shared.config import Config
from shared.config.pricing import picodollars
from shared.storage.tables import Table
from shared.supervisor import Supervisor


class Keys:
    """Belongs to the running event loop. `clock` gives seconds since 1970, `now` goes forward; `reserve_max` is in
    picodollars."""

    def __init__(
        self,
        table: Table,
        supervisor: Supervisor,
        clock: Callable[[], float],
        now: Callable[[], float],
        *,
        instance: str,
        reserve_max: int,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.clock = clock
        self.table = table
        self.purses = Purses(desk(table, instance, supervisor, clock, now), reserve_max)
        self.store = KeyStore(table, clock, random_bytes)
        self.tasks = Tasks(table, self.store, clock)
        self.changes = KeyChanges(table, supervisor, now)
        self.known = KnownKeys(self._find, supervisor, now, self.changes.settled)

    async def spent(self, key: VirtualKey) -> int:
        """What was spent by the key in its budget's period, in picodollars. Raises StorageFailed."""
        return await self.purses.spent(key)

    async def close(self) -> None:
        """Lets the storage account go."""
        await self.store.close()

    async def _find(self, hash: str, known: VirtualKey | None) -> VirtualKey | None:
        """A hash leads to the same id for good, so it is looked up once."""
        return await self.store.find(hash) if known is None else await self.store.check(known.key_id, hash)


def keys_of(
    table: Table | None,
    config: Config,
    supervisor: Supervisor,
    clock: Callable[[], float],
    instance: str,
    random_bytes: Callable[[int], bytes],
) -> Keys | None:
    """The virtual keys in a table; without one there are none."""
    if table is None:
        return None
    reserve_max = picodollars(Decimal(str(config.general_settings.budget_reserve_usd_max)))
    return Keys(
        table,
        supervisor,
        clock,
        time.monotonic,
        instance=instance,
        reserve_max=reserve_max,
        random_bytes=random_bytes,
    )
