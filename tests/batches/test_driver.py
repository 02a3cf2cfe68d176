"""A batch from its beginning to its end: shards, results, ledger, what is left behind."""

from __future__ import annotations

import pytest

from tests.batches.world import Strike, World, names


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
