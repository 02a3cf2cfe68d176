"""What an instance does for its own log beside writing it: it beats, keeps running totals, and finishes days."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from shared.errors import StorageFailed
from shared.spend import places, records
from shared.spend.entry import Entry, day_and_instance, fold, given_up
from shared.spend.heartbeat import BEAT_S, Heartbeat
from shared.spend.outside import mark, outside_rows
from shared.spend.rollups import WRITE_S, Rollups
from shared.spend.segments import Segment
from shared.spend.totals import Sums
from shared.storage.tables import Table
from shared.supervisor import Supervisor

FINISH_AFTER_S = 600.0
"""A day that is over for so long and has nothing open gets no more records: a call's id is older than its record."""
ADOPT_AFTER_S = 120.0
"""An attempt that has been open for so long may have been settled by somebody else: a response in the background."""
GIVE_UP_S = 50 * 3600.0
"""An attempt that nobody has settled after so long is unknown: no answer takes as long, and its day must end."""
FORGET_S = 86_400.0
"""A day that is over for so long: no running totals of it are kept."""


class Housekeeping:
    """One instance's heartbeat and running totals. `has_waiting(day)`: records of it are not in the table yet; `settle`
    closes an attempt, `wake` has the log written if nobody does."""

    def __init__(self, table: Table, spend: Table, instance: str, clock: Callable[[], float]) -> None:
        self._table = table
        self._instance = instance
        self._clock = clock
        self.heartbeat = Heartbeat(table, instance, clock)
        self.rollups = Rollups(spend, instance)
        self.has_waiting: Callable[[str], bool] = lambda day: False
        self.settle: Callable[[Entry], None] = lambda entry: None
        self.wake: Callable[[], None] = lambda: None
        self._to_start: list[tuple[Callable[[], Coroutine[Any, Any, None]], str, float]] = [
            (self.beat_round, "ledger heartbeat", BEAT_S),
            (self.total_round, "ledger totals", WRITE_S),
        ]

    def keep(self, supervisor: Supervisor) -> None:
        """Runs both rounds for ever; may be called again. Raises Unavailable when there are too many tasks."""
        while self._to_start:
            work, name, pause_s = self._to_start[-1]
            supervisor.keep(work, name, pause_s=pause_s)
            self._to_start.pop()

    def committed(self, segment: Segment) -> None:
        """A segment is in the table."""
        self.rollups.add(segment.sums)
        self.heartbeat.committed(segment.day, segment.sequence)
        self.heartbeat.closed(segment.closed)

    async def beat_round(self) -> None:
        """Renews the heartbeat; what storage does not take is tried again in the next round."""
        try:
            self.wake()
            await self.adopt()
            self.give_up()
            await self.finish()
            await self.heartbeat.beat()
        except StorageFailed:
            return

    async def total_round(self) -> None:
        """Writes totals that have changed; what storage does not take is tried again in the next round."""
        try:
            await self.rollups.write()
        except StorageFailed:
            return

    async def adopt(self) -> None:
        """Closes here what somebody else has settled. Raises StorageFailed.

        What a sweep gave up while this instance stood still is not among it: how it ends is known here alone.
        """
        waiting = self.heartbeat.open_before(self._clock() - ADOPT_AFTER_S)
        for day in sorted({day_and_instance(entry.entry_id)[0] for entry in waiting}):
            rows = await outside_rows(self._table, places.log_partition(day, self._instance))
            settled = fold(entry for row in rows for entry in records.entries_of(row))
            for entry in settled.values():
                if entry.status != "unknown" and self.heartbeat.is_open(entry.entry_id):
                    sums = Sums(None)
                    sums.count(day, [entry])
                    self.rollups.add(sums)
                    self.heartbeat.closed([entry.entry_id])

    def give_up(self) -> None:
        """Closes what will not be settled any more."""
        now = self._clock()
        for entry in self.heartbeat.open_before(now - GIVE_UP_S):
            self.settle(given_up(entry, now))

    async def finish(self) -> None:
        """Gives the days that are over and complete to the sweep. Raises StorageFailed."""
        for day in self.heartbeat.days:
            over = self._clock() > places.day_ends_at(day) + FINISH_AFTER_S
            if over and not (self.heartbeat.has_open(day) or self.has_waiting(day) or self.rollups.unwritten(day)):
                partition = places.log_partition(day, self._instance)
                await mark(self._table, partition, f"done_{self.heartbeat.number}")
                self.heartbeat.finish(day)
        for day in self.rollups.days:
            over = self._clock() > places.day_ends_at(day) + FORGET_S
            if over and not (day in self.heartbeat.days or self.rollups.unwritten(day)):
                self.rollups.forget(day)
