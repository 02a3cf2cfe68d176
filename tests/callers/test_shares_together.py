"""Two instances that share one key's row, beside a book that has every call by itself.

Steps come in any order: calls begin and end while writes are under way; a write is refused because another came
between, is done and not acknowledged, or comes late; an instance is killed, or stands still until it is taken for dead.
Batches set money aside for long, and are told of by workers that may know less than was told already.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.callers.holding import USABLE_S, Holding, Proposal
from shared.callers.shares import (
    BUDGET,
    EMPTY,
    LAPSE_S,
    PARALLEL,
    REQUESTS,
    TOKENS,
    Pot,
    Shares,
    packed,
    pots_of,
    unpacked,
)
from shared.callers.virtual_key import VirtualKey
from shared.callers.wallet import RENEW_S

KEY = VirtualKey(
    "key_1", "h", "", 0.0, 0.0, max_budget=10, budget_duration="1h", rpm_limit=8, tpm_limit=16, max_parallel_requests=3
)
START = 3_600_000.0
DEAD_S = USABLE_S + 120
"""As long as the ledger takes to call an instance dead."""
NAMES = (BUDGET, REQUESTS, TOKENS, PARALLEL)


@dataclass
class Call:
    """One call in the book. `cost` None: it is under way. `given_up`: entered as spent with what was reserved."""

    instance: int
    started_at: float
    period: int
    reserved: int
    cost: int | None = None
    given_up: bool = False


@dataclass
class Sent:
    """A row on its way, for the place of that of a version."""

    proposal: Proposal
    version: int


@dataclass
class Batch:
    """One batch in the book. `costs`: what it came to, each with its period, as it was first told; `sums`: what workers
    knew at some time."""

    name: str
    reserved: int
    costs: list[tuple[int, int]]
    sums: list[int]
    over: bool = False

    @property
    def cost(self) -> int:
        return sum(cost for cost, _ in self.costs)


@dataclass
class Instance:
    """An instance, and what it has sent and not heard of."""

    holding: Holding
    number: int
    sent: Sent | None = None


class Fleet:
    """The two, their row and the book."""

    def __init__(self) -> None:
        self.now = START
        self.row = EMPTY
        self.version = 0
        self.late: list[Sent] = []
        self.calls: list[Call] = []
        self.batches: list[Batch] = []
        self.born = 0
        self.buried_alive = self.lapsed = False
        self.fleet = [self.new(), self.new()]

    def new(self) -> Instance:
        self.born += 1
        return Instance(Holding(f"i{self.born}", self.now), self.born)

    @property
    def pots(self) -> dict[str, Pot]:
        return pots_of(KEY, self.now)

    def do_call(self, one: Instance, amount: int, tokens: int) -> None:
        pots = self.pots
        needs = {BUDGET: 1 + amount % 4, REQUESTS: 1, TOKENS: 1 + tokens % 4, PARALLEL: 1}
        if not one.holding.fits(pots, needs, self.now):
            return
        for name in (BUDGET, PARALLEL):
            one.holding.take(name, needs[name])
        for name in (REQUESTS, TOKENS):
            one.holding.take(name, needs[name])
            one.holding.settle(name, needs[name], needs[name], pots[name].bucket)
        self.calls.append(Call(one.number, self.now, pots[BUDGET].bucket, needs[BUDGET]))

    def do_settle(self, one: Instance, which: int, cost: int) -> None:
        under_way = [call for call in self.calls if call.cost is None and call.instance == one.number]
        if under_way:
            call = under_way[which % len(under_way)]
            call.cost = min(call.reserved, cost)
            one.holding.settle(BUDGET, call.reserved, call.cost, call.period)
            one.holding.settle(PARALLEL, 1, 0, 0)

    def do_send(self, one: Instance, need: int, more: int) -> None:
        """Reads the row, and sends what is to stand in its place."""
        if one.sent is None:
            proposal = one.holding.propose(
                self.row, self.pots, dict.fromkeys(NAMES, need), dict.fromkeys(NAMES, more), self.now
            )
            one.sent = Sent(proposal, self.version)

    def do_leave(self, one: Instance, *_: int) -> None:
        """Sends a row in which it holds nothing."""
        if one.sent is None and one.holding.leased and not one.holding.busy:
            one.sent = Sent(one.holding.propose_leaving(self.row, self.pots, self.now), self.version)

    def do_hear(self, one: Instance, *_: int) -> None:
        """Storage takes it when nobody else wrote meanwhile, and says so."""
        sent, one.sent = one.sent, None
        if sent is not None and self.land(sent):
            one.holding.accept(sent.proposal, self.now)

    def do_lose(self, one: Instance, how: int, _: int) -> None:
        """Nothing is heard: it was done, was not, or is on its way still."""
        sent, one.sent = one.sent, None
        if sent is not None and how % 3 == 0:
            self.land(sent)
        elif sent is not None and how % 3 == 1:
            self.late.append(sent)

    def do_arrive(self, _: Instance, which: int, __: int) -> None:
        """A write of which nothing was heard comes to storage after all."""
        if self.late:
            self.land(self.late.pop(which % len(self.late)))

    def do_wait(self, _: Instance, how_long: int, __: int) -> None:
        """Time passes; who is free to renews what it holds, every RENEW_S."""
        left_s = (0.5, 5.0, 20.0, 30.0, 70.0, 100.0, DEAD_S, 1800.0)[how_long]
        while left_s > 0:
            self.now += min(left_s, RENEW_S)
            left_s -= RENEW_S
            self.renew()

    def renew(self) -> None:
        for one in self.fleet:
            silent_s = self.now - one.holding.renewed_at
            self.lapsed |= one.holding.busy and silent_s >= LAPSE_S and one.sent is not None
            if one.holding.leased and one.sent is None:
                self.put((proposal := one.holding.propose(self.row, self.pots, one.holding.free, {}, self.now)).shares)
                one.holding.accept(proposal, self.now)

    def do_kill(self, one: Instance, *_: int) -> None:
        """The instance is gone with all it knew, but for what is in the ledger."""
        self.fleet[self.fleet.index(one)] = self.new()

    def do_begin(self, _: Instance, amount: int, __: int) -> None:
        """A batch sets money aside, if it is there."""
        pot, amount = self.pots[BUDGET], 1 + amount % 4
        left = (pot.limit or 0) - self.row.spent(BUDGET, pot) - self.row.held(BUDGET, pot, self.now)
        if left >= amount:
            self.batches.append(Batch(f"b{len(self.batches)}", amount, [], [0]))
            self.put(self.row.begun(self.batches[-1].name, amount))

    def do_book(self, _: Instance, which: int, cost: int) -> None:
        """A batch has cost more by now, within its estimate; its worker tells so."""
        if not self.batches:
            return
        one = self.batches[which % len(self.batches)]
        if not one.over:
            one.costs.append((min(cost, one.reserved - one.cost), self.pots[BUDGET].bucket))
            one.sums.append(one.cost)
            self.put(self.row.booked(one.name, self.pots[BUDGET], one.cost, whole=False))

    def do_repeat(self, _: Instance, which: int, when: int) -> None:
        """A worker that was slow tells what it knew; of a batch that is over perhaps."""
        if self.batches:
            one = self.batches[which % len(self.batches)]
            self.put(self.row.booked(one.name, self.pots[BUDGET], one.sums[when % len(one.sums)], whole=one.over))

    def do_end(self, _: Instance, which: int, __: int) -> None:
        if self.batches:
            one = self.batches[which % len(self.batches)]
            pots = self.pots
            one.over = True
            self.put(self.row.booked(one.name, pots[BUDGET], one.cost, whole=True).ended(one.name, pots))

    def do_sweep(self, *_: object) -> None:
        """What instances left open that are gone, or were silent for long, is entered as spent, and they folded."""
        pots = self.pots
        alive = {one.holding.instance: one for one in self.fleet}
        for instance, lease in self.row.leases.items():
            if instance in alive and self.now - lease.at < DEAD_S:
                continue
            self.buried_alive |= instance in alive
            own = [call for call in self.calls if f"i{call.instance}" == instance]
            for call in own:
                if call.cost is None:
                    call.given_up = True
                    call.cost = None if instance in alive else call.reserved
            counting = [one for one in own if one.started_at >= lease.since and one.period == pots[BUDGET].bucket]
            spent = sum(call.reserved if call.cost is None else call.cost for call in counting)
            known = lease.spent.get(BUDGET, {}).get(pots[BUDGET].bucket, 0)
            books = {**lease.spent, BUDGET: {pots[BUDGET].bucket: max(spent, known)}}
            self.put(self.row.folded(instance, pots, books))

    def land(self, sent: Sent) -> bool:
        if sent.version != self.version:
            return False
        self.put(sent.proposal.shares)
        return True

    def put(self, row: Shares) -> None:
        self.row = unpacked(packed(row))
        self.version += 1

    def check(self) -> None:
        """What must hold after every step, and each takes a moment. Calls of the buried count twice; what was given up
        is spent in its own period, and not set aside in the next."""
        self.now += 0.001
        period = self.pots[BUDGET].bucket
        settled = sum(call.cost for call in self.calls if call.cost is not None and call.period == period)
        settled += self.booked(period)
        under_way = [call for call in self.calls if call.cost is None]
        aside = sum(one.reserved - one.cost for one in self.batches if not one.over)
        aside += sum(call.reserved for call in under_way if not call.given_up or call.period == period)
        assert settled + aside <= (KEY.max_budget or 0)
        assert sum(call.started_at > self.now - 60 for call in self.calls) <= (KEY.rpm_limit or 0)
        numbers = {one.number for one in self.fleet}
        recent = [one for one in under_way if one.instance in numbers and not one.given_up]
        if not (self.buried_alive or self.lapsed):  # else the calls of who comes back are too many for a while
            assert len(recent) <= (KEY.max_parallel_requests or 0)
        for name, pot in self.pots.items():
            if not self.buried_alive and (name != PARALLEL or not self.lapsed):
                assert self.row.spent(name, pot) + self.row.held(name, pot, self.now) <= (pot.limit or 0)

    def booked(self, period: int) -> int:
        """What batches have cost in a period."""
        return sum(cost for one in self.batches for cost, when in one.costs if when == period)

    def end(self) -> None:
        """When everything has ended and everybody has told, the row and the book agree to the picodollar."""
        for one in self.fleet:
            one.sent = None
            while any(call.cost is None and call.instance == one.number for call in self.calls):
                self.do_settle(one, 0, 4)
        self.do_wait(self.fleet[0], 5, 0)
        self.do_sweep()
        pots = self.pots
        for one in self.fleet:
            self.put((renewed := one.holding.propose(self.row, pots, {}, {}, self.now)).shares)
            one.holding.accept(renewed, self.now)
            self.put((left := one.holding.propose_leaving(self.row, pots, self.now)).shares)
            one.holding.accept(left, self.now)
            assert one.holding.empty
        told = sum(call.cost or 0 for call in self.calls if call.period == pots[BUDGET].bucket)
        told += self.booked(pots[BUDGET].bucket)
        spent = self.row.spent(BUDGET, pots[BUDGET])
        assert spent >= told if self.buried_alive else spent == told


WEIGHTS = {
    "call": 10,
    "settle": 4,
    "send": 8,
    "hear": 9,
    "leave": 1,
    "lose": 1,
    "arrive": 1,
    "wait": 2,
    "kill": 1,
    "sweep": 1,
    "begin": 2,
    "book": 2,
    "repeat": 1,
    "end": 1,
}
ACTIONS = [name for name, weight in WEIGHTS.items() for _ in range(weight)]


@settings(max_examples=400, deadline=None)
@given(st.binary(min_size=80, max_size=240))
def test_no_order_of_writes_deaths_and_delays_lets_more_be_spent_than_there_is(steps: bytes) -> None:
    """Two bytes are a step: what is done, and by whom with what."""
    fleet = Fleet()
    for action, how in zip(steps[::2], steps[1::2], strict=False):
        getattr(fleet, f"do_{ACTIONS[action % len(ACTIONS)]}")(fleet.fleet[how & 1], how >> 1 & 7, how >> 4 & 7)
        fleet.check()
    fleet.end()
    assert fleet.row.leases == {}
    assert set(fleet.row.tasks) == {one.name for one in fleet.batches if not one.over}
