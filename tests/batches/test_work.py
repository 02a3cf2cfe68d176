"""A batch in the hands of a worker: held while it is worked on, and stored by one thing at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shared.batches import machine
from shared.batches.document import Batch
from shared.batches.machine import LEASE_S
from shared.batches.store import BatchStore
from shared.batches.work import RENEW_S, Work
from tests.batches.world import NOW, World, names
from tests.memory_table import MemoryTable


async def at_work(world: World, strike: Callable[[str], None] | None = None) -> Work:
    batch = await world.create(names(3))
    driver = world.worker(strike)
    found = await BatchStore(MemoryTable(world.rows)).load(batch.id)
    assert found is not None
    means = driver._means
    taken = machine.taken(found[0], means.worker, world.now)
    assert taken is not None
    work = Work(means, *found)
    await work.save(taken)
    return work


async def test_a_save_and_the_renewing_of_the_hold_do_not_take_each_other_for_another_worker() -> None:
    world = World()
    work = await at_work(world)
    world.now += RENEW_S
    await asyncio.gather(work.hold(), work.save(work.batch.at("in_progress_at", world.now)), work.hold())
    stored = await world.batch(work.batch.id)
    assert stored == work.batch
    assert "in_progress_at" in stored.times
    assert stored.held_until == world.now + LEASE_S


async def test_a_hold_is_renewed_only_where_nothing_was_stored_of_late() -> None:
    world = World()
    work = await at_work(world)
    until = (await world.batch(work.batch.id)).held_until
    world.now += RENEW_S / 2
    await work.hold()
    assert (await world.batch(work.batch.id)).held_until == until
    world.now += RENEW_S
    await work.hold()
    assert (await world.batch(work.batch.id)).held_until == world.now + LEASE_S


async def test_what_is_seen_while_a_hold_is_renewed_is_not_forgotten() -> None:
    world = World()
    seen: list[Batch] = []

    def see(what: str) -> None:
        if world.now > NOW and not seen:  # the hold is on its way to storage
            seen.append(work.batch.at("in_progress_at", world.now))
            work.batch = seen[0]

    work = await at_work(world, see)
    world.now += RENEW_S
    await work.hold()
    assert work.batch is seen[0]
    assert not work.is_stored
    await work.save(work.batch)
    assert "in_progress_at" in (await world.batch(work.batch.id)).times
