"""The sweep of files: cheap when nothing is due, bounded, and nothing that fails is in the way of the rest."""

from __future__ import annotations

import pytest

from shared.errors import StorageFailed, UpstreamNoReply
from shared.files.copies import COPY_S
from shared.files.files import Files
from shared.files.store import ORPHAN_S, FileStore
from shared.supervisor import Supervisor
from tests.files.resources import EAST, Resources
from tests.files.world import NOW, World


async def test_nothing_due_costs_one_request(world: World) -> None:
    await world.keep()
    world.table.calls.clear()
    assert await world.files.sweep() == 0
    assert world.table.calls == {"rows": 1}


async def test_without_a_storage_account_there_is_nothing_to_sweep() -> None:
    files = Files(FileStore(None, Supervisor(), lambda: NOW), Resources(), list)
    assert await files.sweep() == 0
    await files.close()


async def test_a_sweep_ends_in_its_time_and_the_next_goes_on(world: World) -> None:
    for _ in range(3):
        await world.keep()
    world.now += ORPHAN_S + 1
    assert await world.files.sweep(seconds=0) == 0
    assert await world.files.sweep() == 3
    assert await world.files.sweep() == 0


async def test_many_entries_are_looked_at_in_one_sweep(world: World) -> None:
    for _ in range(120):
        await world.keep()
    world.now += ORPHAN_S + 1
    assert await world.files.sweep() == 120


async def test_one_that_fails_is_put_off_and_the_others_are_looked_at(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = await world.keep(), await world.keep(expires_after_s=3600)
    await world.files.copies.at(first, EAST)
    world.now += COPY_S + 1
    world.resources.failure = UpstreamNoReply("gone")
    await world.files.sweep()
    assert list(world.blobs.blobs) == [first.id]
    assert second.id not in world.blobs.blobs
    assert "upstream_no_reply" in caplog.text


async def test_a_kind_that_is_not_known_is_no_obstacle(world: World) -> None:
    await world.store.agenda.note(NOW, "newer", "thing")
    world.now += 1
    assert await world.files.sweep() == 1
    assert world.table.all == []


async def test_an_agenda_that_cannot_be_read_is_said(world: World) -> None:
    world.fail_at(1, "before")
    with pytest.raises(StorageFailed):
        await world.files.sweep()


async def test_two_sweeps_at_once_do_no_harm(world: World) -> None:
    kept, gone = await world.keep(), await world.keep(expires_after_s=3600)
    world.now += ORPHAN_S + 1
    other = world.another()
    due = await world.store.agenda.due(world.now, 100)
    await world.files.sweep()
    for entry in due:
        await other._looked_at(entry)
    assert list(world.blobs.blobs) == [kept.id]
    assert gone.id not in world.blobs.blobs
