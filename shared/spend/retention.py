"""What is older than SPILLWAY_LEDGER_DAYS is removed, some of it with every run."""

from __future__ import annotations

from itertools import groupby

from shared.spend import places
from shared.storage.tables import Table

PAGE_ROWS = 50
ROWS_MAX = 5000
"""Removed by one run."""


async def remove_old(table: Table, spend: Table, now: float, days_kept: int) -> int:
    """Removes what counts on days before the last `days_kept`; how many rows. Raises StorageFailed."""
    day = places.day_of(now - days_kept * places.DAY_S)
    month = places.month_of(day)
    removed = 0
    for where, first, end in (
        (table, "0", day),
        (table, places.BATCH, places.BATCH + day),
        (spend, "0", month),
        (spend, places.sources_partition(""), places.sources_partition(day)),
    ):
        removed += await _remove(where, first, end, ROWS_MAX - removed)
    while removed < ROWS_MAX:
        rows = await spend.rows(month, PAGE_ROWS, before=day)
        await spend.remove_all(month, [row.key for row in rows])
        removed += len(rows)
        if len(rows) < PAGE_ROWS:
            break
    return removed


async def _remove(table: Table, first: str, end: str, count: int) -> int:
    """Removes at most about `count` rows of the partitions from `first` on and below `end`."""
    removed = 0
    while removed < count:
        rows = await table.scan(first, end, PAGE_ROWS)
        for partition, some in groupby(rows, key=lambda row: row.partition):
            await table.remove_all(partition, [row.key for row in some])
        removed += len(rows)
        if len(rows) < PAGE_ROWS:
            break
    return removed
