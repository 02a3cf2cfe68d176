"""Small segments of a partition that is complete are put together, so that reading it takes few rows.

A packed segment takes the place of the first one that is in it, in one write, and names the last: whoever reads passes
over those between. They are removed afterwards, by this run or another. A row is replaced only as it was read, so two
sweeps on one partition cannot undo each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.spend import records
from shared.spend.entry import Entry, greater
from shared.spend.tally import LAST, PAGE_ROWS
from shared.storage.tables import Row, Table

PACKED_BYTES_MAX = 256 * 1024
RUN_ROWS_MAX = 2000


async def pack(table: Table, partition: str, through: str) -> bool:
    """Packs a partition through one of its segments; False when another sweep is at it. Raises StorageFailed.

    What was written later stays as it is: its instance came back, and its heartbeat tells where to read on.
    """
    after, last = "", ""
    run: list[Row] = []
    size = 0
    while True:
        rows = await table.rows(partition, PAGE_ROWS, after=after, before=through + "!")
        leavings: list[str] = []
        for row in rows:
            if row.key <= last:
                leavings.append(row.key)
                continue
            last = _end(row)
            more = len(records.payload_of(row))
            if run and (size + more > PACKED_BYTES_MAX or len(run) == RUN_ROWS_MAX):
                if not await _pack(table, run):
                    return False
                run, size = [], 0
            run.append(row)
            size += more
        await table.remove_all(partition, leavings)
        if len(rows) < PAGE_ROWS:
            return await _pack(table, run)
        after = rows[-1].key


def merged(entries: Sequence[Entry]) -> list[Entry]:
    """Records of consecutive segments, with one for an attempt that opened and closed among them."""
    found: dict[str, Entry] = {}
    for entry in entries:
        known = found.get(entry.entry_id)
        found[entry.entry_id] = (
            entry if known is None else replace(greater(known, entry), continued=known.continued and entry.continued)
        )
    return list(found.values())


async def _pack(table: Table, run: Sequence[Row]) -> bool:
    """Makes one row of several; False when the first is no longer as it was."""
    if len(run) < 2:
        return True
    first, end = run[0], _end(run[-1])
    entries = merged([entry for row in run for entry in records.entries_of(row)])
    payloads = records.encoded(entries)
    if len(payloads) > 1:
        return True
    row = Row(first.partition, first.key, {LAST: end, **records.properties(payloads[0])})
    if await table.swap(row, first.etag) is None:
        return False
    await table.remove_all(first.partition, [row.key for row in run[1:]])
    return True


def _end(row: Row) -> str:
    """The last segment that is in this one."""
    return str(row.properties.get(LAST, row.key))
