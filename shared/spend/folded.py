"""Totals of complete partitions, and of a day all in one.

A partition's totals are made of its log alone and replaced whole. A day's are made of its partitions' and name what
they cover: whoever reads them passes over the running totals of those instances. Both are written only where nothing
has changed since before their sources were read, so a sweep that was held up never puts back what it saw long ago.
Killed anywhere, the next sweep does it again and comes to the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shared.errors import StorageFailed
from shared.spend import places, records
from shared.spend.heartbeat import all_rows
from shared.spend.tally import Tally, tally
from shared.spend.totals import GROUPS_MAX, Sums
from shared.storage.tables import Row, Table

TRIES = 5
SOURCES_MAX = 100_000
_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Day:
    """A day's totals as far as they are folded. `covers` names instances and shards; `parts` more rows have the rest of
    the totals, under `token`."""

    day: str
    covers: frozenset[str]
    sums: Sums
    token: str
    parts: int


async def fold_partition(table: Table, spend: Table, partition: str) -> Tally:
    """Counts a partition and keeps what it comes to. Raises StorageFailed."""
    where = places.sources_partition(places.partition_day(partition))
    for _ in range(TRIES):
        known = await spend.get(where, partition)
        counted = await tally(table, partition)
        row = Row(where, partition, records.properties(_fitting(counted.sums)))
        if await _replaced(spend, row, known):
            return counted
    raise StorageFailed("Others count the same partition all the time; the next sweep tries again.")


async def is_folded(spend: Table, partition: str, counted: Tally) -> bool:
    """Whether what a partition comes to is kept. Raises StorageFailed."""
    known = await spend.get(places.sources_partition(places.partition_day(partition)), partition)
    if known is None:
        return False
    return records.payload_of(known) == _fitting(counted.sums)


async def fold_day(spend: Table, day: str) -> Day:
    """Folds what the day's partitions come to into one. Raises StorageFailed."""
    month = places.month_of(day)
    for _ in range(TRIES):
        known = await spend.get(month, day)
        sources = await all_rows(spend, places.sources_partition(day), SOURCES_MAX, page=100)
        sums = Sums(None)
        for source in sources:
            sums.read(read_part(source))
        covers = sorted(places.partition_instance(source.key) for source in sources)
        first, *more = records.packed([covers, *sums.written()], level=_LEVEL)
        token = hashlib.sha256(b"".join([first, *more])).hexdigest()[:16]
        for number, payload in enumerate(more):
            await spend.put(Row(month, part_key(day, token, number), records.properties(payload)))
        row = Row(month, day, {"token": token, "parts": len(more), **records.properties(first)})
        if await _replaced(spend, row, known):
            return Day(day, frozenset(covers), sums, token, len(more))
    raise StorageFailed("Others fold the same day all the time; the next sweep tries again.")


def read_day(row: Row) -> Day:
    """A day's first row; its `parts` are still to be read. Raises StorageFailed."""
    covers, *written = records.unpacked(records.payload_of(row))
    sums = Sums(None)
    sums.read(written)
    return Day(row.key, frozenset(covers), sums, str(row.properties["token"]), int(row.properties["parts"]))


def read_part(row: Row) -> list[Any]:
    """The totals in a partition's row, or in one of a day's other rows. Raises StorageFailed."""
    payload = records.payload_of(row)
    return records.unpacked(payload) if payload else []


def part_key(day: str, token: str, number: int) -> str:
    return f"{day}!{token}!{number:04d}"


async def covered(spend: Table, days: Iterable[str]) -> dict[str, frozenset[str]]:
    """The instances and shards that each of these days' totals cover. Raises StorageFailed."""
    rows = {day: await spend.get(places.month_of(day), day) for day in sorted(set(days))}
    return {day: read_day(row).covers if row is not None else frozenset() for day, row in rows.items()}


async def _replaced(spend: Table, row: Row, known: Row | None) -> bool:
    """Writes a row where nothing has changed since `known` was read; False when something has, perhaps by this call."""
    if known is None:
        return await spend.insert(row) is not None
    if all(known.properties.get(name) == value for name, value in row.properties.items()):
        return True
    return await spend.swap(row, known.etag) is not None


def _fitting(sums: Sums) -> bytes:
    """A partition's totals in one row; with very many groups the last of them are counted together."""
    groups_max = GROUPS_MAX
    while len(payloads := records.packed(sums.written(), level=_LEVEL)) > 1:
        groups_max //= 2
        less = Sums(groups_max)
        less.read(sums.written())
        sums = less
    return payloads[0] if payloads else b""
