"""The store: what is kept is found by its owner; a failure or a kill at any request leaves nothing half done."""

from __future__ import annotations

from contextlib import suppress

import pytest

from shared.errors import NotFound, StorageFailed, Unavailable
from shared.files import store as store_module
from shared.files.blocks import BLOCK_BYTES
from shared.files.listing import Wanted
from shared.files.store import ORPHAN_S, FileStore
from shared.files.stored_file import StoredFile
from shared.supervisor import Supervisor
from tests.files.world import ANN, BEN, MASTER, NOW, Killed, World

DAY_S = 86_400.0


async def all_gone(file_id: str) -> bool:
    return True


async def swept(world: World) -> None:
    """Every entry of the agenda that is due, looked at, until none is."""
    agenda = world.store.agenda
    while due := await agenda.due(world.now, 100):
        for entry in due:
            await world.store.review(entry.subject, all_gone)
            await agenda.done(entry)


async def ids(world: World) -> list[str]:
    return [file.id for file in (await world.store.page(MASTER, Wanted())).files]


async def test_a_file_comes_back_as_it_was_given(world: World) -> None:
    file = await world.keep(b"line\n" * 1000, filename="lines.jsonl")
    found = await world.instance().find(ANN, file.id)
    assert found == file
    assert (found.filename, found.purpose, found.bytes_count) == ("lines.jsonl", "batch", 5000)
    assert (found.created_at, found.expires_at) == (int(NOW), None)
    assert await world.read(found) == b"line\n" * 1000


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES])
async def test_a_file_of_any_size_is_kept_whole(world: World, size: int) -> None:
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    new = world.store.begin(ANN)
    for at in range(0, size, 65_537):
        await new.write(data[at : at + 65_537])
    file = await new.finish(filename="f", purpose="batch")
    [(blob, about)] = world.blobs.blobs.values()
    assert (blob, about.metadata) == (data, {"v": "1"})
    assert file.bytes_count == size
    assert len(world.blobs.blocks) == -(-size // BLOCK_BYTES)


async def test_a_part_of_a_file_is_read(world: World) -> None:
    file = await world.keep(b"0123456789")
    blob = await world.store.open(file, 2, 3)
    assert b"".join([piece async for piece in world.store.chunks(blob)]) == b"234"
    assert (blob.start, blob.length, blob.bytes_count) == (2, 3, 10)


async def test_nobody_else_finds_a_file_but_the_master_key(world: World) -> None:
    file = await world.keep()
    with pytest.raises(NotFound, match=file.id):
        await world.store.find(BEN, file.id)
    assert await world.store.find(MASTER, file.id) == file


async def test_owners_whose_partition_is_the_same_do_not_see_each_other(world: World) -> None:
    file = await world.keep()
    [row] = [row for row in world.table.all if row.partition.startswith("file_")]
    assert row.properties["owner"] == "ann"
    world.table.table.kept[row.partition, row.key] = type(row)(
        row.partition, row.key, {**row.properties, "owner": "another"}, row.etag
    )
    with pytest.raises(NotFound):
        await world.store.find(ANN, file.id)
    with pytest.raises(NotFound):
        await world.store.delete(ANN, file.id)
    assert (await world.store.page(ANN, Wanted())).files == []


@pytest.mark.parametrize("wrong", ["", "file-x", "nothing", "file-" + "0" * 32, "../x"])
async def test_an_id_that_is_none_is_not_found(world: World, wrong: str) -> None:
    await world.keep()
    with pytest.raises(NotFound) as caught:
        await world.store.find(MASTER, wrong, "body.file_id")
    assert caught.value.param == "body.file_id"


async def test_a_file_is_not_seen_before_it_is_finished(world: World) -> None:
    new = world.store.begin(ANN)
    await new.write(b"x" * BLOCK_BYTES)
    assert await ids(world) == []
    with pytest.raises(NotFound):
        await world.store.find(ANN, new.id)
    await new.abandon()
    assert (await ids(world), world.blobs.blobs) == ([], {})
    assert world.table.all == []


async def test_a_deleted_file_is_gone_with_its_bytes(world: World) -> None:
    file, other = await world.keep(), await world.keep(b"other")
    await world.store.delete(ANN, file.id)
    with pytest.raises(NotFound):
        await world.store.find(ANN, file.id)
    assert await ids(world) == [other.id]
    assert list(world.blobs.blobs) == [other.id]
    with pytest.raises(NotFound):
        await world.store.delete(ANN, file.id)


async def test_nobody_else_deletes_a_file_but_the_master_key(world: World) -> None:
    file = await world.keep()
    with pytest.raises(NotFound):
        await world.store.delete(BEN, file.id)
    assert await ids(world) == [file.id]
    await world.store.delete(MASTER, file.id)
    assert await ids(world) == []


async def test_a_file_that_is_deleted_while_it_is_read_breaks_off(world: World) -> None:
    file = await world.keep(b"0123456789")
    chunks = world.store.chunks(await world.store.open(file))
    assert await anext(chunks) == b"0123"
    await world.store.delete(ANN, file.id)
    with pytest.raises(StorageFailed):
        await anext(chunks)
    with pytest.raises(NotFound):
        await world.store.open(file)


async def test_a_file_expires_to_the_second_and_is_swept_later(world: World) -> None:
    file = await world.keep(expires_after_s=int(DAY_S))
    world.now = NOW + DAY_S - 1
    await swept(world)
    assert await ids(world) == [file.id]
    assert await world.read(file) == b"some bytes"
    world.now += 1
    assert await ids(world) == []
    for look in (world.store.find, world.store.delete):
        with pytest.raises(NotFound):
            await look(ANN, file.id)
    world.now += 1
    await swept(world)
    assert (world.blobs.blobs, world.table.all) == ({}, [])


async def test_a_sweep_leaves_what_is_kept(world: World) -> None:
    file = await world.keep()
    world.now += 400 * DAY_S
    await swept(world)
    assert await world.read(await world.store.find(ANN, file.id)) == b"some bytes"
    assert len(world.table.all) == 1


async def test_a_sweep_with_nothing_to_do_asks_once(world: World) -> None:
    await world.keep()
    world.table.calls.clear()
    assert await world.store.agenda.due(world.now, 100) == []
    assert world.table.calls == {"rows": 1}


async def test_copies_that_stay_are_tried_again(world: World) -> None:
    file = await world.keep()
    await world.store.delete(ANN, file.id)
    world.now += ORPHAN_S
    tries: list[str] = []

    async def stays(file_id: str) -> bool:
        tries.append(file_id)
        return len(tries) > 2

    while await world.store.agenda.due(world.now, 100) or len(tries) <= 2:
        for entry in await world.store.agenda.due(world.now, 100):
            await world.store.review(entry.subject, stays)
            await world.store.agenda.done(entry)
        world.now += ORPHAN_S
    assert set(tries) == {file.id}
    assert world.table.all == []


MOMENTS = [(number, when) for number in range(1, 7) for when in ("before", "after")]


@pytest.mark.parametrize(("number", "when"), MOMENTS)
async def test_a_failure_at_any_request_keeps_a_whole_file_or_none(world: World, number: int, when: str) -> None:
    world.fail_at(number, when)
    try:
        file: StoredFile | None = await world.keep(b"whole")
    except StorageFailed:
        file = None
    world.mend()
    assert world.store.writers.taken == 0
    assert await ids(world) == ([] if file is None else [file.id])
    if file is not None:
        assert await world.read(file) == b"whole"
    world.now += ORPHAN_S + 1
    await swept(world)
    assert len(world.blobs.blobs) == len(await ids(world))


@pytest.mark.parametrize(("number", "when"), MOMENTS)
async def test_a_kill_at_any_request_of_an_upload_leaves_a_whole_file_or_none(
    world: World, number: int, when: str
) -> None:
    world.kill_at(number, when)
    with suppress(Killed):
        await world.keep(b"whole")
    world.mend()
    seen = await ids(world)
    assert set(seen) <= set(world.blobs.blobs)
    world.now += ORPHAN_S + 1
    await swept(world)
    assert await ids(world) == seen
    assert list(world.blobs.blobs) == seen


@pytest.mark.parametrize(("number", "when"), MOMENTS)
async def test_a_kill_at_any_request_of_a_deletion_leaves_a_file_that_can_be_deleted(
    world: World, number: int, when: str
) -> None:
    file = await world.keep(b"whole")
    world.kill_at(number, when)
    with suppress(Killed):
        await world.store.delete(ANN, file.id)
    world.mend()
    if file.id in await ids(world):
        assert await world.read(file) == b"whole"
    with suppress(NotFound):
        await world.store.delete(ANN, file.id)
    assert (await ids(world), world.blobs.blobs) == ([], {})
    world.now += ORPHAN_S + 1
    await swept(world)
    assert world.table.all == []


@pytest.mark.parametrize(("number", "when"), MOMENTS)
async def test_a_kill_at_any_request_of_a_deletion_is_ended_by_a_sweep(world: World, number: int, when: str) -> None:
    file = await world.keep(b"whole")
    world.kill_at(number, when)
    with suppress(Killed):
        await world.store.delete(ANN, file.id)
    world.mend()
    seen = await ids(world)
    world.now += ORPHAN_S + 1
    await swept(world)
    assert list(world.blobs.blobs) == seen
    assert len(world.table.all) == len(seen)


async def test_a_row_whose_acknowledgement_was_lost_is_found_again(world: World) -> None:
    world.table.after = lambda what: lose(what)

    def lose(what: str) -> None:
        if what == "insert":
            raise StorageFailed("no acknowledgement")

    file = await world.keep()
    assert await ids(world) == [file.id]


async def test_only_so_many_files_are_received_at_once(world: World) -> None:
    begun = [world.store.begin(ANN) for _ in range(store_module.WRITERS_MAX)]
    with pytest.raises(Unavailable) as caught:
        world.store.begin(ANN)
    assert caught.value.retry_after_ms == 1000
    for new in begun:
        await new.abandon()
        await new.abandon()
    assert world.store.writers.taken == 0
    await world.keep()


async def test_without_a_storage_account_it_is_said_what_to_set() -> None:
    store = FileStore(None, Supervisor(), lambda: NOW)
    with pytest.raises(Unavailable, match="Set AzureWebJobsStorage") as caught:
        store.begin(ANN)
    assert (caught.value.code, caught.value.should_retry) == ("storage_not_configured", False)
    with pytest.raises(Unavailable):
        await store.find(ANN, "file-x")
    await store.close()
