"""Many open batches: what a run of the timer takes of the instance, and of storage where nothing is new."""

from __future__ import annotations

from typing import Any

from shared.batches.driver import AT_ONCE, Driver
from tests.batches.world import World, names


async def running(count: int, job_s: float = 30.0) -> tuple[World, Driver, list[str]]:
    """So many batches that run at their deployments, for so long."""
    world = World(job_s=job_s)
    driver = world.worker()
    ids = [(await world.create(names(2))).id for _ in range(count)]
    for batch_id in ids:
        await driver.move(batch_id, world.now + 200)
    return world, driver, ids


async def test_a_run_takes_few_tasks_however_many_batches_are_open() -> None:
    world, driver, ids = await running(5 * AT_ONCE)
    most = 0
    start = world.supervisor.start

    def counting(*arguments: Any) -> Any:
        nonlocal most
        task: Any = start(*arguments)
        most = max(most, len(world.supervisor))
        return task

    setattr(world.supervisor, "start", counting)  # noqa: B010 - mypy
    world.now += 30
    assert await driver.run() == len(ids)
    assert most <= 2 * AT_ONCE


async def test_a_run_that_sees_nothing_new_writes_nothing() -> None:
    world, driver, ids = await running(3, job_s=10_000.0)
    world.now += 60
    await driver.run()  # which sees that they run
    written = {place: row.etag for place, row in world.rows.kept.items()}
    world.now += 60
    assert await driver.run() == len(ids)
    assert {place: row.etag for place, row in world.rows.kept.items()} == written


async def test_what_a_run_sees_for_the_first_time_is_written() -> None:
    world, driver, ids = await running(1)
    world.now += 60
    await driver.run()
    batch = await world.finish(ids[0])
    assert batch.state == "completed"
