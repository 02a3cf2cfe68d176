"""Uploads in parts: a whole file or none, whatever is repeated, comes late, or is killed at any request."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from shared.errors import BadRequest, NotFound, SpillwayError, Unavailable
from shared.files.blocks import BLOCK_BYTES
from shared.files.checks import Check
from shared.files.listing import Wanted
from shared.files.store import ORPHAN_S
from shared.files.stored_file import StoredFile
from shared.files.upload import Part, Upload
from shared.files.uploads import COMPLETING_S, PARTS_MAX, UPLOAD_S, Uploads
from tests.files.world import ANN, BEN, MASTER, NOW, Killed, World


async def begun(uploads: Uploads, size: int, **changed: Any) -> Upload:
    about = {"filename": "a.txt", "purpose": "user_data", "bytes_count": size, "content_type": "text/plain"}
    return await uploads.create(ANN, **{**about, **changed})


async def part(uploads: Uploads, upload: Upload, data: bytes) -> Part:
    new = await uploads.begin_part(upload)
    try:
        await new.write(data)
        return await new.finish()
    finally:
        await new.abandon()


async def in_parts(world: World, *datas: bytes, **changed: Any) -> tuple[Upload, list[str]]:
    upload = await begun(world.files.uploads, sum(map(len, datas)), **changed)
    return upload, [(await part(world.files.uploads, upload, data)).id for data in datas]


async def completed(
    world: World, upload: Upload, part_ids: list[str], md5: str | None = None, check: Check | None = None
) -> tuple[Upload, StoredFile | None]:
    return await world.files.uploads.complete(ANN, upload.id, part_ids, md5, lambda _: check)


async def ids(world: World) -> list[str]:
    return [file.id for file in (await world.store.page(MASTER, Wanted())).files]


class Refusing:
    """A check that refuses everything."""

    def feed(self, chunk: bytes) -> bool:
        return False

    def finish(self) -> Mapping[str, Any]:
        raise BadRequest("no", code="refused")


class Counting:
    def __init__(self) -> None:
        self.seen = b""

    def feed(self, chunk: bytes) -> bool:
        self.seen += chunk
        return True

    def finish(self) -> Mapping[str, Any]:
        return {"bytes": len(self.seen)}


async def test_parts_become_a_file_in_the_order_that_is_asked_for(world: World) -> None:
    upload, [first, second] = await in_parts(world, b"world", b"x" * BLOCK_BYTES + b"hello ", expires_after_s=3600)
    done, file = await completed(world, upload, [second, first])
    assert file is not None
    assert await world.read(file) == b"x" * BLOCK_BYTES + b"hello world"
    assert (file.id, file.owner, file.expires_at) == (upload.file_id, "ann", int(NOW) + 3600)
    assert done.shown(file)["file"]["id"] == file.id
    assert await world.store.find(ANN, file.id) == file


async def test_an_upload_is_its_owners(world: World) -> None:
    upload, parts = await in_parts(world, b"one")
    with pytest.raises(NotFound):
        await world.files.uploads.find(BEN, upload.id)
    with pytest.raises(NotFound):
        await world.files.uploads.complete(BEN, upload.id, parts, None, lambda _: None)
    with pytest.raises(NotFound):
        await world.files.uploads.find(ANN, upload.file_id)
    assert (await world.files.uploads.find(MASTER, upload.id)).id == upload.id


async def test_what_a_check_finds_out_is_kept(world: World) -> None:
    upload, parts = await in_parts(world, b"one", b"two")
    check = Counting()
    _, file = await completed(world, upload, parts, check=check)
    assert (check.seen, file.notes if file else None) == (b"onetwo", {"bytes": 6})


async def test_a_refused_upload_may_be_completed_in_another_order(world: World) -> None:
    upload, [first, second] = await in_parts(world, b"one", b"two")
    md5 = hashlib.md5(b"onetwo", usedforsecurity=False).hexdigest()
    with pytest.raises(BadRequest, match="md5"):
        await completed(world, upload, [second, first], md5)
    with pytest.raises(BadRequest, match="no"):
        await completed(world, upload, [first, second], md5, Refusing())
    assert await ids(world) == []
    _, file = await completed(world, upload, [first, second], md5)
    assert file is not None
    assert await world.read(file) == b"onetwo"


async def test_parts_left_out_of_a_refused_completion_are_parts_no_more(world: World) -> None:
    upload = await begun(world.files.uploads, 3)
    first, second = [(await part(world.files.uploads, upload, data)).id for data in (b"one", b"two")]
    with pytest.raises(BadRequest):
        await completed(world, upload, [first], check=Refusing())
    with pytest.raises(BadRequest, match="no parts of this upload"):
        await completed(world, upload, [second])


async def test_completed_twice_gives_the_same_file(world: World) -> None:
    upload, parts = await in_parts(world, b"one")
    first = await completed(world, upload, parts)
    again = await completed(world, upload, parts)
    assert (again[0].status, again[1]) == ("completed", first[1])
    await world.store.delete(ANN, upload.file_id)
    assert (await completed(world, upload, parts))[1] is None
    with pytest.raises(BadRequest, match="completed"):
        await completed(world, upload, [])


async def test_two_that_complete_at_once_make_one_file(world: World) -> None:
    upload, parts = await in_parts(world, b"one", b"two")
    done = await asyncio.gather(*(completed(world, upload, parts) for _ in range(3)), return_exceptions=True)
    assert any(not isinstance(one, BaseException) for one in done)
    assert all(isinstance(one, Unavailable) for one in done if isinstance(one, BaseException))
    _, file = await completed(world, upload, parts)
    assert await ids(world) == [upload.file_id]
    assert file is not None
    assert await world.read(file) == b"onetwo"


async def test_an_upload_that_somebody_completes_is_left_to_them_for_a_while(world: World) -> None:
    upload, [first, second] = await in_parts(world, b"one", b"two")
    world.kill_at(4, "after")  # the row says that it is being completed
    with suppress(Killed):
        await completed(world, upload, [first, second])
    world.mend()
    assert (await world.files.uploads.find(ANN, upload.id)).status == "completing"
    with pytest.raises(BadRequest, match="other parts"):
        await completed(world, upload, [second, first])
    with pytest.raises(BadRequest, match="completing"):
        await world.files.uploads.cancel(ANN, upload.id)
    world.now += COMPLETING_S + 1
    assert (await world.files.uploads.cancel(ANN, upload.id)).status == "cancelled"


@pytest.mark.parametrize("status", ["cancelled", "completed", "expired"])
async def test_an_upload_that_has_ended_takes_nothing_more(world: World, status: str) -> None:
    upload, parts = await in_parts(world, b"one")
    if status == "cancelled":
        await world.files.uploads.cancel(ANN, upload.id)
    elif status == "completed":
        await completed(world, upload, parts)
    else:
        world.now += UPLOAD_S
    found = await world.files.uploads.find(ANN, upload.id)
    assert found.shown()["status"] == status
    with pytest.raises(BadRequest, match=status):
        await part(world.files.uploads, found, b"more")
    if status != "completed":
        with pytest.raises(BadRequest, match=status):
            await completed(world, upload, parts)
    assert world.store.writers.taken == 0


async def test_an_upload_has_only_so_many_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = await begun(world.files.uploads, 4)
    for _ in range(2):
        await part(world.files.uploads, upload, b"1234")
    with pytest.raises(BadRequest, match="all the parts"):
        await part(world.files.uploads, upload, b"1234")
    many = await begun(world.files.uploads, 10_000)
    for _ in range(PARTS_MAX):
        await part(world.files.uploads, many, b"1")
    with pytest.raises(BadRequest, match="all the parts"):
        await part(world.files.uploads, many, b"1")


@pytest.mark.parametrize("ending", ["nothing", "cancelled", "parts", "completed"])
async def test_a_sweep_leaves_nothing_of_an_upload_but_its_file(world: World, ending: str) -> None:
    upload, parts = await in_parts(world, b"one", b"two")
    if ending == "cancelled":
        await world.files.uploads.cancel(ANN, upload.id)
    elif ending == "parts":
        with suppress(BadRequest):
            await completed(world, upload, parts, check=Refusing())
    elif ending == "completed":
        await completed(world, upload, parts)
    world.now += ORPHAN_S + 1
    await world.files.sweep()
    kept = [upload.file_id] if ending == "completed" else []
    assert await ids(world) == kept
    assert list(world.blobs.blobs) == kept
    assert len(world.table.all) == len(kept)
    if not kept:
        assert world.blobs.blocks == {}
        with pytest.raises(NotFound):
            await world.files.uploads.find(ANN, upload.id)


MOMENTS = [(number, when) for number in range(1, 10) for when in ("before", "after")]


@pytest.mark.parametrize(("number", "when"), MOMENTS)
async def test_a_kill_at_any_request_is_mended_by_completing_again(world: World, number: int, when: str) -> None:
    upload, parts = await in_parts(world, b"one", b"two")
    world.kill_at(number, when)
    with suppress(Killed):
        await completed(world, upload, parts, check=Counting())
    world.mend()
    assert set(await ids(world)) <= set(world.blobs.blobs)
    done, file = await completed(world, upload, parts, check=Counting())
    assert (done.status, await ids(world)) == ("completed", [upload.file_id])
    assert file is not None
    assert await world.read(file) == b"onetwo"


@pytest.mark.parametrize(("number", "when"), MOMENTS)
async def test_a_failure_at_any_request_is_mended_by_completing_again(world: World, number: int, when: str) -> None:
    upload, parts = await in_parts(world, b"one", b"two")
    world.fail_at(number, when)
    with suppress(SpillwayError):
        await completed(world, upload, parts)
    world.mend()
    _, file = await completed(world, upload, parts)
    assert file is not None
    assert await world.read(file) == b"onetwo"


@pytest.mark.parametrize(("number", "when"), MOMENTS)
async def test_a_kill_at_any_request_leaves_nothing_for_ever(world: World, number: int, when: str) -> None:
    world.kill_at(number, when)
    with suppress(Killed):
        upload, parts = await in_parts(world, b"one", b"two")
        await completed(world, upload, parts)
    world.mend()
    seen = await ids(world)
    world.now += ORPHAN_S + 1
    await world.files.sweep()
    assert await ids(world) == seen
    assert list(world.blobs.blobs) == seen
    assert len(world.table.all) == len(seen)
