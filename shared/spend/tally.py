"""What one partition comes to: its segments in order, with what others have entered beside them.

An attempt is closed once in its instance's segments, so the log is read in one pass that keeps only what is open. What
others have entered is read before, and is little: such an attempt is counted once, when everything was seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass

from shared.spend import places, records
from shared.spend.entry import Entry, fold, greater
from shared.spend.outside import ALONE, outside_rows
from shared.spend.totals import Sums
from shared.storage.tables import Row, Table

PAGE_ROWS = 100
"""Segments read at once; a packed one may have a quarter of a megabyte."""
LAST = "last"
"""The property of a packed segment that names the last one that it has in it."""


@dataclass(frozen=True, slots=True)
class Tally:
    """`open`: attempts that nobody has closed. `outshone`: segments say more of them than what others have entered.
    `alone`: entered by others only; `rejoined` are rows that say so of attempts whose records came after all. `last` is
    the last segment that was read."""

    sums: Sums
    open: list[Entry]
    outshone: list[Entry]
    alone: list[Entry]
    rejoined: list[str]
    last: str


async def tally(table: Table, partition: str) -> Tally:
    """Counts a partition. Raises StorageFailed."""
    day = places.partition_day(partition)
    rows = await outside_rows(table, partition)
    outside = entered(rows)
    seen: dict[str, Entry] = {}
    pending: dict[str, Entry] = {}
    sums = Sums()
    last = ""
    async for row in segments(table, partition):
        last = str(row.properties.get(LAST, row.key))
        counted: list[Entry] = []
        for entry in records.entries_of(row):
            if entry.entry_id in outside:
                known = seen.get(entry.entry_id, entry)
                seen[entry.entry_id] = greater(known, entry)
            elif entry.is_open:
                pending[entry.entry_id] = entry
            else:
                pending.pop(entry.entry_id, None)
                counted.append(entry)
        sums.count(day, counted)
        await asyncio.sleep(0)  # a large partition must not keep the event loop
    best = {entry_id: greater(entry, seen.get(entry_id, entry)) for entry_id, entry in sorted(outside.items())}
    sums.count(day, best.values())
    outshone = [entry for entry_id, entry in best.items() if entry != outside[entry_id]]
    alone = [entry for entry_id, entry in best.items() if entry_id not in seen]
    said_alone = (row for row in rows if row.key.startswith(ALONE))
    rejoined = [row.key for row in said_alone if any(one.entry_id in seen for one in records.entries_of(row))]
    return Tally(sums, list(pending.values()), outshone, alone, rejoined, last)


async def segments(table: Table, partition: str) -> AsyncIterator[Row]:
    """The segments of a partition in order, without those that are in a packed one. Raises StorageFailed."""
    after, last = "", ""
    while True:
        rows = await table.rows(partition, PAGE_ROWS, after=after, before=places.OUTSIDE)
        for row in rows:
            if row.key > last:
                last = str(row.properties.get(LAST, row.key))
                yield row
        if len(rows) < PAGE_ROWS:
            return
        after = max(rows[-1].key, last)


def entered(rows: Iterable[Row]) -> dict[str, Entry]:
    """What others have entered, each attempt once."""
    return fold(entry for row in rows for entry in records.entries_of(row))


def shown(entries: Iterable[Entry], outside: Mapping[str, Entry]) -> Iterator[Entry]:
    """The closed attempts of a segment, each at one place of its log: what others have closed where it was opened."""
    for entry in entries:
        other = outside.get(entry.entry_id)
        if other is None:
            if not entry.is_open:
                yield entry
        elif not entry.continued:
            yield greater(entry, other)


def shown_outside(row: Row, outside: Mapping[str, Entry]) -> list[Entry]:
    """What a list shows of a row that is no segment: the attempts that stand nowhere else, as `outside` has them."""
    if not row.key.startswith(ALONE):
        return []
    return [entry for entry in records.entries_of(row) if outside.get(entry.entry_id) == entry]
