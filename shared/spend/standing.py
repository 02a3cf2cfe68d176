"""What the sweep has to look at: heartbeats, notes of silence, and marks, read at once where they are few."""

from __future__ import annotations

from dataclasses import dataclass

from shared.spend import places
from shared.spend.heartbeat import HEARTBEATS_MAX, Beat, all_rows, beat_of
from shared.storage.tables import Row, Table

MARKS_MAX = 10_000
PAGE_ROWS = 1000
_PARTITIONS = {
    places.FOLD: MARKS_MAX,
    places.GONE: HEARTBEATS_MAX,
    places.HEARTBEATS: HEARTBEATS_MAX,
    places.SILENT: HEARTBEATS_MAX,
    places.TIDY: MARKS_MAX,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """The rows of `spillwayledger` that are no records; `marks` and `tidy` perhaps only the first of many."""

    marks: list[Row]
    gone: frozenset[str]
    beats: list[Beat]
    silent: list[Row]
    tidy: list[Row]


async def read_standing(table: Table) -> Standing:
    """One request where there is little; it stands before everything else that a sweep reads. Raises StorageFailed."""
    first, *_, last = sorted(_PARTITIONS)
    rows = await table.scan(first, last + "!", PAGE_ROWS)
    found: dict[str, list[Row]] = {partition: [] for partition in _PARTITIONS}
    if len(rows) < PAGE_ROWS:
        for row in rows:
            if row.partition in found:
                found[row.partition].append(row)
    else:
        for partition, count in _PARTITIONS.items():
            found[partition] = await all_rows(table, partition, count)
    beats = [beat_of(row) for row in found[places.HEARTBEATS]]
    gone = frozenset(row.key for row in found[places.GONE])
    return Standing(found[places.FOLD], gone, beats, found[places.SILENT], found[places.TIDY])
