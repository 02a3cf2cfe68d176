"""The timer's work on the limits of keys: what dead instances held goes back, when the ledger says what they spent.

1. An instance whose row in `holders` has not changed for long gets a note; it is gone when the note still stands
   CONFIRM_S later, so that no clock but this sweep's own decides.
2. Nothing is done until the ledger has closed its open attempts as spent: its heartbeat is buried, or was removed in
   good order.
3. In every key's row its lease becomes what the key has spent there, by the lease or by the ledger, whichever is more;
   then its row in `holders` goes.

Each step may be done twice, at once, late or not to its end. With nothing to do it takes one request, and one more
for the notes of changed keys.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from shared.callers import key_changes
from shared.callers.key_store import KeyStore, shares_place
from shared.callers.keys import Keys
from shared.callers.presence import HOLDERS
from shared.callers.shares import BUDGET, Shares, pots_of
from shared.callers.shares_row import read, written
from shared.callers.virtual_key import VirtualKey
from shared.errors import NotFound, StorageFailed
from shared.spend import places
from shared.spend.heartbeat import beat_of
from shared.spend.reckoning import spent_since
from shared.storage.tables import Row, Table

log = logging.getLogger("spillway")

SILENT_S = 300.0
CONFIRM_S = 180.0
HOLDERS_MAX = 1000
PAGE_ROWS = 1000
TRIES = 20
FIRST, END = "shares_", "shares`"


async def run(keys: Keys | None, ledger: Table | None) -> int:
    """One run; nothing without a storage account. Raises StorageFailed."""
    if keys is None or ledger is None:
        return 0
    return await KeySweep(keys.table, ledger, keys.store, keys.clock).run()


async def clean(keys: Keys | None) -> None:
    """Removes old notes of keys that were being changed. Raises StorageFailed."""
    if keys is not None:
        await key_changes.clean(keys.table, keys.clock())


class KeySweep:
    """One run. `keys` is the table of keys, `ledger` that of attempts."""

    def __init__(self, keys: Table, ledger: Table, store: KeyStore, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._ledger = ledger
        self._store = store
        self._clock = clock

    async def run(self) -> int:
        """How many instances were done with. Raises StorageFailed: the next run goes on."""
        gone = [row.key for row in await self._keys.rows(HOLDERS, HOLDERS_MAX) if await self._is_gone(row)]
        if not gone:
            return 0
        await self._release(gone)
        for instance in gone:
            await self._keys.remove(HOLDERS, instance)
        log.info("the shares of %s instances that are gone were given back", len(gone))
        return len(gone)

    async def _is_gone(self, row: Row) -> bool:
        """Whether the instance is, and what it spent is in the ledger; of one that may be, it takes a note."""
        now, noted_at = self._clock(), row.properties.get("noted_at")
        if noted_at is None:
            if now - float(row.properties["at"]) >= SILENT_S:
                await self._keys.swap(replace(row, properties={**row.properties, "noted_at": now}), row.etag)
            return False
        if now - float(noted_at) < CONFIRM_S:
            return False
        heartbeat = await self._ledger.get(places.HEARTBEATS, row.key)
        if heartbeat is None:
            return True
        beat = beat_of(heartbeat)
        return beat.buried and not beat.through

    async def _release(self, gone: list[str]) -> None:
        """Closes the leases of these instances, in every key's row."""
        leases: dict[str, list[str]] = {instance: [] for instance in gone}
        after: tuple[str, str] | None = None
        while True:
            rows = await self._keys.scan(FIRST, END, PAGE_ROWS, after=after)
            for row in rows:
                for instance in read(row).leases.keys() & leases.keys():
                    leases[instance].append(row.key)
            if len(rows) < PAGE_ROWS:
                break
            after = (rows[-1].partition, rows[-1].key)
        for instance, key_ids in leases.items():
            await self._release_one(instance, key_ids)

    async def _release_one(self, instance: str, key_ids: list[str]) -> None:
        keys: dict[str, VirtualKey] = {}
        since: dict[str, float] = {}
        for key_id in key_ids:
            row = await self._keys.get(shares_place(key_id), key_id)
            lease = None if row is None else read(row).leases.get(instance)
            if lease is None:
                continue
            try:
                keys[key_id] = await self._store.get(key_id)
            except NotFound:
                await self._keys.remove(shares_place(key_id), key_id)
                continue
            since[key_id] = max(lease.since, keys[key_id].period(self._clock()).starts_at)
        spent = await spent_since(self._ledger, instance, since, self._clock())
        for key_id, key in keys.items():
            await self._fold(key, instance, spent[key_id])

    async def _fold(self, key: VirtualKey, instance: str, spent: int) -> None:
        for _ in range(TRIES):
            row = await self._keys.get(shares_place(key.key_id), key.key_id)
            shares = Shares() if row is None else read(row)
            if row is None or instance not in shares.leases:
                return
            folded = _folded(shares, key, instance, spent, self._clock())
            if await self._keys.swap(written(key.key_id, folded), row.etag) is not None:
                return
        raise StorageFailed("The row is being written all the time.")


def _folded(shares: Shares, key: VirtualKey, instance: str, spent: int, now: float) -> Shares:
    """The row without the instance's lease, and with what it spent in the budget's period."""
    pots = pots_of(key, now)
    books: Mapping[str, Mapping[int, int]] = shares.leases[instance].spent
    bucket = pots[BUDGET].bucket
    told = books.get(BUDGET, {}).get(bucket, 0)
    return shares.folded(instance, pots, {**books, BUDGET: {bucket: max(told, spent)}})
