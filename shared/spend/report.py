"""What was spent between two days, by day, key, model and deployment: read from totals, never from the log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from shared.errors import StorageFailed
from shared.spend import places
from shared.spend.folded import Day, read_day, read_part
from shared.spend.records import PIECE_BYTES, payload_of
from shared.spend.rollups import read_rollup
from shared.spend.totals import Sums
from shared.storage.tables import Row, Table

DAYS_MAX = 400
ROWS_MAX = 200_000
"""Of a report; what is folded takes one row a day, so only today's own totals of many instances come near it."""
TRIES = 3
_READ = ("d0", "token", "parts", "key_id", "model", "deployment", "totals")
"""What is read of rows: a few have more pieces of a payload than one."""


async def totals(spend: Table, first: str, last: str) -> Sums:
    """The totals of every day from `first` to `last`. Raises StorageFailed, also when there are too many rows.

    Attempts that are still open are in none. Those of the last ten seconds may not be in yet.
    """
    sums = Sums(None)
    days = places.days_between(first, last)[-DAYS_MAX:]
    months = sorted({places.month_of(day) for day in days})
    for month in months:
        ours = [day for day in days if places.month_of(day) == month]
        sums.take(await _month(spend, month, ours[0], ours[-1]))
    return sums


async def _month(spend: Table, month: str, first: str, last: str) -> Sums:
    for _ in range(TRIES):
        found = await _read(spend, month, first, last)
        if found is not None:
            return found
        await asyncio.sleep(0.1)
    raise StorageFailed("The totals are being folded all the time; try again.", retry_after_ms=1000)


async def _read(spend: Table, month: str, first: str, last: str) -> Sums | None:
    """The totals of some days of a month; None when a day was folded while it was read.

    What is read is summed in a thread: a busy month's rows would keep the event loop for a while.
    """
    reading = _Reading()
    after, count = f"{int(first) - 1}~", 0
    while True:
        rows = await spend.rows(month, 1000, after=after, before=f"{int(last) + 1}", only=_READ)
        for at, row in enumerate(rows):
            if len(payload_of(row)) >= PIECE_BYTES:  # there is more of it than its first piece
                rows[at] = await spend.get(month, row.key) or row
        await asyncio.to_thread(reading.add, rows)
        count += len(rows)
        if len(rows) < 1000:
            return reading.sums if reading.missing == 0 else None
        if count >= ROWS_MAX:
            raise StorageFailed("Too much was used for one report; ask for fewer days.", should_retry=False)
        after = rows[-1].key


class _Reading:
    """The rows of a month, in their order. `missing`: rows of days' totals that are still to come."""

    def __init__(self) -> None:
        self.sums = Sums(None)
        self.missing = 0
        self._day: Day | None = None

    def add(self, rows: Sequence[Row]) -> None:
        """Adds what these rows say."""
        for row in rows:
            if len(row.key) == 8:
                self._day = read_day(row)
                self.missing += self._day.parts
                self.sums.take(self._day.sums)
            elif "!" in row.key[:9]:
                if self._day is not None and row.key.startswith(f"{self._day.day}!{self._day.token}!"):
                    self.missing -= 1
                    self.sums.read(read_part(row))
            else:
                self._add_running(row)

    def _add_running(self, row: Row) -> None:
        """Adds an instance's running totals, unless they are in those of the day."""
        group, instance, totals = read_rollup(row)
        if self._day is None or self._day.day != group.day or instance not in self._day.covers:
            self.sums.take_one(group, totals)
