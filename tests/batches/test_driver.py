"""A batch from its beginning to its end: shards, results, ledger, what is left behind."""

from __future__ import annotations

import pytest

from shared.spend.records import entries_of
from tests.batches.world import NOW, Strike, World, names


async def test_a_batch_finishes_with_every_result_and_leaves_nothing_behind() -> None:
    world = World()
    ids = names(10)
    batch = await world.finish((await world.create(ids)).id)
    assert batch.state == "completed"
    assert world.results(batch) == dict.fromkeys(ids, "ok")
    assert [one["custom_id"] for one in world.file(batch.output_id)] != []
    world.assert_priced(ids)
    world.assert_nothing_left()


@pytest.mark.parametrize("at", range(1, 120, 2))
async def test_a_worker_may_be_killed_at_any_request(at: int) -> None:
    world = World(quotas={"d0": 300, "d1": 200, "d2": 100}, plan={"task-3": [429, "ok"], "task-5": [400]})
    ids = names(12)
    batch = await world.create(ids, rounds=1)
    strike = Strike(at)
    driver = world.worker(strike)
    for _ in range(40):
        if not await world.move(batch.id, driver):
            break
        world.now += 11
    batch = await world.finish(batch.id)
    assert world.results(batch) == {**dict.fromkeys(ids, "ok"), "task-5": "400"}
    world.assert_priced(ids)
    world.assert_nothing_left()


@pytest.mark.parametrize("at", range(160, 200))
async def test_a_line_is_charged_on_one_day_when_its_worker_dies_around_midnight(at: int) -> None:
    world = World(quotas={"d0": 150, "d1": 120, "d2": 100}, job_s=9.0)
    midnight = NOW - NOW % 86_400 + 86_400
    world.now = midnight - 60

    def slow(what: str) -> None:
        world.now = min(world.now + 0.2, midnight - 1)
        strike(what)

    ids, strike = names(9), Strike(at)
    batch = await world.create(ids)
    driver = world.worker(slow)
    for _ in range(20):
        if not await world.move(batch.id, driver):
            break
    world.now = midnight + 11
    await world.finish(batch.id)
    rows = [row for row in world.ledger_rows.kept.values() if row.partition.startswith("batch_")]
    entered = [entry.entry_id for row in rows for entry in entries_of(row)]
    assert len(entered) == len(set(entered)) == len(ids)
