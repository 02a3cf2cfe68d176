"""Small segments of a partition that is complete are put together, so that reading it takes few rows.

A packed segment takes the place of the first one that is in it, in one write, and names the last: whoever reads passes
over those between. They are removed a minute later: whoever has read the first one as it was before finds the others
still there.

Several sweeps may be at one partition, each held up anywhere. A row is replaced only as it was read, a packed one never
again, and which segments come together depends on these alone: so all come to the same packed segments, and none covers
the beginning of another, whose end would be lost with it. Who cannot replace a row stops: it has seen what is past.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.spend import records
from shared.spend.entry import Entry, greater
from shared.spend.tally import LAST, PAGE_ROWS
from shared.storage.tables import Row, Table

RUN_BYTES_MAX = 256 * 1024
RUN_ROWS_MAX = 2000
"""Of the segments that become one."""
REMOVE_AFTER_S = 60.0
"""No reader takes so long between two pages."""
_PACKED_AT = "packed_at"


async def pack(table: Table, partition: str, through: str, now: float) -> bool:
    """Packs a partition through one of its segments; False when it is to be called again a minute later: rows are still
    to be removed, or another sweep is at it. Raises StorageFailed.

    What was written later stays as it is: its instance came back, and its heartbeat tells where to read on.
    """
    after, last, packed_at = "", "", 0.0
    run: list[Row] = []
    size = 0
    done = True
    while True:
        rows = await table.rows(partition, PAGE_ROWS, after=after, before=through + "!")
        leavings: list[str] = []
        for row in rows:
            if row.key <= last:
                if now - packed_at >= REMOVE_AFTER_S:
                    leavings.append(row.key)
                else:
                    done = False
                continue
            last, packed_at = _end(row), float(row.properties.get(_PACKED_AT, 0.0))
            is_packed = LAST in row.properties
            more = len(records.payload_of(row))
            if is_packed or size + more > RUN_BYTES_MAX or len(run) == RUN_ROWS_MAX:
                if len(run) > 1:
                    done = False
                    if not await _pack(table, run, now):
                        return False
                run, size = [], 0
            if not is_packed:
                run.append(row)
                size += more
        await table.remove_all(partition, leavings)
        if len(rows) < PAGE_ROWS:
            break
        after = rows[-1].key
    if len(run) > 1:
        await _pack(table, run, now)
        return False
    return done


def merged(entries: Sequence[Entry]) -> list[Entry]:
    """Records of consecutive segments, with one for an attempt that opened and closed among them."""
    found: dict[str, Entry] = {}
    for entry in entries:
        known = found.get(entry.entry_id)
        found[entry.entry_id] = (
            entry if known is None else replace(greater(known, entry), continued=known.continued and entry.continued)
        )
    return list(found.values())


async def _pack(table: Table, run: Sequence[Row], now: float) -> bool:
    """Makes one row of several; False when the first is no longer as it was."""
    first, end = run[0], run[-1].key
    entries = merged([entry for row in run for entry in records.entries_of(row)])
    [payload] = records.encoded(entries)
    packed = {LAST: end, _PACKED_AT: now, **records.properties(payload)}
    return await table.swap(Row(first.partition, first.key, packed), first.etag) is not None


def _end(row: Row) -> str:
    """The last segment that is in this one."""
    return str(row.properties.get(LAST, row.key))
