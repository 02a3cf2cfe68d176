"""Who is alive, with what: a row per instance, renewed every half minute while it has days that are not finished.

The row names the days whose partitions the instance has begun, before it begins them; the last segment of each that was
in the table; and the attempts that were open after it. Whoever finds the row standing still knows where to look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from shared.spend import places, records
from shared.spend.entry import Entry, day_and_instance
from shared.storage.tables import Row, Table

BEAT_S = 30.0
SILENT_S = 300.0
"""An instance that has not renewed its row for so long is looked at."""
CONFIRM_S = 60.0
"""It is dead when its row does not change for so long after that: two beats, by the clock of whoever looks."""
LEASE_S = 60.0
"""Nothing is committed on a heartbeat that is older: whoever stood still for long beats again first, as it may have
been taken for dead meanwhile."""
SHOWN_MAX = 5000
"""Open attempts in the row, for lists; a sweep reads the log."""
HEARTBEATS_MAX = 5000


@dataclass(frozen=True, slots=True)
class Beat:
    """A row as it was read. `through` has the last segment of each day; `at` is by the instance's own clock.

    `buried`: the instance is dead and its days are being closed; without days, that is done, and `closed` has them. It
    may come back, and then writes its row anew.
    """

    instance: str
    at: float
    number: int
    through: dict[str, int]
    buried: bool
    closed: tuple[str, ...]
    row: Row

    @property
    def rests(self) -> bool:
        """Whether the instance is dead and its days are closed."""
        return self.buried and not self.through

    @property
    def open(self) -> list[Entry]:
        """The attempts that were open. Raises StorageFailed."""
        return records.entries_of(self.row)


class Heartbeat:
    """The row of this instance. `open` has what is open or not yet committed as closed."""

    def __init__(self, table: Table, instance: str, clock: Callable[[], float]) -> None:
        self._table = table
        self._instance = instance
        self._clock = clock
        self._lock = asyncio.Lock()
        self._number = 0
        self._beaten_at = float("-inf")
        self._through: dict[str, int] = {}
        self._written: frozenset[str] = frozenset()
        self._closing: set[str] = set()
        self.open: dict[str, Entry] = {}

    @property
    def days(self) -> list[str]:
        """The days that are not finished."""
        return sorted(self._through)

    @property
    def number(self) -> int:
        """How often the row was written."""
        return self._number

    @property
    def under_way(self) -> int:
        """Attempts that nobody has closed."""
        return len(self.open) - len(self._closing)

    def opened(self, entry: Entry) -> None:
        self.open[entry.entry_id] = entry

    def is_open(self, entry_id: str) -> bool:
        """Whether nobody has closed it."""
        return entry_id in self.open and entry_id not in self._closing

    def closing(self, entry_id: str) -> None:
        """It was closed, which is still to be committed."""
        self._closing.add(entry_id)

    def closed(self, entry_ids: Iterable[str]) -> None:
        """They are closed in the table."""
        for entry_id in entry_ids:
            self.open.pop(entry_id, None)
            self._closing.discard(entry_id)

    def committed(self, day: str, sequence: int) -> None:
        """A segment is in the table."""
        self._through[day] = max(self._through.get(day, 0), sequence)

    def has_open(self, day: str) -> bool:
        return any(day_and_instance(entry_id)[0] == day for entry_id in self.open)

    def open_before(self, at: float) -> list[Entry]:
        """The attempts that have been open since before `at`."""
        return [entry for entry in self.open.values() if entry.started_at < at]

    async def announce(self, day: str) -> None:
        """Sees to it that the row names a day and is not older than LEASE_S. Raises StorageFailed."""
        stale = self._clock() - self._beaten_at >= LEASE_S
        if stale or day not in self._written or day not in self._through:
            self._through.setdefault(day, 0)
            await self.beat()

    async def beat(self) -> None:
        """Renews the row; without days there is none. Raises StorageFailed."""
        async with self._lock:  # the later of two writes must be the one that knows more
            days = frozenset(self._through)
            at = self._clock()
            if days:
                self._number += 1
                await self._table.put(self._row())
            elif self._written:
                await self._table.remove(places.HEARTBEATS, self._instance)
            self._written, self._beaten_at = days, at

    def finish(self, day: str) -> None:
        """Nothing of that day will be written any more."""
        self._through.pop(day, None)

    def _row(self) -> Row:
        shown = list(self.open.values())[:SHOWN_MAX]
        payloads = records.encoded(shown)
        return Row(
            places.HEARTBEATS,
            self._instance,
            {
                "at": self._clock(),
                "number": self._number,
                "days": ",".join(f"{day}:{sequence}" for day, sequence in sorted(self._through.items())),
                **(records.properties(payloads[0]) if payloads else {}),
            },
        )


async def beats(table: Table) -> list[Beat]:
    """Every row, at most HEARTBEATS_MAX. Raises StorageFailed."""
    return [beat_of(row) for row in await all_rows(table, places.HEARTBEATS, HEARTBEATS_MAX)]


async def all_rows(table: Table, partition: str, count: int, page: int = 1000) -> list[Row]:
    """The rows of a partition, at most `count`, page by page. Raises StorageFailed."""
    found: list[Row] = []
    while len(found) < count:
        rows = await table.rows(partition, page, after=found[-1].key if found else "")
        found += rows
        if len(rows) < page:
            break
    return found[:count]


def beat_of(row: Row) -> Beat:
    """A row as it was read."""
    named = str(row.properties.get("days", ""))
    through = {day: int(sequence) for day, _, sequence in (one.partition(":") for one in named.split(",") if one)}
    at, number = float(row.properties["at"]), int(row.properties["number"])
    closed = tuple(day for day in str(row.properties.get("closed", "")).split(",") if day)
    return Beat(row.key, at, number, through, bool(row.properties.get("buried")), closed, row)


async def bury(table: Table, beat: Beat, *, done: bool) -> Beat | None:
    """Marks a heartbeat as that of a dead instance; `done` when nothing of it is left to be closed.

    None when the instance has come back, or somebody else was faster. Raises StorageFailed.
    """
    days = {"days": "", "closed": ",".join(sorted({*beat.through, *beat.closed}))} if done else {}
    row = Row(beat.row.partition, beat.row.key, {**beat.row.properties, **days, "buried": True})
    etag = await table.swap(row, beat.row.etag)
    return None if etag is None else beat_of(replace(row, etag=etag))
