"""What an instance that is gone has spent by key, read from its log: when its open attempts have been given up."""

from __future__ import annotations

from collections.abc import Mapping

from shared.spend import places, records
from shared.spend.entry import Entry, greater
from shared.spend.outside import outside_rows
from shared.spend.tally import entered, segments
from shared.storage.tables import Table

AHEAD_DAYS = 1
"""A log goes on under the day on which a call began, and an instance's clock may be ahead of ours."""


async def spent_since(table: Table, instance: str, since: Mapping[str, float], now: float) -> dict[str, int]:
    """Picodollars that each key has spent there by attempts that began at its time in `since`, or later. What is still
    open counts with its estimate. Raises StorageFailed."""
    found = dict.fromkeys(since, 0)
    if not since:
        return found
    last = places.day_of(now + AHEAD_DAYS * places.DAY_S)
    for day in places.days_between(places.day_of(min(since.values())), last):
        partition = places.log_partition(day, instance)
        for entry in await _counting(table, partition, since):
            found[entry.key_id] += (entry.reserved if entry.is_open else entry.cost) or 0
    return found


async def _counting(table: Table, partition: str, since: Mapping[str, float]) -> list[Entry]:
    """The attempts that count, each once; those that are closed are kept as their sum would be."""

    def counts(entry: Entry) -> bool:
        return entry.key_id in since and entry.started_at >= since[entry.key_id]

    outside = {one.entry_id: one for one in entered(await outside_rows(table, partition)).values() if counts(one)}
    pending: dict[str, Entry] = {}
    closed: list[Entry] = []
    async for row in segments(table, partition):
        for entry in records.entries_of(row):
            if not counts(entry):
                continue
            if entry.entry_id in outside:
                outside[entry.entry_id] = greater(outside[entry.entry_id], entry)
            elif entry.is_open:
                pending[entry.entry_id] = entry
            else:
                pending.pop(entry.entry_id, None)
                closed.append(entry)
    return [*closed, *outside.values(), *pending.values()]
