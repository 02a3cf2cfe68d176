"""Workers die at every request, or are told that one failed which was done, and no job is made or charged twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.callers.shares import BUDGET, pots_of
from shared.errors import BudgetExceeded
from shared.jobs import budget
from shared.jobs.job import Job
from shared.jobs.tuning import Tuning
from shared.spend import records
from shared.spend.entry import Entry
from shared.spend.places import DAY_S
from tests.jobs.world import ANN, KEY, TOKENS, Strike, World

STRIKES = st.builds(Strike, st.integers(1, 40), st.sampled_from(["before", "after"]), st.booleans())


def charged(world: World) -> list[Entry]:
    """What the ledger has."""
    rows = (row for row in world.rows["ledger"].kept.values() if row.partition.startswith("batch_"))
    return [entry for row in rows for entry in records.entries_of(row)]


async def settled(world: World, status: str = "succeeded") -> list[Job]:
    """The jobs when nothing is left to be done for any."""
    for _ in range(12):
        await world.run()
    world.end(status)
    for _ in range(12):
        await world.run()
    return await world.jobs()


async def check(world: World, status: str = "succeeded") -> None:
    """Every job that its owner sees was made once, charged once, and left nothing behind."""
    jobs = await settled(world, status)
    assert [(job.status, job.over) for job in jobs] == [(status, True)] * len(jobs)
    assert len({job.job for job in jobs}) == len(world.made) == len(jobs)
    assert sorted(entry.entry_id for entry in charged(world)) == sorted(job.id for job in jobs)
    assert [entry.usage["training_tokens"] for entry in charged(world)] == [TOKENS] * len(jobs)
    assert world.left == []
    assert await world.means().store.open() == []
    assert world.shares.tasks == {}
    assert world.shares.spent(BUDGET, pots_of(KEY, world.now)[BUDGET]) == sum(one.cost or 0 for one in charged(world))
    files = world.means().files
    for job in jobs:
        for _, ours in job.results:
            assert (await files.find(ANN, ours)).purpose == "fine-tune-results"
        assert len(job.results) == 1


@settings(max_examples=150, deadline=None)
@given(first=STRIKES, others=st.lists(STRIKES, max_size=4), ends=st.integers(0, 4))
async def test_no_death_is_seen_in_what_comes_out(first: Strike, others: list[Strike], ends: int) -> None:
    world = World()
    await world.create(first)
    for number, strike in enumerate(others):
        if number == ends:
            world.end()
        await world.run(strike)
    await check(world)


@pytest.mark.parametrize("kills", [True, False])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(1, 30))
async def test_each_request_of_a_whole_life_may_be_the_last(at: int, when: str, kills: bool) -> None:
    world = World()
    made = await world.create(Strike(at, when, kills))  # type: ignore[arg-type]
    await world.run(Strike(at, when, kills))  # type: ignore[arg-type]
    world.end()
    await world.run(Strike(at, when, kills))  # type: ignore[arg-type]
    await check(world)
    assert made is None or made.id in [job.id for job in await world.jobs()]
    assert at < 7 or await world.jobs()  # the row of the job is there before its seventh request


async def test_a_job_that_was_cancelled_before_anybody_had_it_is_never_made() -> None:
    world = World()
    await world.create(Strike(11))
    [job] = await world.jobs()
    assert job.state == "uploading"
    cancelled = await Tuning(world.means()).act(ANN, job.id, "cancel")
    assert cancelled.status == "cancelled"
    await world.run()
    assert (world.made, world.left, charged(world)) == ([], [], [])


async def test_an_idle_run_asks_once() -> None:
    world = World()
    strike = Strike()
    await world.run(strike)
    assert strike.count == 1


async def test_what_one_resource_refuses_another_takes() -> None:
    world = World()
    world.accounts["a"].refuses = True
    job = await world.create()
    assert job is not None
    assert (job.resource, job.state) == ("b", "open")
    assert world.left == [job.upstream_name("training")]


async def test_what_every_resource_refuses_leaves_nothing() -> None:
    world = World()
    for account in world.accounts.values():
        account.refuses = True
    assert await world.create() is None
    assert (await world.jobs(), world.left, await world.means().store.open()) == ([], [], [])
    assert [row for row in world.rows["jobs"].kept.values() if row.partition.startswith("ftjob_")] == []


async def test_the_charge_counts_on_the_day_the_job_was_made() -> None:
    world = World()
    job = await world.create()
    assert job is not None
    world.now += 3 * DAY_S
    await check(world)
    [entry] = charged(world)
    assert (entry.started_at, entry.ended_at > entry.started_at + 2 * DAY_S) == (job.created_at, True)
    assert entry.cost == TOKENS * 3_000_000


async def test_a_job_is_kept_for_400_days_after_its_end() -> None:
    world = World()
    job = await world.create()
    assert job is not None
    await check(world)
    [job] = await world.jobs()
    tuning = Tuning(world.means())
    world.now = job.since + 400 * DAY_S - 1
    await tuning.review(job.id)
    assert await world.jobs() == [job]
    due = await world.means().files.agenda.due(world.now + 2, 100)
    assert [one.subject for one in due if one.kind == "ftjob"] == [job.id]
    world.now += 2
    await tuning.review(job.id)
    assert await world.jobs() == []
    await tuning.review(job.id)


async def test_a_job_that_is_not_over_is_not_removed() -> None:
    world = World()
    job = await world.create()
    assert job is not None
    world.now += 1000 * DAY_S
    await Tuning(world.means()).review(job.id)
    assert [one.id for one in await world.jobs()] == [job.id]


def held(world: World) -> list[int]:
    return [one.held for one in world.shares.tasks.values()]


async def test_what_training_may_cost_is_set_aside_until_it_is_known() -> None:
    """17 bytes are 4 tokens, which are gone through three times."""
    world = World()
    assert await world.create() is not None
    assert held(world) == [4 * 3 * 3_000_000]


async def test_a_job_that_the_budget_does_not_carry_is_a_402_and_leaves_nothing() -> None:
    world = World()
    asked = replace(await world.asked(), training=await world.file(b'{"messages": []}\n' * 6000))
    with pytest.raises(BudgetExceeded) as raised:
        await Tuning(world.means()).create(replace(asked, request={"hyperparameters": {"n_epochs": 14}}))
    assert raised.value.status == 402
    assert (await world.jobs(), await world.means().store.open(), held(world)) == ([], [], [])


async def test_a_job_that_no_resource_takes_gives_back_what_was_set_aside() -> None:
    world = World()
    for account in world.accounts.values():
        account.refuses = True
    assert await world.create() is None
    assert world.shares.tasks == {}


@pytest.mark.parametrize(
    ("request_", "count"),
    [
        ({}, 3),
        ({"hyperparameters": {"n_epochs": 2}}, 2),
        ({"hyperparameters": {"n_epochs": "auto"}}, 3),
        ({"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 5}}}}, 5),
        ({"method": {"type": "supervised", "supervised": None}}, 3),
    ],
)
def test_the_estimate_knows_how_often_the_file_is_gone_through(request_: dict[str, Any], count: int) -> None:
    assert budget.epochs(request_) == count
