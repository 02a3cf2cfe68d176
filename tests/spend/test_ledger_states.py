"""The ledger against a reference book: instances die at every request, sweeps run killed, late and twice at once.

What a test knows of an attempt: whether its open and settled record were acknowledged, and how it was settled.
Whatever happens, every attempt that was acknowledged is in the list once, and the totals are those of the list.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.errors import StorageFailed
from shared.spend import logs, outside, packing, segments, tally
from shared.spend.entry import RANK, Entry, Settlement, closed, fold
from shared.spend.ledger import Handle
from shared.spend.outside import settle_late
from shared.spend.records import entries_of
from shared.spend.sweep import Swept
from shared.spend.totals import Sums
from tests.spend.world import NOON, Fate, Instance, Killed, World, settled

ENDS: dict[str, Settlement] = {
    "settled": settled(1000),
    "dear": settled(7777),
    "failed": Settlement("failed", cost=0, http_status=502),
    "unpriced": Settlement("unpriced", usage={"prompt": 3, "seconds": 0.5}),
    "unknown": Settlement("unknown", cost=900),
}


@dataclass
class Known:
    """An attempt as the test has it in its book."""

    instance: Instance
    handle: Handle
    opened: Entry
    ends: list[Entry]
    late: list[Entry]

    @property
    def acknowledged(self) -> bool:
        return bool(self.handle.opened and self.handle.opened.committed)

    def may_be(self, entry: Entry) -> bool:
        """Whether the book allows what the ledger says in the end."""
        sure = [*self.late]
        if self.handle.settled is not None and self.handle.settled.committed:
            sure += self.ends
        least = max((RANK[one.status] for one in sure), default=RANK["unknown"])
        costs = {one.cost for one in (*self.ends, *self.late) if one.status == entry.status}
        costs |= {self.opened.reserved} if entry.status == "unknown" else set()
        return RANK[entry.status] >= least and entry.cost in costs


@pytest.fixture(autouse=True, scope="module")
def _little_at_once() -> Iterator[None]:
    """Pages, segments and packed rows are so small that everything takes several of them."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (tally, packing, outside, logs):
            patch.setattr(module, "PAGE_ROWS", 2)
        patch.setattr(segments, "RECORDS_MAX", 2)
        patch.setattr(packing, "RUN_ROWS_MAX", 3)
        yield


