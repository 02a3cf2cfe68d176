"""What resources, storage and callers may do to a batch that they should not, and what comes of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import pytest

from shared.batches.document import Batch
from shared.batches.reading import Piece
from shared.batches.store import BatchStore
from shared.batches.watching import GRACE_S
from shared.batches.work import Lost, Work
from shared.errors import StorageFailed
from tests.batches.world import World, names
from tests.memory_table import MemoryTable


async def begun(world: World, count: int = 9) -> Batch:
    """A batch whose requests run at a resource."""
    batch = await world.create(names(count))
    await world.move(batch.id)
    found = await world.batch(batch.id)
    assert [one.state for one in found.shards] == ["in_progress"]
    return found


async def test_results_in_reverse_order_come_back_in_that_of_the_requests() -> None:
    world = World()
    assert world.azure.reversed
    batch = await world.create(names(9), chunk_bytes=10_000)
    batch = await world.finish(batch.id)
    assert [one["custom_id"] for one in world.file(batch.output_id)] == names(9)


async def test_a_result_that_stands_there_twice_is_told_and_priced_once() -> None:
    world = World(plan={"task-2": ["twice"]})
    batch = await world.finish((await world.create(names(4))).id)
    assert world.results(batch) == dict.fromkeys(names(4), "ok")
    world.assert_priced(names(4))


async def test_a_request_without_a_result_is_told_so_and_entered_with_its_estimate() -> None:
    world = World(plan={"task-2": ["lost"]})
    batch = await world.finish((await world.create(names(4))).id)
    assert world.results(batch) == {**dict.fromkeys(names(4), "ok"), "task-2": "no_result"}
    assert Counter(one.status for one in world.entries()) == {"settled": 3, "unknown": 1}
    world.assert_priced(names(4))


async def test_a_batch_that_completed_without_its_output_file_is_waited_for_then_told() -> None:
    world = World(no_output=True)
    batch = await world.create(names(4))
    await world.move(batch.id)
    world.now += 60
    await world.move(batch.id)
    assert (await world.batch(batch.id)).shards[0].state == "in_progress"
    world.now += GRACE_S + 1
    batch = await world.finish(batch.id)
    assert world.results(batch) == dict.fromkeys(names(4), "no_result")
    assert batch.state == "completed"
    assert {one.status for one in world.entries()} == {"unknown"}
    world.assert_priced(names(4))


async def test_a_status_that_nobody_knows_is_one_of_a_batch_that_goes_on() -> None:
    world = World()
    batch = await begun(world)
    (job,) = world.azure.jobs.values()
    job.status = "deliberating"
    for _ in range(5):
        world.now += 20
        await world.move(batch.id)
    assert (await world.batch(batch.id)).shards[0].state == "in_progress"
    job.status = "in_progress"
    batch = await world.finish(batch.id)
    assert world.results(batch) == dict.fromkeys(names(9), "ok")


async def test_a_batch_that_its_resource_lost_is_told_without_results() -> None:
    world = World()
    batch = await begun(world)
    world.azure.jobs.clear()
    world.azure.bill.clear()
    batch = await world.finish(batch.id)
    assert world.results(batch) == dict.fromkeys(names(9), "no_result")
    assert {one.status for one in world.entries()} == {"unknown"}
    assert world.spent == world.charged


async def test_results_that_vanish_before_they_are_read_are_told() -> None:
    world = World()
    batch = await begun(world)
    world.now += 40
    world.azure.turn()
    for job in world.azure.jobs.values():
        world.azure.files.pop((job.resource, job.output))
    batch = await world.finish(batch.id)
    assert world.results(batch) == dict.fromkeys(names(9), "no_result")
    world.assert_priced(names(9))


async def test_a_batch_that_fails_for_a_reason_of_its_own_fails() -> None:
    world = World()
    batch = await begun(world)
    (job,) = world.azure.jobs.values()
    job.status, job.errors = "failed", ({"code": "x", "message": "y"},)
    batch = await world.finish(batch.id)
    assert (batch.state, [one["code"] for one in batch.errors]) == ("failed", ["x"])
    assert (world.entries(), world.spent) == ([], 0)
    world.assert_nothing_left()


async def test_an_input_that_is_deleted_while_it_is_read_fails_the_batch() -> None:
    world = World()
    batch = await world.create(names(9))
    world.blobs.blobs.pop(batch.input_file_id)
    batch = await world.finish(batch.id)
    assert (batch.state, [one["code"] for one in batch.errors]) == ("failed", ["file_not_found"])
    assert world.azure.jobs == {}
    world.assert_nothing_left()


async def test_an_input_that_another_came_in_the_place_of_is_read_as_it_is_then() -> None:
    """Files are never changed; if somebody does so in storage, what is sent is what is told."""
    world = World()
    batch = await world.create(names(3))
    data, about = world.blobs.blobs[batch.input_file_id]
    world.blobs.blobs[batch.input_file_id] = data.replace(b"task-1", b"task-X"), about
    batch = await world.finish(batch.id)
    assert world.results(batch) == dict.fromkeys(["task-0", "task-X", "task-2"], "ok")


async def test_a_document_that_another_changed_is_not_overwritten() -> None:
    """Table Storage's 412."""
    world = World()
    batch = await world.create(names(2))
    store = BatchStore(MemoryTable(world.rows))
    found = await store.load(batch.id)
    assert found is not None
    await world.change(replace(batch, alias="changed"))
    means = world.worker()._means
    with pytest.raises(Lost):
        await Work(means, *found).save(replace(batch, alias="mine"))
    assert (await world.batch(batch.id)).alias == "changed"


async def test_a_worker_that_lost_its_batch_while_it_read_results_spoils_nothing() -> None:
    """Its lease ran out while storage was slow: another has read on meanwhile."""
    world = World()
    batch = await begun(world)
    world.now += 40
    reached, go_on = asyncio.Event(), asyncio.Event()
    slow = world.worker()
    collector = slow._collector
    keep = collector._keep

    async def slowly(work: Work, piece: Piece, key: str) -> None:
        reached.set()
        await go_on.wait()
        await keep(work, piece, key)

    collector._keep = slowly  # type: ignore[method-assign]
    task = asyncio.create_task(world.move(batch.id, slow))
    await reached.wait()
    world.now += 11
    batch = await world.finish(batch.id)
    go_on.set()
    await task
    assert world.results(batch) == dict.fromkeys(names(9), "ok")
    assert await world.batch(batch.id) == batch
    world.assert_priced(names(9))
    world.assert_nothing_left()


async def test_storage_that_is_away_in_the_middle_stops_a_worker_and_no_batch() -> None:
    world = World()
    batch = await world.create(names(9))
    for at in range(1, 60, 3):
        count = 0

        def strike(_: str, at: int = at) -> None:
            nonlocal count
            count += 1
            if count == at:
                raise StorageFailed("down")

        driver = world.worker(strike)
        with suppress(StorageFailed, Lost):
            await driver.move(batch.id, world.now + 200)
        world.now += 11
    batch = await world.finish(batch.id)
    assert world.results(batch) == dict.fromkeys(names(9), "ok")
    world.assert_priced(names(9))
