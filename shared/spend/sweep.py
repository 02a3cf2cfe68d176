"""The timer's work on the ledger: what no instance does for itself, and everything again that was cut in its middle.

1. Dead instances: their heartbeat is marked, unless they have come back; their open attempts are entered as unknown,
   their partitions are marked to be counted. A day later they are looked at once more, and forgotten.
2. Marked partitions are counted, their days folded; then the marks that were there before go. Whose instance came back
   after it was counted is counted by every sweep.
3. A minute later, when no reader can still be between the two, the running totals that a day covers are removed and the
   partition is packed; another minute later what stands in the packed rows is removed.
4. Once an hour what is older than the retention is removed.

Each step is written before the one that relies on it, and each may be done twice, at once, late or not to its end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.spend import places
from shared.spend.entry import given_up
from shared.spend.folded import covered, fold_day, fold_partition, is_folded
from shared.spend.heartbeat import Beat, bury
from shared.spend.outside import ALONE, CLOSED, insert_named, late_key, mark
from shared.spend.packing import pack
from shared.spend.retention import remove_old
from shared.spend.silence import dead, forget
from shared.spend.standing import read_standing
from shared.spend.tally import tally
from shared.storage.tables import Row, Table

log = logging.getLogger("spillway")

SWEEP_S = 15.0
"""One run; it stops between two partitions, and the next run goes on."""
TIDY_AFTER_S = 60.0
FORGET_AFTER_S = 86_400.0
RETENTION_MINUTE = 7
"""Of every hour: no run has to remember when the last one removed what is old."""


@dataclass(slots=True)
class Swept:
    """What one run did."""

    dead: int = 0
    given_up: int = 0
    partitions: int = 0
    days: int = 0
    tidied: int = 0
    removed: int = 0


class Sweep:
    """One run of the timer. `clock` gives seconds since 1970, `monotonic` bounds the run.

    Where there is nothing to do it takes one request.
    """

    def __init__(
        self,
        table: Table,
        spend: Table,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        *,
        days_kept: int,
    ) -> None:
        self._table = table
        self._spend = spend
        self._clock = clock
        self._monotonic = monotonic
        self._days_kept = days_kept
        self.done = Swept()

    async def run(self) -> Swept:
        """Does what there is to do, for SWEEP_S seconds at most. Raises StorageFailed: the next run goes on."""
        until = self._monotonic() + SWEEP_S
        standing = await read_standing(self._table)
        living, marks = list(standing.beats), list(standing.marks)
        for beat in await dead(self._table, living, standing.silent, self._clock()):
            if beat.rests and self._clock() - beat.at <= FORGET_AFTER_S:
                continue
            if self._monotonic() > until:
                return self.done
            buried = beat if beat.buried else await bury(self._table, beat, done=False)
            if buried is not None:
                living.remove(beat)
                marks += await self._close(buried)
        counted = await self._count(living, standing.gone, marks, until)
        for instance in standing.gone - {beat.instance for beat in standing.beats}:
            await self._table.remove(places.GONE, instance)
        for row in standing.tidy:
            if self._monotonic() > until:
                return self.done
            if row.key not in counted and self._clock() - float(row.properties["at"]) >= TIDY_AFTER_S:
                await self._tidy(row.key, str(row.properties["through"]))
        if int(self._clock() // 60) % 60 == RETENTION_MINUTE:
            self.done.removed = await remove_old(self._table, self._spend, self._clock(), self._days_kept)
        if any((self.done.dead, self.done.partitions, self.done.tidied, self.done.removed)):
            log.info("the ledger was swept: %s", self.done)
        return self.done

    async def _close(self, beat: Beat) -> list[Row]:
        """Gives up what a dead instance has left open; the marks of its partitions.

        Its heartbeat is kept for a day, in case it comes back. What it was just writing when it was given up, and what
        it wrote before it died all the same, is found then.
        """
        again = beat.rests
        days = {*(beat.closed if again else beat.through), *_about(beat.at)}
        marks = [row for day in sorted(days) if (row := await self._close_day(beat, day, again=again)) is not None]
        if again:
            await self._table.remove(places.HEARTBEATS, beat.instance)
            return marks
        await forget(self._table, beat.instance)
        await self._table.put(Row(places.GONE, beat.instance, {}))
        if await bury(self._table, beat, done=True) is not None:
            self.done.dead += 1
        return marks

    async def _close_day(self, beat: Beat, day: str, *, again: bool) -> Row | None:
        """A mark, where there is anything to be counted that was not counted before."""
        partition = places.log_partition(day, beat.instance)
        counted = await tally(self._table, partition)
        if counted.open:
            left = [given_up(entry, beat.at) for entry in sorted(counted.open, key=lambda one: one.entry_id)]
            await insert_named(self._table, partition, f"{CLOSED}{beat.number:010d}_", left)
            self.done.given_up += len(left)
        if again and not counted.open and await is_folded(self._spend, partition, counted):
            return None
        if counted.last or day in beat.through:
            return await mark(self._table, partition, f"{'again' if again else 'dead'}_{beat.number}")
        return None

    async def _count(
        self, living: Sequence[Beat], gone: frozenset[str], rows: Sequence[Row], until: float
    ) -> dict[str, str]:
        """Counts what is marked and nobody's own any more, and what is covered although its instance came back. The
        partitions, each with its last segment."""
        marks: dict[str, list[str]] = {}
        for row in rows:
            marks.setdefault(row.key.partition("|")[0], []).append(row.key)
        owned = {places.log_partition(day, beat.instance) for beat in living for day in beat.through}
        back = {partition for partition in owned if places.partition_instance(partition) in gone}
        covers = await covered(self._spend, {places.partition_day(partition) for partition in back})
        returned = {one for one in back if places.partition_instance(one) in covers[places.partition_day(one)]}
        counted: dict[str, str] = {}
        for partition in sorted((marks.keys() - owned) | returned):
            if self._monotonic() > until:
                break
            counted[partition] = await self._fold(partition)
        for day in sorted({places.partition_day(partition) for partition in counted}):
            await fold_day(self._spend, day)
            self.done.days += 1
        for partition, through in counted.items():
            if partition not in owned:
                await self._table.put(self._to_tidy(partition, through))
            await self._table.remove_all(places.FOLD, marks.get(partition, []))
        return counted

    async def _fold(self, partition: str) -> str:
        """Counts a partition, and enters beside it what lists would not find otherwise. Its last segment."""
        counted = await fold_partition(self._table, self._spend, partition)
        for entry in counted.outshone:
            await insert_named(self._table, partition, late_key(entry), [entry])
        for entry in counted.alone:
            await insert_named(self._table, partition, ALONE + late_key(entry), [entry])
        await self._table.remove_all(partition, counted.rejoined)
        self.done.partitions += 1
        return counted.last

    async def _tidy(self, partition: str, through: str) -> None:
        """Removes the running totals that are covered, and packs the partition. What was written since it was counted
        has it counted again."""
        day, instance = places.partition_day(partition), places.partition_instance(partition)
        done = True
        if instance in (await covered(self._spend, [day]))[day]:
            await self._remove_running(day, instance)
            done = await pack(self._table, partition, through, self._clock())
        if await self._table.rows(partition, 1, after=through, before=places.OUTSIDE):
            await mark(self._table, partition, f"since_{through}")
        if not done:
            await self._table.put(self._to_tidy(partition, through))
            return
        await self._table.remove(places.TIDY, partition)
        self.done.tidied += 1

    def _to_tidy(self, partition: str, through: str) -> Row:
        return Row(places.TIDY, partition, {"at": self._clock(), "through": through})

    async def _remove_running(self, day: str, instance: str) -> None:
        month, after = places.month_of(day), f"{day}|"
        while True:
            rows = await self._spend.rows(month, 1000, after=after, before=day + "}")
            own = [row.key for row in rows if row.key.endswith(f"|{instance}")]
            await self._spend.remove_all(month, own)
            if len(rows) < 1000:
                return
            after = rows[-1].key


def _about(at: float) -> tuple[str, str]:
    """The day of a heartbeat, and the next: its instance may have been about to name it."""
    return places.day_of(at), places.day_of(at + places.DAY_S)