class Ledgers(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = World()
        self.living: list[Instance] = []
        self.book: dict[str, Known] = {}
        self.held_up: list[tuple[Fate, asyncio.Future[Swept]]] = []

    @property
    def running(self) -> list[Instance]:
        """Those that do not stand still."""
        return [one for one in self.living if not one.fate.holds]

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @precondition(lambda self: len(self.living) < 4)
    @rule()
    def start(self) -> None:
        self.living.append(self.world.start())

    @precondition(lambda self: self.running)
    @rule(data=st.data(), count=st.integers(1, 3), written=st.booleans())
    def opens(self, data: st.DataObject, count: int, written: bool) -> None:
        instance = data.draw(st.sampled_from(self.running))

        async def work() -> None:
            for _ in range(count):
                entry = instance.entry(model=data.draw(st.sampled_from(["gpt-4o", "gpt-5"])))
                self.book[entry.entry_id] = Known(instance, instance.ledger.open(entry), entry, [], [])
            await instance.run(40 * written)

        self.do(work())

    def open_ones(self) -> list[Known]:
        return [one for one in self.book.values() if one.handle.entry.is_open and one.instance in self.running]

    @precondition(lambda self: self.open_ones())
    @rule(data=st.data(), end=st.sampled_from(sorted(ENDS)), written=st.booleans())
    def settles(self, data: st.DataObject, end: str, written: bool) -> None:
        known = data.draw(st.sampled_from(self.open_ones()))

        async def work() -> None:
            if known.handle.settle(ENDS[end]):
                known.ends.append(known.handle.entry)
            await known.instance.run(40 * written)

        self.do(work())

    @precondition(lambda self: self.book)
    @rule(data=st.data(), kill=st.none() | st.integers(0, 2), lost=st.booleans())
    def settles_elsewhere(self, data: st.DataObject, kill: int | None, lost: bool) -> None:
        """Somebody else settles it, and does so again until it is told that this is done. Its own record is there, or
        never will be."""
        known = data.draw(st.sampled_from(list(self.book.values())))
        opened = known.handle.opened and known.handle.opened.committed
        if known.late or not (opened or known.instance not in self.living):
            return
        entry = closed(known.opened, ENDS["dear"], known.opened.started_at + 1)
        known.late.append(entry)
        table, _ = self.world.tables(Fate(kill, lost=lost))
        with suppress(Killed, StorageFailed):
            self.do(settle_late(table, entry))
        self.do(settle_late(self.world.tables(Fate())[0], entry))

    @precondition(lambda self: self.living)
    @rule(data=st.data(), requests=st.integers(0, 6), after=st.booleans())
    def dies_at(self, data: st.DataObject, requests: int, after: bool) -> None:
        """It is killed before or after one of its next requests, and in any case when it has had time for them."""
        instance = data.draw(st.sampled_from(self.living))
        still = instance.fate.holds

        async def work() -> None:
            if not still:
                instance.fate.kill_at, instance.fate.after = requests, after
                with suppress(Killed):
                    await instance.run()
                    await instance.rounds()
            await instance.die()

        self.do(work())
        self.living.remove(instance)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), requests=st.integers(0, 5), after=st.booleans())
    def stands_still(self, data: st.DataObject, requests: int, after: bool) -> None:
        """It does nothing for a while, from before or behind one of its next requests on."""
        instance = data.draw(st.sampled_from(self.running))
        instance.fate.hold_at, instance.fate.after = requests, after

        async def work() -> None:
            instance.held = asyncio.ensure_future(instance.rounds())
            await instance.run()
            if not instance.fate.holds:
                instance.fate.hold_at = None

        self.do(work())

    @precondition(lambda self: any(one.fate.holds for one in self.living))
    @rule(data=st.data())
    def goes_on(self, data: st.DataObject) -> None:
        instance = data.draw(st.sampled_from([one for one in self.living if one.fate.holds]))
        instance.fate.go_on()
        self.do(instance.run())

    @precondition(lambda self: self.living)
    @rule(data=st.data(), lost=st.integers(0, 3), down=st.booleans())
    def storage_comes_and_goes(self, data: st.DataObject, lost: int, down: bool) -> None:
        instance = data.draw(st.sampled_from(self.living))
        instance.fate.lost, instance.fate.down = lost, down

    @rule(data=st.data(), minutes=st.integers(1, 8))
    def minutes_pass(self, data: st.DataObject, minutes: int) -> None:
        """The timer runs once a minute. Some instances beat; the others stand still, and may come back."""
        beating = [one for one in self.running if data.draw(st.booleans())]
        for _ in range(minutes):
            self.world.now += 61
            for instance in beating:
                self.do(instance.run())
                self.do(instance.rounds())
            self.do(self.world.sweep())

    @precondition(lambda self: self.world.now < NOON + 4 * 86_400)
    @rule(hours=st.sampled_from([6, 11, 12]))
    def hours_pass(self, hours: int) -> None:
        """Every living instance beats at the end of them."""
        self.world.now += hours * 3600
        for instance in self.running:
            self.do(instance.beat())

    @rule(kill=st.none() | st.integers(0, 40), after=st.booleans(), lost=st.integers(0, 2))
    def sweeps(self, kill: int | None, after: bool, lost: int) -> None:
        self.world.now += 61
        with suppress(Killed, StorageFailed):
            self.do(self.world.sweep(Fate(kill, after, lost)))

    @rule(kill=st.integers(0, 40), after=st.booleans(), later=st.tuples(st.integers(0, 60), st.integers(0, 60)))
    def sweeps_twice_at_once(self, kill: int, after: bool, later: tuple[int, int]) -> None:
        self.world.now += 61

        async def sweep_later(turns: int) -> Swept:
            for _ in range(turns):
                await asyncio.sleep(0)
            return await self.world.sweep()

        async def work() -> None:
            sweeps = (self.world.sweep(Fate(kill, after)), *(sweep_later(turns) for turns in later))
            for ended in await asyncio.gather(*sweeps, return_exceptions=True):
                assert ended is None or isinstance(ended, Swept | Killed | StorageFailed), ended

        self.do(work())

    @precondition(lambda self: len(self.held_up) < 2)
    @rule(requests=st.integers(0, 40), after=st.booleans())
    def a_sweep_stands_still(self, requests: int, after: bool) -> None:
        """It does nothing for a while, from before or behind one of its requests on, and others sweep meanwhile."""
        self.world.now += 61
        fate = Fate(hold_at=requests, after=after)

        async def work() -> None:
            sweep = asyncio.ensure_future(self.world.sweep(fate))
            for _ in range(1000):
                await asyncio.sleep(0)
                if fate.holds:
                    self.held_up.append((fate, sweep))
                    return
            with suppress(StorageFailed):
                await sweep

        self.do(work())

    @precondition(lambda self: self.held_up)
    @rule(data=st.data())
    def a_sweep_goes_on(self, data: st.DataObject) -> None:
        fate, sweep = self.held_up.pop(data.draw(st.integers(0, len(self.held_up) - 1)))
        fate.go_on()
        with suppress(StorageFailed):
            self.loop.run_until_complete(sweep)

    @precondition(lambda self: self.book)
    @invariant()
    def everything_acknowledged_is_listed_once(self) -> None:
        listed = Counter(entry.entry_id for entry in self.do(self.world.listed()))
        assert [entry for entry, count in listed.items() if count > 1] == []
        assert listed.keys() <= self.book.keys()
        assert [one for one, known in self.book.items() if known.acknowledged and one not in listed] == []

    @precondition(lambda self: self.book)
    @invariant()
    def nothing_is_counted_twice(self) -> None:
        listed = [entry for entry in self.do(self.world.listed()) if not entry.is_open]
        counted = sum(totals.attempts for _, totals in self.do(self.world.totals()))
        assert counted <= len(listed)

    def teardown(self) -> None:
        try:
            self.do(self.end())
        finally:
            self.loop.close()

    async def end(self) -> None:
        for instance in self.living:
            instance.fate.kill_at = None
            await instance.die()
        for _, sweep in self.held_up:
            sweep.cancel()
        await asyncio.gather(*(sweep for _, sweep in self.held_up), return_exceptions=True)
        await self.world.settle_down()
        listed = await self.world.listed()
        found = {entry.entry_id: entry for entry in listed}
        assert len(found) == len(listed)
        lost = [one for one, known in self.book.items() if (known.acknowledged or known.late) and one not in found]
        assert lost == []
        assert [one for one, entry in found.items() if not self.book[one].may_be(entry)] == []
        assert await self.world.totals() == summed(found.values())
        assert fold(e for rows in self.log_rows() for e in rows).keys() == found.keys()

    def log_rows(self) -> list[list[Entry]]:
        rows = self.world.ledger.kept.values()
        return [entries_of(row) for row in rows if row.partition[0].isdigit()]


def summed(entries: Any) -> Sums:
    """The entries' totals, counted here."""
    sums = Sums(None)
    for entry in entries:
        sums.count(entry.entry_id.split("_")[1], [entry])
    return sums


Ledgers.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)
TestLedgers = Ledgers.TestCase
