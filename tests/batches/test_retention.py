"""Batches that are over and Idempotency-Keys are kept for a time, then the sweep removes them."""

from __future__ import annotations

import pytest

from shared import config
from shared.batches import keyed, wired
from shared.batches.document import Batch
from shared.batches.service import Batches
from shared.errors import StorageFailed
from shared.files.agenda import Agenda
from shared.files.files import Files
from shared.files.identity import BATCH
from shared.ids import CallIds
from shared.routing.router import Router
from shared.upstream.client import UpstreamClient
from shared.upstream.transport import create_transport
from tests.batches.world import ANN, CONFIG, NOW, SEALER, Strike, World, deployments, names
from tests.files.resources import Resources
from tests.files.world import BEN
from tests.memory_table import MemoryTable

DAY_S = 86_400.0


def everything(world: World, settings: str = "") -> tuple[Batches, Files]:
    """Batches and files as a gateway has them."""
    parsed = config.parse(CONFIG + settings, {})
    files = Files(world.files(), Resources(), deployments)
    table, ledger = MemoryTable(world.rows), MemoryTable(world.ledger_rows)
    router = Router(parsed, lambda match: pytest.fail("nothing is sent"), lambda: world.now, lambda: 0.5)
    client = UpstreamClient(create_transport(1), lambda: create_transport(1))
    ids = CallIds("i", lambda: world.now)
    return wired.batches(table, ledger, files, router, client, ids, SEALER, parsed), files


async def finished(world: World) -> Batch:
    return await world.finish((await world.create(names(3))).id)


async def there(world: World, batch: Batch) -> bool:
    return await everything(world)[0].means.store.load(batch.id) is not None


async def test_a_batch_is_kept_for_90_days_after_its_end() -> None:
    world = World()
    batch = await finished(world)
    _, files = everything(world)
    world.now = batch.times["completed_at"] + 90 * DAY_S - 1
    await files.sweep()
    assert await there(world, batch)
    world.now += 2
    await files.sweep()
    assert not await there(world, batch)
    assert {row.properties["purpose"] for row in world.rows.kept.values()} == {"batch_output"}


async def test_a_longer_retention_holds_for_batches_that_are_over_already() -> None:
    world = World()
    batch = await finished(world)
    longer = "general_settings: {batch_retention_days: 100}"
    world.now = batch.times["completed_at"] + 91 * DAY_S
    await everything(world, longer)[1].sweep()
    assert await there(world, batch)
    world.now = batch.times["completed_at"] + 100 * DAY_S + 1
    await everything(world, longer)[1].sweep()
    assert not await there(world, batch)


async def test_a_batch_that_runs_is_not_removed_whatever_the_agenda_says() -> None:
    world = World()
    batch = await world.create(names(3))
    made, files = everything(world)
    await made.means.files.agenda.note(NOW, BATCH, batch.id)
    world.now += 1000 * DAY_S
    await files.sweep()
    assert await there(world, batch)


@pytest.mark.parametrize("at", range(1, 200, 7))
async def test_a_batch_whose_workers_are_killed_is_removed_as_well(at: int) -> None:
    world = World()
    batch = await world.create(names(3))
    await world.move(batch.id, world.worker(Strike(at)))
    world.now += 11
    batch = await world.finish(batch.id)
    world.now += 91 * DAY_S
    await everything(world)[1].sweep()
    assert {row.properties["purpose"] for row in world.rows.kept.values()} == {"batch_output"}


async def test_an_idempotency_key_is_known_for_a_day() -> None:
    world = World()
    batches, files = everything(world)
    assert await batches.keyed.claim(ANN, "k", "batch_1", "said") == ("batch_1", "said")
    world.now += DAY_S - 1
    await files.sweep()
    assert await batches.keyed.claim(ANN, "k", "batch_2", "other") == ("batch_1", "said")
    assert await batches.keyed.claim(BEN, "k", "batch_3", "x") == ("batch_3", "x")
    world.now += 2
    await files.sweep()
    assert await batches.keyed.claim(ANN, "k", "batch_2", "other") == ("batch_2", "other")
    assert await batches.keyed.claim(BEN, "k", "batch_4", "x") == ("batch_3", "x")
    world.now += DAY_S + 1
    await files.sweep()
    assert world.rows.kept == {}


async def test_a_note_of_an_earlier_use_does_not_remove_a_key_that_is_used_again() -> None:
    world = World()
    batches, files = everything(world)
    await batches.keyed.claim(ANN, "k", "batch_1", "said")
    (name,) = (key for partition, key in world.rows.kept if partition == keyed.KEYS)
    await MemoryTable(world.rows).remove(keyed.KEYS, name)
    world.now += DAY_S - 10
    await batches.keyed.claim(ANN, "k", "batch_2", "said")
    world.now += 20
    await files.sweep()
    assert await batches.keyed.claim(ANN, "k", "batch_3", "said") == ("batch_2", "said")


@pytest.mark.parametrize("what", ["put", "insert"])
async def test_a_key_whose_creation_was_cut_is_claimed_by_the_next_and_removed_in_time(what: str) -> None:
    world = World()
    batches, files = everything(world)
    table = MemoryTable(world.rows, after=lambda asked: _fail(asked == what))
    cut = keyed.Keyed(table, lambda: Agenda(table), lambda: world.now)
    with pytest.raises(StorageFailed):
        await cut.claim(ANN, "k", "batch_1", "said")
    known, _ = await batches.keyed.claim(ANN, "k", "batch_2", "said")
    assert known == ("batch_2" if what == "put" else "batch_1")
    world.now += DAY_S + 1
    await files.sweep()
    assert world.rows.kept == {}


async def test_many_that_are_due_are_removed_within_a_sweeps_bounds() -> None:
    world = World()
    batches, files = everything(world)
    for number in range(120):
        await batches.keyed.claim(ANN, str(number), f"batch_{number}", "said")
    world.now += DAY_S + 1
    assert await files.sweep(seconds=0) == 0
    assert await files.sweep() == 120
    assert world.rows.kept == {}


def _fail(now: bool) -> None:
    if now:
        raise StorageFailed("down")
