"""The ledger as a list: closed attempts in the order in which they were written, open ones behind them, page by page.

The newest day comes first; within a day one instance's log after another. What is read for a page is bounded: a page
may be short, or empty, and still have more after it. A list goes on from where its last item stands, which is in its
id; a partition that was packed meanwhile, so that the place is gone, is listed again from its start.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from shared.ids import parse_call_id
from shared.spend import places, records
from shared.spend.entry import Entry, Status, day_and_instance, fold
from shared.spend.heartbeat import Beat, beats
from shared.spend.outside import outside_rows
from shared.spend.tally import LAST, entered, shown, shown_outside
from shared.storage.tables import Row, Table

LIMIT_MAX = 1000
PAGE_ROWS = 100
READS_MAX = 40
"""Requests to storage for one page of the list, each of at most PAGE_ROWS rows."""
TAIL_ROWS_MAX = 4000
"""Segments since a heartbeat that are read to see what is still open: it beats twice a minute."""
OPEN_KEY = "~"
"""The place of open attempts: behind every row of their partition."""
_KEY = re.compile(r"~|[A-Za-z0-9_-]{0,200}")


class Place(NamedTuple):
    """Where an item of the list stands: behind this entry of this row; without an entry, behind the whole row."""

    partition: str
    key: str = ""
    entry_id: str = ""

    def __str__(self) -> str:
        return ".".join(self)

    @classmethod
    def read(cls, text: str) -> Place | None:
        """A place as it is written, None for another text."""
        parts = text.split(".", 2)
        if len(parts) != 3 or not _KEY.fullmatch(parts[1]):
            return None
        try:
            day = places.partition_day(parts[0])
        except ValueError:
            return None
        return cls(*parts) if places.is_day(day) else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; None is everything. `key` is a key's id or alias; `request_id` may be the id of a request, a
    call or an attempt."""

    key_id: str | None = None
    key: str | None = None
    model: str | None = None
    tag: str | None = None
    status: Status | None = None
    request_id: str | None = None

    def has(self, entry: Entry) -> bool:
        if self.request_id is not None and self.request_id not in (entry.request_id, entry.call_id, entry.entry_id):
            return False
        return (
            self.key_id in (None, entry.key_id)
            and self.key in (None, entry.key_id, entry.key_alias or None)
            and self.model in (None, entry.model)
            and self.status in (None, entry.status)
            and (self.tag is None or self.tag in entry.tags)
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the list. `last` is where the next page begins, also when this one is empty."""

    items: list[tuple[Place, Entry]]
    has_more: bool
    last: Place | None


async def page(table: Table, first: str, last: str, wanted: Wanted, *, after: Place | None, limit: int) -> Page:
    """The entries of these days that are wanted, at most `limit`, behind `after`. Raises StorageFailed."""
    days = _days(first, last, wanted)
    items: list[tuple[Place, Entry]] = []
    try:
        async with aclosing(_Walk(table).entries(days, after)) as found:
            async for place, entry in found:
                if not wanted.has(entry):
                    continue
                if len(items) == limit:
                    return Page(items, True, items[-1][0])
                items.append((place, entry))
    except _Enough as enough:
        return Page(items, True, enough.place)
    return Page(items, False, items[-1][0] if items else None)


def _days(first: str, last: str, wanted: Wanted) -> list[str]:
    """The newest first; a call's id says on which day it is."""
    days = places.days_between(first, last)
    asked = wanted.request_id or ""
    call = parse_call_id(asked) or parse_call_id(asked.rpartition(".")[0])
    return sorted((day for day in days if call is None or day == call[0]), reverse=True)


def _day(partition: str) -> str:
    return partition.removeprefix(places.BATCH).partition("_")[0]


Found = AsyncGenerator[tuple[Place, Entry], None]


class _Enough(Exception):
    """As much was read as one page may read; the list goes on at `place`."""

    def __init__(self, place: Place) -> None:
        self.place = place


class _Walk:
    """Goes through the log from a place on, until it has read enough."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._reads = 0
        self._beats: Mapping[str, Beat] | None = None

    async def entries(self, days: Sequence[str], after: Place | None) -> Found:
        """Everything behind `after` on these days, each with its place. Raises _Enough and StorageFailed."""
        starts = [Place(prefix) for day in days for prefix in (f"{day}_", f"{places.BATCH}{day}_")]
        if after is not None:
            later = [start for start in starts if _order(start) > _order(after)]
            here = [after for start in starts if _order(start) == _order(after)]
            starts = here + later
        for start in starts:
            async for found in self._under(start):
                yield found

    async def _under(self, start: Place) -> Found:
        """The partitions of one day and kind, from a place on."""
        prefix = start.partition[: start.partition.index("_", len(places.BATCH)) + 1]
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        at = start
        if start.key:
            async for found in self._partition(start):
                yield found
            at = Place(start.partition, OPEN_KEY)
        while True:
            self._reading(at)
            rows = await self._table.scan(prefix, end, PAGE_ROWS, after=(at.partition, at.key))
            whole = len(rows) < PAGE_ROWS
            groups = [(partition, list(some)) for partition, some in groupby(rows, key=lambda row: row.partition)]
            for number, (partition, some) in enumerate(groups):
                if whole or number < len(groups) - 1:
                    outside = entered(row for row in some if row.key > places.OUTSIDE)
                    for found in _listed(some, "", outside):
                        yield found
                    async for found in self._open(partition, outside, ""):
                        yield found
                else:
                    async for found in self._partition(Place(partition)):
                        yield found
            if whole:
                return
            at = Place(rows[-1].partition, OPEN_KEY)

    async def _partition(self, start: Place) -> Found:
        """One partition, from a place on."""
        partition, after, last = start.partition, "", ""
        self._reading(start)
        outside = entered(await outside_rows(self._table, partition))
        if start.key != OPEN_KEY:
            row = await self._table.get(partition, start.key) if start.key else None
            if row is not None:
                after, last = row.key, _end(row)
                for found in _behind(_listed([row], "", outside), start):
                    yield found
            while True:
                self._reading(Place(partition, after))
                rows = await self._table.rows(partition, PAGE_ROWS, after=after)
                for found in _listed(rows, last, outside):
                    yield found
                if len(rows) < PAGE_ROWS:
                    break
                after = rows[-1].key
                last = _covered(rows, last)
        async for found in self._open(partition, outside, start.entry_id if start.key == OPEN_KEY else ""):
            yield found

    async def _open(self, partition: str, outside: Mapping[str, Entry], after: str) -> Found:
        """The attempts of a partition that are still open: those of its heartbeat, and what was written since."""
        if self._beats is None:
            self._beats = {beat.instance: beat for beat in await beats(self._table)}
        beat = self._beats.get(places.partition_instance(partition))
        day = places.partition_day(partition)
        if beat is None or day not in beat.through:
            return
        self._reading(Place(partition, OPEN_KEY, after))
        since = places.segment_key(beat.through[day])
        tail = await self._table.rows(partition, TAIL_ROWS_MAX, after=since, before=places.OUTSIDE)
        known = [entry for entry in beat.open if day_and_instance(entry.entry_id)[0] == day]
        folded = fold([*known, *(entry for row in tail for entry in records.entries_of(row))])
        for entry_id, entry in sorted(folded.items()):
            if entry.is_open and entry_id not in outside and entry_id > after:
                yield Place(partition, OPEN_KEY, entry_id), entry

    def _reading(self, place: Place) -> None:
        """Another request to storage, which is to go on from `place`. Raises _Enough."""
        self._reads += 1
        if self._reads > READS_MAX:
            raise _Enough(place)


def _order(place: Place) -> tuple[int, bool]:
    """Days backwards, and on each of them the batches behind the instances."""
    return -int(_day(place.partition)), place.partition.startswith(places.BATCH)


def _listed(rows: Iterable[Row], last: str, outside: Mapping[str, Entry]) -> Iterator[tuple[Place, Entry]]:
    """What a list shows of rows of one partition, of which those up to `last` are in a packed one before them."""
    for row in rows:
        if row.key > places.OUTSIDE:
            found: Iterable[Entry] = shown_outside(row, outside)
        elif row.key > last:
            last = _end(row)
            found = shown(records.entries_of(row), outside)
        else:
            continue
        for entry in found:
            yield Place(row.partition, row.key, entry.entry_id), entry


def _covered(rows: Iterable[Row], last: str) -> str:
    """The last segment that `_listed` has shown of these rows; what is passed over says nothing."""
    for row in rows:
        if last < row.key < places.OUTSIDE:
            last = _end(row)
    return last


def _behind(found: Iterable[tuple[Place, Entry]], start: Place) -> list[tuple[Place, Entry]]:
    """What is behind a place in its row; all of it when the entry is no longer there."""
    items = list(found)
    if not start.entry_id:
        return []
    at = next((number for number, (place, _) in enumerate(items) if place.entry_id == start.entry_id), -1)
    return items[at + 1 :]


def _end(row: Row) -> str:
    """The last segment that is in this one."""
    return str(row.properties.get(LAST, row.key))
