"""Copies at resources: one for each file and resource, found again by any instance, and gone when they should be."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from shared.errors import BadRequest, NotFound, PayloadTooLarge, Replay, StorageFailed, UpstreamNoReply, UpstreamTimeout
from shared.files import copies
from shared.files.copies import COPY_S, FRESH_S
from shared.files.files import AGAIN_S
from shared.files.store import ERASE_AGAIN_S, ORPHAN_S
from shared.upstream.resource_files import EXPIRES_S
from tests.files.resources import EAST, WEST
from tests.files.world import ANN, Killed, World


async def test_a_file_is_copied_once_to_each_resource(world: World) -> None:
    file = await world.keep(b"data")
    east = await world.files.copies.at(file, EAST)
    assert await world.files.copies.at(file, EAST) == east
    west = await world.files.copies.at(file, WEST)
    assert world.resources.files == {("east", east): b"data", ("west", west): b"data"}


async def test_another_instance_finds_the_copy(world: World) -> None:
    file = await world.keep()
    upstream_id = await world.files.copies.at(file, EAST)
    assert await world.another().copies.at(file, EAST) == upstream_id
    assert world.resources.uploads == 1


async def test_calls_at_once_wait_for_one_upload(world: World) -> None:
    file = await world.keep()
    found = await asyncio.gather(*(world.files.copies.at(file, EAST) for _ in range(5)))
    assert (set(found), world.resources.uploads) == ({*world.resources.at(EAST)}, 1)
    await world.rest()


async def test_a_call_that_is_cancelled_takes_nothing_from_the_others(world: World) -> None:
    file = await world.keep()
    first = asyncio.ensure_future(world.files.copies.at(file, EAST))
    second = asyncio.ensure_future(world.files.copies.at(file, EAST))
    await asyncio.sleep(0)
    first.cancel()
    assert await second in world.resources.at(EAST)
    assert world.resources.uploads == 1


async def test_of_two_instances_at_once_one_copy_stays(world: World) -> None:
    file = await world.keep()
    found = await asyncio.gather(*(world.another().copies.at(file, EAST) for _ in range(3)))
    assert [*set(found)] == world.resources.at(EAST)


async def test_a_copy_is_made_anew_before_it_expires_and_the_old_one_goes(world: World) -> None:
    file = await world.keep()
    old = await world.files.copies.at(file, EAST)
    world.now += COPY_S - FRESH_S - 1
    assert await world.files.copies.at(file, EAST) == old
    world.now += 2
    new = await world.files.copies.at(file, EAST)
    assert (new != old, world.resources.at(EAST)) == (True, [new])
    assert COPY_S < EXPIRES_S


async def test_a_copy_is_swept_when_its_time_is_over(world: World) -> None:
    file = await world.keep()
    await world.files.copies.at(file, EAST)
    world.now += ORPHAN_S + 1
    await world.files.sweep()
    assert len(world.resources.files) == 1
    world.now += COPY_S
    await world.files.sweep()
    assert world.resources.files == {}
    assert len(world.table.all) == 1
    assert await world.files.copies.at(file, EAST) in world.resources.at(EAST)


async def test_the_copies_of_a_deleted_file_go_with_the_next_sweep(world: World) -> None:
    file = await world.keep()
    for one in (EAST, WEST):
        await world.files.copies.at(file, one)
    await world.store.delete(ANN, file.id)
    world.now += ERASE_AGAIN_S + 1
    await world.files.sweep()
    assert world.resources.files == {}
    world.now += COPY_S
    await world.files.sweep()
    assert world.table.all == []


async def test_a_copy_that_cannot_be_removed_is_tried_again(world: World) -> None:
    file = await world.keep()
    await world.files.copies.at(file, EAST)
    world.now += COPY_S + 1
    world.resources.failure = UpstreamNoReply("gone")
    await world.files.sweep()
    assert len(world.resources.files) == 1
    world.now += AGAIN_S + 1
    await world.files.sweep()
    assert world.resources.files == {}


async def test_the_copies_of_a_deleted_file_that_cannot_be_removed_are_tried_again(world: World) -> None:
    file = await world.keep()
    await world.files.copies.at(file, EAST)
    await world.store.delete(ANN, file.id)
    world.now += ERASE_AGAIN_S + 1
    world.resources.failure = UpstreamNoReply("gone")
    await world.files.sweep()
    assert len(world.resources.files) == 1
    world.now += ORPHAN_S + 1
    await world.files.sweep()
    assert world.resources.files == {}


async def test_a_copy_at_a_resource_that_is_configured_no_more_is_forgotten(world: World) -> None:
    file = await world.keep()
    await world.files.copies.at(file, EAST)
    world.reachable = [WEST]
    world.now += COPY_S + 1
    await world.files.sweep()
    assert len(world.resources.files) == 1  # it expires there by itself
    assert len(world.table.all) == 1


async def test_a_file_is_used_when_the_resource_has_read_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "READY_PAUSE_S", 0)
    world.resources.ready_after = 3
    await world.files.copies.at(await world.keep(), EAST)
    assert world.resources.asked == 3


async def test_a_resource_that_never_reads_it_may_be_passed_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "READY_S", 0.01)
    monkeypatch.setattr(copies, "READY_PAUSE_S", 0)
    world.resources.ready_after = 10**9
    with pytest.raises(UpstreamTimeout) as caught:
        await world.files.copies.at(await world.keep(), EAST)
    assert caught.value.replay is Replay.FREELY


async def test_nothing_was_billed_when_a_copy_fails(world: World) -> None:
    file = await world.keep()
    world.resources.failure = UpstreamNoReply("gone")
    with pytest.raises(UpstreamNoReply) as caught:
        await world.files.copies.at(file, EAST)
    assert caught.value.replay is Replay.FREELY
    assert await world.files.copies.at(file, EAST) in world.resources.at(EAST)


async def test_a_copy_that_the_resource_lost_is_made_anew_after_its_complaint(world: World) -> None:
    file = await world.keep()
    lost = await world.files.copies.at(file, EAST)
    world.resources.files.clear()
    world.resources.lost.add(lost)
    assert await world.files.copies.at(file, EAST) == lost
    world.files.copies.doubt(file.id, EAST.resource_tag)
    new = await world.files.copies.at(file, EAST)
    assert world.resources.at(EAST) == [new]
    assert new != lost


async def test_a_complaint_without_reason_costs_one_look(world: World) -> None:
    file = await world.keep()
    upstream_id = await world.files.copies.at(file, EAST)
    world.files.copies.doubt(file.id, EAST.resource_tag)
    assert [await world.files.copies.at(file, EAST) for _ in range(3)] == [upstream_id] * 3
    assert (world.resources.asked, world.resources.uploads) == (1, 1)


async def test_a_full_resource_gives_up_its_oldest_copies(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "EVICTED", 2)
    world.resources.full = 3
    files = [await world.keep(bytes([number])) for number in range(4)]
    made = []
    for file in files:
        made.append(await world.files.copies.at(file, EAST))
        world.now += 1
    assert world.resources.at(EAST) == made[2:]
    assert await world.files.copies.at(files[0], EAST) not in made


async def test_a_resource_that_refuses_a_file_is_believed(world: World) -> None:
    file = await world.keep()
    world.resources.failure = BadRequest("Not this kind of file.", code="invalidPayload")
    with pytest.raises(BadRequest, match="Not this kind"):
        await world.files.copies.at(file, EAST)


async def test_a_file_that_no_model_reads_is_not_copied(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "COPY_BYTES_MAX", 3)
    with pytest.raises(PayloadTooLarge):
        await world.files.copies.at(await world.keep(b"four"), EAST)
    assert world.resources.uploads == 0


async def test_a_file_that_is_deleted_meanwhile_is_not_found(world: World) -> None:
    file = await world.keep()
    await world.store.delete(ANN, file.id)
    with pytest.raises(NotFound):
        await world.files.copies.at(file, EAST)


async def test_whose_copy_it_is_is_known_here_and_learned_elsewhere(world: World) -> None:
    file = await world.keep()
    upstream_id = await world.files.copies.at(file, EAST)
    assert world.files.copies.original(EAST.resource_tag, upstream_id) == file.id
    other = world.another().copies
    assert other.original(EAST.resource_tag, upstream_id) is None
    await other.learn(EAST.resource_tag, [upstream_id, "assistant-unknown", upstream_id])
    assert other.original(EAST.resource_tag, upstream_id) == file.id
    assert other.original(WEST.resource_tag, upstream_id) is None


async def test_what_is_known_here_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "KNOWN_MAX", 2)
    files = [await world.keep() for _ in range(4)]
    made = [await world.files.copies.at(file, EAST) for file in files]
    assert [world.files.copies.original(EAST.resource_tag, one) is not None for one in made] == [False] * 2 + [True] * 2
    assert [await world.files.copies.at(file, EAST) for file in files] == made


MOMENTS = [(number, when) for number in range(1, 9) for when in ("before", "after")]


@pytest.mark.parametrize(("number", "when"), MOMENTS)
async def test_a_kill_while_copying_leaves_at_most_one_upload_without_a_row(
    world: World, number: int, when: str
) -> None:
    file = await world.keep()
    world.kill_at(number, when)
    with suppress(Killed):
        await world.files.copies.at(file, EAST)
    world.mend()
    assert await world.another().copies.at(file, EAST) in world.resources.at(EAST)
    world.now += COPY_S + 1
    await world.another().sweep()
    assert len(world.resources.files) <= 1  # it expires at the resource, as does everything that is uploaded
    assert {row.partition.partition("_")[0] for row in world.table.all} <= {"file"}


@pytest.mark.parametrize(("number", "when"), MOMENTS)
async def test_a_kill_while_removing_is_ended_by_the_next_sweep(world: World, number: int, when: str) -> None:
    file = await world.keep()
    await world.files.copies.at(file, EAST)
    await world.store.delete(ANN, file.id)
    world.now += COPY_S + 1
    world.kill_at(number, when)
    with suppress(Killed):
        await world.files.sweep()
    world.mend()
    world.now += AGAIN_S + 1
    await world.another().sweep()
    assert world.resources.files == {}
    assert world.table.all == []


@pytest.mark.parametrize(("number", "when"), MOMENTS)
async def test_a_storage_failure_while_copying_is_mended_by_the_next_call(world: World, number: int, when: str) -> None:
    file = await world.keep()
    world.fail_at(number, when)
    with suppress(StorageFailed):
        await world.files.copies.at(file, EAST)
    world.mend()
    assert await world.files.copies.at(file, EAST) in world.resources.at(EAST)
