"""Totals of days, however many rows they are in."""

from __future__ import annotations

import hashlib

from shared.spend import places, records
from shared.spend.folded import fold_day
from shared.spend.report import totals
from shared.spend.totals import Group, Sums, Totals
from shared.storage.tables import Row
from tests.memory_table import MemoryTable, Rows

DAY = "20260701"


def many(groups: int) -> Sums:
    """Totals of so many models, whose names hold little that could be packed."""
    sums = Sums(None)
    for number in range(groups):
        group = Group(DAY, f"key_{number % 7}", hashlib.sha512(bytes([number % 256, number // 256])).hexdigest(), "dep")
        sums.add_one(group, Totals(calls=1, attempts=1, cost=number, usage={"prompt": number}))
    return sums


async def test_a_day_that_is_in_several_pieces_and_rows_is_read_whole() -> None:
    rows = Rows()
    spend = MemoryTable(rows)
    partitions = [many(4000), Sums(None)]
    for number, sums in enumerate(partitions):
        for piece, payload in enumerate(records.packed(sums.written())):
            key = f"{DAY}_{number}{piece}"
            await spend.put(Row(places.sources_partition(DAY), key, records.properties(payload)))
    day = await fold_day(spend, DAY)
    [first] = [row for row in spend.all if row.key == DAY]
    assert len(records.payload_of(first)) > 2 * records.PIECE_BYTES
    assert await totals(spend, DAY, DAY) == day.sums == partitions[0]
