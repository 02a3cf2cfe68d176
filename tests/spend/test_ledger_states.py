"""The ledger against a reference book: instances are killed at every request, sweeps run late and twice at once.

What a test knows of an attempt: whether its open and its settled record were acknowledged, and how it was settled.
Whatever happens, every attempt that was acknowledged is in the list once, and the totals are those of the list.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from shared.errors import StorageFailed
from shared.spend.entry import RANK, Entry, Settlement, closed, fold
from shared.spend.ledger import Handle
from shared.spend.outside import settle_late
from shared.spend.records import entries_of
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
        return bool(self.handle.opened and self.handle.opened.committed) or bool(self.late)

    def may_be(self, entry: Entry) -> bool:
        """Whether the book allows what the ledger says in the end."""
        sure = [*self.late]
        if self.handle.settled is not None and self.handle.settled.committed:
            sure += self.ends
        least = max((RANK[one.status] for one in sure), default=RANK["unknown"])
        costs = {one.cost for one in (*self.ends, *self.late) if one.status == entry.status}
        costs |= {self.opened.reserved} if entry.status == "unknown" else set()
        return RANK[entry.status] >= least and entry.cost in costs


class Ledgers(RuleBasedStateMachine):
    instances = Bundle("instances")
    attempts = Bundle("attempts")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = World()
        self.living: list[Instance] = []
        self.book: dict[str, Known] = {}

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @rule(target=instances)
    def start(self) -> Instance:
        instance = self.world.start()
        self.living.append(instance)
        return instance

    @rule(target=attempts, instance=instances, model=st.sampled_from(["gpt-4o", "gpt-5"]))
    def opens(self, instance: Instance, model: str) -> str:
        if instance not in self.living:
            return ""
        entry = instance.entry(model=model)

        async def work() -> Handle:
            return instance.ledger.open(entry)

        self.book[entry.entry_id] = Known(instance, self.do(work()), entry, [], [])
        return entry.entry_id

    @rule(attempt=attempts, end=st.sampled_from(sorted(ENDS)))
    def settles(self, attempt: str, end: str) -> None:
        known = self.book.get(attempt)
        if known is None or known.instance not in self.living:
            return

        async def work() -> bool:
            return known.handle.settle(ENDS[end])

        if self.do(work()):
            known.ends.append(known.handle.entry)

    @rule(attempt=attempts, kill=st.none() | st.integers(0, 2), lost=st.booleans())
    def settles_elsewhere(self, attempt: str, kill: int | None, lost: bool) -> None:
        """Somebody else settles it, and does so again until it is told that this is done."""
        known = self.book.get(attempt)
        if known is None or not (known.handle.opened and known.handle.opened.committed) or known.late:
            return
        entry = closed(known.opened, ENDS["dear"], known.opened.started_at + 1)
        known.late.append(entry)
        table, _ = self.world.tables(Fate(kill, lost=lost))
        with suppress(Killed, StorageFailed):
            self.do(settle_late(table, entry))
        self.do(settle_late(self.world.tables(Fate())[0], entry))

    @rule(instance=instances)
    def writes(self, instance: Instance) -> None:
        self.do(instance.run())

    @rule(instance=instances, requests=st.integers(0, 6), after=st.booleans())
    def dies_at(self, instance: Instance, requests: int, after: bool) -> None:
        """It is killed before or after one of its next requests, and in any case when it has had time for them."""
        if instance not in self.living:
            return
        instance.fate.kill_at, instance.fate.after = requests, after

        async def work() -> None:
            with suppress(Killed):
                await instance.run()
                await instance.beat()
                await instance.write_totals()
            await instance.die()

        self.do(work())
        self.living.remove(instance)

    @rule(instance=instances, count=st.integers(1, 4))
    def loses_acknowledgements(self, instance: Instance, count: int) -> None:
        instance.fate.lost = count

    @rule(instance=instances)
    def storage_goes(self, instance: Instance) -> None:
        instance.fate.down = True

    @rule(instance=instances)
    def storage_returns(self, instance: Instance) -> None:
        instance.fate.down = False

    @rule(instance=instances)
    def beats(self, instance: Instance) -> None:
        if instance in self.living:
            self.do(instance.beat())

    @rule(instance=instances)
    def writes_totals(self, instance: Instance) -> None:
        if instance in self.living:
            self.do(instance.write_totals())

    @rule(seconds=st.sampled_from([1, 70, 130, 400, 6 * 3600, 12 * 3600]))
    def time_passes(self, seconds: int) -> None:
        if self.world.now < NOON + 5 * 86_400:
            self.world.now += seconds

    @rule(kill=st.none() | st.integers(0, 40), after=st.booleans(), lost=st.integers(0, 2))
    def sweeps(self, kill: int | None, after: bool, lost: int) -> None:
        with suppress(Killed, StorageFailed):
            self.do(self.world.sweep(Fate(kill, after, lost)))

    @rule(kill=st.integers(0, 40), after=st.booleans())
    def sweeps_twice_at_once(self, kill: int, after: bool) -> None:
        async def work() -> None:
            await asyncio.gather(
                self.world.sweep(Fate(kill, after)), self.world.sweep(), self.world.sweep(), return_exceptions=True
            )

        with suppress(Killed):
            self.do(work())

    @rule(attempt=consumes(attempts))
    def forgets(self, attempt: str) -> None:
        """So that other attempts are chosen, too."""

    @precondition(lambda self: self.book)
    @invariant()
    def everything_acknowledged_is_listed_once(self) -> None:
        listed = Counter(entry.entry_id for entry in self.do(self.world.listed()))
        assert [entry for entry, count in listed.items() if count > 1] == []
        assert listed.keys() <= self.book.keys()
        assert [one for one, known in self.book.items() if known.acknowledged and one not in listed] == []

    def teardown(self) -> None:
        try:
            self.do(self.end())
        finally:
            self.loop.close()

    async def end(self) -> None:
        for instance in self.living:
            instance.fate.kill_at = None
            await instance.die()
        await self.world.settle_down()
        listed = await self.world.listed()
        found = {entry.entry_id: entry for entry in listed}
        assert len(found) == len(listed)
        assert [one for one, known in self.book.items() if known.acknowledged and one not in found] == []
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
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLedgers = Ledgers.TestCase
