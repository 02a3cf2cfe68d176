"""Instances tell each other what they use: what each may take meanwhile, and what a table that fails does to that."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import Counter

import pytest

from shared.errors import RateLimited, StorageFailed
from shared.routing.peers import BLIND_AFTER_S, CLEAN_S, IDLE_S, STALE_S
from shared.routing.router import FIRST_READ_S, READ_AGE_S_MAX
from shared.routing.selection import Full
from shared.routing.state import Reservation
from tests.routing.fleet import Fleet, Instance

MINUTE_S = 60
READ_AGE_S = int(READ_AGE_S_MAX)


def refused(full: Reservation | Full) -> str:
    assert isinstance(full, Full)
    return full.refused[0][1].why


async def test_a_new_instance_admits_nothing_before_it_has_read() -> None:
    one = Fleet().new()
    assert refused(one.ask()) == "this instance's share"


async def test_the_first_read_lets_calls_in_that_wait_for_it() -> None:
    one = Fleet().new()
    one.ask()
    waiting = asyncio.create_task(one.router.first_read())
    await asyncio.sleep(0)
    assert not waiting.done()
    await one.peers.turn()
    assert await waiting
    assert one.asks(3) == 3


async def test_a_call_waits_for_the_first_read_no_longer_than_it_may() -> None:
    fleet = Fleet()
    one = fleet.new()
    one.ask()
    fleet.clock.now += FIRST_READ_S
    async with asyncio.timeout(0.5):
        assert await one.router.first_read()
    assert one.asks(3) == 3


async def test_the_wait_for_the_first_read_begins_with_the_first_call() -> None:
    fleet = Fleet()
    one = fleet.new()
    fleet.clock.now += 30
    assert refused(one.ask()) == "this instance's share"


async def test_what_was_granted_long_ago_lets_nothing_in() -> None:
    fleet = Fleet(["m: {rpm: 100}"])
    idle, busy = fleet.new(), fleet.new()
    await fleet.turns(2)
    assert idle.asks(1) == 1
    await fleet.turns()
    fleet.instances.remove(idle)
    for _ in range(READ_AGE_S):
        await fleet.turns()
        busy.asks(3)
    assert refused(idle.ask()) == "this instance's share"
    waiting = asyncio.create_task(idle.router.first_read())
    await asyncio.sleep(0)
    await idle.peers.turn()
    assert await waiting
    assert idle.asks(20) < 10


async def test_an_instance_that_reads_each_second_never_waits_for_that() -> None:
    fleet = Fleet()
    one = fleet.new()
    await fleet.turns()
    for _ in range(READ_AGE_S):
        await fleet.turns()
    assert isinstance(one.ask(), Reservation)
    assert not await one.router.first_read()


async def test_after_the_first_read_nothing_waits_for_it() -> None:
    one = Fleet().new()
    await one.peers.turn()
    assert not await one.router.first_read()


async def test_a_new_instance_admits_nothing_of_what_another_has_used() -> None:
    fleet = Fleet(["m: {rpm: 10}"])
    old = fleet.new()
    await fleet.turns()
    assert old.asks(20) == 10
    await fleet.turns()
    new = fleet.new()
    new.ask()
    await new.peers.turn()
    assert refused(new.ask()) == "requests per minute"


async def test_what_others_use_is_known_of_a_model_that_was_never_asked_for_here() -> None:
    fleet = Fleet(["m: {rpm: 10}", "other: {rpm: 10}"])
    old, new = fleet.new(), fleet.new()
    await fleet.turns()
    assert old.asks(20, model="other") == 10
    await fleet.turns(2)
    assert new.asks(20, model="other") == 0


async def test_between_two_reads_each_admits_only_its_part_of_what_is_left() -> None:
    fleet = Fleet(["m: {rpm: 600}"])
    fleet.new(), fleet.new(), fleet.new(), fleet.new()
    await fleet.turns()
    for one in fleet.instances:
        one.asks(1)
    await fleet.turns(2)
    admitted = [one.asks(200) for one in fleet.instances]
    assert sum(admitted) <= 100  # a burst of ten seconds
    assert min(admitted) >= 20


async def test_an_instance_writes_only_what_changed() -> None:
    fleet = Fleet()
    one = fleet.new()
    await fleet.turns()
    one.asks(1)
    await fleet.turns()
    before = one.table.calls["put"]
    await fleet.turns(5)
    assert one.table.calls["put"] == before
    one.asks(1)
    await fleet.turns()
    assert one.table.calls["put"] == before + 1


async def test_a_dead_instances_use_fades_within_a_minute() -> None:
    fleet = Fleet(["m: {rpm: 10}"])
    dead, alive = fleet.new(), fleet.new()
    await fleet.turns()
    dead.asks(10)
    await fleet.turns(2)
    fleet.instances.remove(dead)
    assert alive.asks(1) == 0
    await fleet.turns(MINUTE_S)
    assert alive.asks(12) == 10


async def test_a_dead_instance_that_asked_for_everything_leaves_its_share_soon() -> None:
    fleet = Fleet(["m: {tpm: 6000}"])
    dead, alive = fleet.new(), fleet.new()
    for _ in range(3):
        await fleet.turns()
        dead.asks(20)
        alive.asks(1)
    await fleet.turns()
    fleet.instances.remove(dead)
    await fleet.turns(16)
    assert alive.asks(6000) == 6000 - 60 - 3


@pytest.mark.parametrize("skew_s", [-2.0, 2.0])
async def test_a_wall_clock_that_is_wrong_hides_no_use(skew_s: float) -> None:
    fleet = Fleet(["m: {rpm: 10}"])
    old = fleet.new(skew_s=skew_s)
    await fleet.turns()
    assert old.asks(10) == 10
    await fleet.turns()
    new = fleet.new(skew_s=-skew_s)
    new.ask()
    await new.peers.turn()
    assert new.asks(5) == 0
    await fleet.turns(MINUTE_S - 4)
    assert new.asks(5) == 0
    await fleet.turns(6)
    assert new.asks(5) == 5


async def test_the_row_of_an_instance_long_gone_is_removed() -> None:
    fleet = Fleet()
    fleet.new().asks(1)
    await fleet.turns()
    fleet.instances.clear()
    fleet.clock.now += STALE_S + 10
    late = fleet.new()
    late.asks(1)
    await fleet.turns()
    assert [row.key for row in late.table.all] == ["i0", "i1"]
    fleet.clock.now += CLEAN_S
    await fleet.turns()
    assert [row.key for row in late.table.all] == ["i1"]


async def test_only_rows_that_changed_are_read() -> None:
    fleet = Fleet(["m: {rpm: 600}"])
    for _ in range(5):
        fleet.new().asks(1)
    one, *quiet = fleet.instances
    await fleet.turns(20)
    assert {other.key for other in one.table.all} == {"i0", "i1", "i2", "i3", "i4"}
    before = one.table.given
    for _ in range(10):
        quiet[0].asks(1)
        one.asks(1)
        await fleet.turns()
    # the own row and the one that changes; the others' once more, as they are not much older than the newest known
    assert one.table.given - before <= 10 * 2 + 3 * 5
    assert one.state().used()[1] >= 19


async def test_a_wall_clock_that_is_hours_wrong_hides_no_use() -> None:
    fleet = Fleet(["m: {rpm: 10}"])
    old = fleet.new()
    await fleet.turns()
    assert old.asks(10) == 10
    await fleet.turns()
    new = fleet.new(skew_s=7200.0)
    new.ask()
    await new.peers.turn()
    assert refused(new.ask()) == "requests per minute"


async def test_a_lost_acknowledgement_counts_nothing_twice() -> None:
    lost = Counter[str]()

    def lose(what: str) -> None:
        lost[what] += 1
        if lost[what] % 2:
            raise StorageFailed("lost")

    fleet = Fleet(["m: {rpm: 10}"])
    one, other = fleet.new(after=lose), fleet.new()
    for _ in range(5):
        await fleet.turns()
        one.asks(1)
    await fleet.turns(3)
    assert lost["put"] >= 3
    assert other.state().used()[1] == 5
    assert one.state().used()[1] == 5


async def outage(fleet: Fleet, seconds: int, each: int) -> Counter[int]:
    """Nobody can read or write for so long; every instance is asked `each` times a second. What each admitted."""
    admitted = Counter[int]()
    for one in fleet.instances:
        one.table.failures = 1000
    for _ in range(seconds):
        await fleet.turns()
        for number, one in enumerate(fleet.instances):
            admitted[number] += one.asks(each)
    for one in fleet.instances:
        one.table.failures = 0
    return admitted


@pytest.mark.parametrize("seconds", [MINUTE_S, 5 * MINUTE_S])
async def test_without_the_table_each_serves_on_by_its_share(seconds: int) -> None:
    fleet = Fleet(["m: {tpm: 600}"])
    for _ in range(3):
        fleet.new()
    for _ in range(3):
        await fleet.turns()
        for one in fleet.instances:
            one.asks(1)
    admitted = await outage(fleet, seconds, each=20)
    minutes = seconds / MINUTE_S
    assert 0.9 * 600 * minutes <= sum(admitted.values()) <= 1.02 * 600 * (minutes + 1 / 6)
    assert min(admitted.values()) >= 150 * minutes


async def test_an_instance_that_cannot_read_says_so_and_no_longer_when_it_can() -> None:
    fleet = Fleet()
    one = fleet.new()
    one.asks(1)
    await fleet.turns()
    before = one.router.blind()
    await outage(fleet, int(BLIND_AFTER_S) + 1, each=1)
    during = one.router.blind()
    await fleet.turns()
    assert (before, during, one.router.blind()) == (False, True, False)


async def test_a_table_that_comes_back_is_believed_again() -> None:
    fleet = Fleet(["m: {tpm: 600}"])
    one, other = fleet.new(), fleet.new()
    await fleet.turns()
    one.asks(1), other.asks(1)
    await outage(fleet, MINUTE_S, each=1)
    await fleet.turns(2)
    both = one.state().own.tokens.used + other.state().own.tokens.used
    assert one.state().used()[0] == pytest.approx(both, abs=2)  # the other's figures are a second old
    assert one.asks(600) > 0


async def test_an_instance_that_was_asked_for_nothing_yet_is_not_blind() -> None:
    fleet = Fleet()
    one = fleet.new()
    fleet.clock.now += 30
    assert not one.peers.blind
    one.ask()
    await one.peers.turn()
    assert not one.peers.blind


async def test_what_azure_told_one_stops_the_other() -> None:
    fleet = Fleet()
    one, other = fleet.new(), fleet.new()
    await fleet.turns()
    one.router.failed(one.router.group("m")[0], RateLimited("wait", retry_after_ms=10_000))
    other.ask()
    await fleet.turns(2)
    assert refused(other.ask()) == "told to wait by Azure"


@pytest.mark.parametrize("count", [2, 5])
async def test_what_azure_told_ends_in_time_for_everybody(count: int) -> None:
    fleet = Fleet()
    for _ in range(count):
        fleet.new()
    await fleet.turns()
    for one in fleet.instances:
        one.asks(1)
    told = fleet.instances[0]
    told.router.failed(told.router.group("m")[0], RateLimited("wait", retry_after_ms=10_000))
    order = list(fleet.instances)
    for _ in range(24):  # half a second between the instances' turns: each word is old when it is read
        fleet.clock.now += 0.5
        for one in order[::2]:
            await one.peers.turn()
        order = order[1:] + order[:1]
    assert [refused(ask) for one in fleet.instances if isinstance(ask := one.ask(), Full)] == []


async def test_an_idle_instance_makes_no_requests() -> None:
    fleet = Fleet()
    one = fleet.new()
    one.asks(1)
    await fleet.turns()
    fleet.clock.now += IDLE_S + 1
    life = asyncio.create_task(one.peers.run())
    await asyncio.sleep(0.02)
    before = dict(one.table.calls)
    await asyncio.sleep(0.05)
    idle = dict(one.table.calls) == before
    one.ask()
    await asyncio.sleep(0.02)
    awake = one.table.calls["rows"] - before["rows"]
    life.cancel()
    assert (idle, awake) == (True, 1)


class Load:
    """Instances of a fleet under a load, each turning about once a second at its own times."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self.fleet = fleet
        self.random = random.Random(seed)  # noqa: S311
        self.admitted: list[tuple[float, int]] = []

    async def run(self, seconds: int, calls_per_s: float, tokens: int) -> None:
        clock = self.fleet.clock
        start = clock.now
        events: list[tuple[float, int, Instance | None]] = []
        for number, one in enumerate(self.fleet.instances):
            await one.peers.turn()
            events.append((start + self.random.random(), number, one))
        events.append((start, len(events), None))
        heapq.heapify(events)
        while events[0][0] < start + seconds:
            clock.now, number, turning = heapq.heappop(events)
            if turning is None:
                one = self.random.choice(self.fleet.instances)
                if one.asks(1, tokens):
                    self.admitted.append((clock.now - start, tokens))
                pause_s = self.random.expovariate(calls_per_s)
            else:
                await turning.peers.turn()
                pause_s = 0.9 + 0.2 * self.random.random()
            heapq.heappush(events, (clock.now + pause_s, number, turning))

    def most(self, window_s: float) -> int:
        """The most calls that were admitted within so many seconds."""
        times = [at for at, _ in self.admitted]
        first, most = 0, 0
        for last, at in enumerate(times):
            while times[first] <= at - window_s:
                first += 1
            most = max(most, last - first + 1)
        return most


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_four_instances_over_the_limit_admit_what_it_allows_and_no_more(seed: int) -> None:
    fleet = Fleet(["m: {tpm: 120000}"])
    for skew_s in (-2.0, -1.0, 1.0, 2.0):
        fleet.new(skew_s)
    load = Load(fleet, seed)
    await load.run(122, calls_per_s=1.5 * 1200 / MINUTE_S, tokens=100)
    assert load.most(MINUTE_S) <= 1200 * 1.02
    assert len(load.admitted) >= 2 * 1200 * 0.97


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_four_instances_keep_to_the_requests_of_ten_seconds(seed: int) -> None:
    fleet = Fleet(["m: {rpm: 1200}"])
    for skew_s in (-2.0, -1.0, 1.0, 2.0):
        fleet.new(skew_s)
    load = Load(fleet, seed)
    await load.run(122, calls_per_s=1.5 * 1200 / MINUTE_S, tokens=100)
    # A second between two reads is a tenth of the window: so much more may be admitted by instances that do not see it.
    assert load.most(10) <= 200 * 1.07
    assert len(load.admitted) >= 0.965 * 1200 * 122 / MINUTE_S
