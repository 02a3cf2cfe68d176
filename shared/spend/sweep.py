"""The timer's work on the ledger: what no instance does for itself, and everything again that was cut in its middle.

1. Dead instances: their heartbeat is marked, unless they have come back; their open attempts are entered as unknown,
   their partitions are marked to be counted.
2. Marked partitions are counted, their days folded; then the marks that were there before go.
3. A minute later, when no reader can still be between the two, the running totals that a day covers are removed and the
   partition is packed.
4. What is older than the retention is removed.

Each step is written before the one that relies on it, and each may be done twice, at once, late or not to its end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.spend import places
from shared.spend.entry import given_up
from shared.spend.folded import covered, fold_day, fold_partition
from shared.spend.heartbeat import Beat, all_rows, beats, bury
from shared.spend.outside import ALONE, CLOSED, insert, late_key, mark
from shared.spend.packing import pack
from shared.spend.retention import remove_old
from shared.spend.silence import dead, forget
from shared.spend.tally import tally
from shared.storage.tables import Row, Table

log = logging.getLogger("spillway")

SWEEP_S = 240.0
"""One run; it stops between two partitions, and the next run goes on."""
TIDY_AFTER_S = 60.0
FORGET_AFTER_S = 86_400.0
MARKS_MAX = 10_000


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
    """One run of the timer. `clock` gives seconds since 1970, `monotonic` bounds the run."""

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
        living = await beats(self._table)
        for beat in await dead(self._table, living, self._clock()):
            if self._monotonic() > until:
                return self.done
            buried = beat if beat.buried else await bury(self._table, beat, done=False)
            if buried is not None:
                await self._close(buried)
                living.remove(beat)
        await self._count(living, until)
        for row in await all_rows(self._table, places.TIDY, MARKS_MAX):
            if self._monotonic() > until:
                return self.done
            if self._clock() - float(row.properties["at"]) >= TIDY_AFTER_S:
                await self._tidy(row.key, str(row.properties["through"]))
        self.done.removed = await remove_old(self._table, self._spend, self._clock(), self._days_kept)
        if any((self.done.dead, self.done.partitions, self.done.tidied, self.done.removed)):
            log.info("the ledger was swept: %s", self.done)
        return self.done

    async def _close(self, beat: Beat) -> None:
        """Gives up what a dead instance has left open. Its heartbeat is kept for a while, in case it comes back.

        Its days are those that it named, and those on which it may have been about to name one.
        """
        if not beat.through:
            if self._clock() - beat.at > FORGET_AFTER_S:
                await self._table.remove(places.HEARTBEATS, beat.instance)
            return
        for day in sorted({*beat.through, places.day_of(beat.at), places.day_of(beat.at + places.DAY_S)}):
            partition = places.log_partition(day, beat.instance)
            open_entries = (await tally(self._table, partition)).open
            if open_entries:
                left = [given_up(entry, beat.at) for entry in sorted(open_entries, key=lambda one: one.entry_id)]
                await insert(self._table, partition, f"{CLOSED}{beat.number:010d}_", left)
                self.done.given_up += len(left)
            if day in beat.through or await self._table.rows(partition, 1):
                await mark(self._table, partition, f"dead_{beat.number}")
        await forget(self._table, beat.instance)
        if await bury(self._table, beat, done=True) is not None:
            self.done.dead += 1

    async def _count(self, living: Sequence[Beat], until: float) -> None:
        """Counts what is marked and nobody's own any more, and what is covered although its instance came back."""
        marks: dict[str, list[str]] = {}
        for row in await all_rows(self._table, places.FOLD, MARKS_MAX):
            marks.setdefault(row.key.partition("|")[0], []).append(row.key)
        owned = {places.log_partition(day, beat.instance) for beat in living for day in beat.through}
        covers = await covered(self._spend, {places.partition_day(partition) for partition in owned})
        returned = {one for one in owned if places.partition_instance(one) in covers[places.partition_day(one)]}
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
                await self._table.put(Row(places.TIDY, partition, {"at": self._clock(), "through": through}))
            await self._table.remove_all(places.FOLD, marks.get(partition, []))

    async def _fold(self, partition: str) -> str:
        """Counts a partition, and enters beside it what lists would not find otherwise. Its last segment."""
        counted = await fold_partition(self._table, self._spend, partition)
        for entry in counted.outshone:
            await insert(self._table, partition, late_key(entry), [entry])
        for entry in counted.alone:
            await insert(self._table, partition, ALONE + late_key(entry), [entry])
        self.done.partitions += 1
        return counted.last

    async def _tidy(self, partition: str, through: str) -> None:
        """Removes the running totals that are covered, and packs the partition."""
        day, instance = places.partition_day(partition), places.partition_instance(partition)
        if instance in (await covered(self._spend, [day]))[day]:
            await self._remove_running(day, instance)
            if not await pack(self._table, partition, through):
                return
        await self._table.remove(places.TIDY, partition)
        self.done.tidied += 1

    async def _remove_running(self, day: str, instance: str) -> None:
        month, after = places.month_of(day), f"{day}|"
        while True:
            rows = await self._spend.rows(month, 1000, after=after, before=day + "}")
            own = [row.key for row in rows if row.key.endswith(f"|{instance}")]
            await self._spend.remove_all(month, own)
            if len(rows) < 1000:
                return
            after = rows[-1].key
