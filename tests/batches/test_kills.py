"""Workers die at every step, two at a time, and the batch comes out as if none had, compared with a small model.

The model knows a batch as what its caller does: every request is run until it has a result that stays, as often as its
`retry_failed` allows, and Azure bills what ran.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.batches.world import Strike, World, names

PASSING = (429, 500, "expired")
WORDS = st.sampled_from(["ok", "twice", 429, 500, 400, "expired"])
PLANS = st.dictionaries(st.sampled_from(names(9)), st.lists(WORDS, min_size=1, max_size=3), max_size=6)
SHOWN = {"ok": "ok", "twice": "ok", "expired": "batch_expired"}


def expected(plan: dict[str, list[str | int]], ids: list[str], rounds: int) -> dict[str, str]:
    """What the caller is told of each request, as the model has it."""
    found: dict[str, str] = {}
    for one in ids:
        words = plan.get(one, ["ok"])
        tries = [words[min(number, len(words) - 1)] for number in range(rounds + 1)]
        last = next((word for word in tries if word not in PASSING), tries[-1])
        found[one] = SHOWN.get(str(last), str(last))
    return found


@settings(max_examples=60, deadline=None)
@given(
    plan=PLANS,
    rounds=st.integers(0, 2),
    kills=st.lists(st.integers(1, 60), max_size=12),
    quotas=st.sampled_from([{}, {"d0": 200}, {"d0": 150, "d1": 120, "d2": 100}]),
    late=st.booleans(),
    seconds=st.sampled_from([3.0, 11.0, 40.0]),
)
def test_killed_workers_are_not_seen_in_what_comes_out(
    plan: dict[str, list[str | int]],
    rounds: int,
    kills: list[int],
    quotas: dict[str, int],
    late: bool,
    seconds: float,
) -> None:
    async def run() -> None:
        ids = names(9)
        world = World(plan=plan, quotas=quotas, late=late)
        batch = await world.create(ids, rounds=rounds)
        for at in kills:
            await world.move(batch.id, world.worker(Strike(at)))
            world.now += seconds
        batch = await world.finish(batch.id)
        assert world.results(batch) == expected(plan, ids, rounds)
        assert len(world.azure.bill) == len(set(world.azure.bill))
        world.assert_priced(ids)
        world.assert_nothing_left()

    asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(
    plan=PLANS,
    rounds=st.integers(0, 1),
    pairs=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8),
    seconds=st.sampled_from([3.0, 11.0]),
)
def test_two_workers_at_once_that_are_killed_are_not_seen_either(
    plan: dict[str, list[str | int]], rounds: int, pairs: list[tuple[int, int]], seconds: float
) -> None:
    async def run() -> None:
        ids = names(9)
        world = World(plan=plan, quotas={"d0": 150, "d1": 120})
        batch = await world.create(ids, rounds=rounds)
        for one, other in pairs:
            workers = [world.worker(Strike(one)), world.worker(Strike(other))]
            await asyncio.gather(*(world.move(batch.id, worker) for worker in workers))
            world.now += seconds
        batch = await world.finish(batch.id)
        assert world.results(batch) == expected(plan, ids, rounds)
        world.assert_priced(ids)
        world.assert_nothing_left()

    asyncio.run(run())


@pytest.mark.parametrize("silent", [1, 2, 5])
async def test_a_creation_without_an_answer_is_found_and_adopted(silent: int) -> None:
    world = World(silent=silent)
    ids = names(6)
    batch = await world.finish((await world.create(ids)).id)
    assert world.results(batch) == dict.fromkeys(ids, "ok")
    assert Counter(world.azure.created.values()) == {1: 1}
    world.assert_priced(ids)
    world.assert_nothing_left()


async def test_a_batch_that_was_made_twice_is_cancelled_and_its_lines_are_priced() -> None:
    world = World(silent=1, forgets=1)  # the list of batches lags: the one that was made is not in it
    ids = names(6)
    batch = await world.finish((await world.create(ids)).id)
    assert world.results(batch) == dict.fromkeys(ids, "ok")
    assert list(world.azure.created.values()) == [2]
    assert len(world.azure.bill) == 6 + 6
    world.assert_priced(ids)
    world.assert_nothing_left()


async def test_a_creation_that_comes_after_its_worker_was_given_up_makes_no_second_batch() -> None:
    world = World()
    ids = names(6)
    batch = await world.create(ids)
    world.azure.gate = asyncio.Event()
    slow = asyncio.create_task(world.move(batch.id))
    for _ in range(1000):
        await asyncio.sleep(0)
    assert (await world.batch(batch.id)).shards[0].state == "submitting"
    gate, world.azure.gate = world.azure.gate, None
    world.now += 11
    await world.move(batch.id)
    gate.set()
    assert await slow
    batch = await world.finish(batch.id)
    assert world.results(batch) == dict.fromkeys(ids, "ok")
    assert len(world.azure.bill) == 6
    world.assert_priced(ids)
    world.assert_nothing_left()
