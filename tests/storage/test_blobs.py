"""Blobs in Azurite: written whole and in blocks, read in pieces, listed, deleted, and what storage cannot do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from devtools.storage import AZURITE
from shared.errors import StorageFailed
from shared.storage.account import Account
from shared.storage.blobs import PIECE_BYTES, About, AzureBlobs, StoredBlob

pytestmark = pytest.mark.skipif(not AZURITE.exists(), reason="Azurite is not installed: run `npm ci`")
ABOUT = About("audio/mpeg", {"v": "1", "created": "7"})


@pytest.fixture
async def blobs(azurite: str) -> AsyncIterator[AzureBlobs]:
    """A container that does not exist yet."""
    made = AzureBlobs(Account(azurite), f"test-{uuid4().hex}")
    yield made
    await made.close()


async def read(blob: StoredBlob | None) -> bytes:
    assert blob is not None
    return b"".join([piece async for piece in blob.chunks()])


async def test_a_blob_comes_back_with_what_is_known_of_it(blobs: AzureBlobs) -> None:
    await blobs.put("a/b", b"bytes", ABOUT)
    found = await blobs.open("a/b")
    assert found is not None
    assert (found.about, found.bytes_count, found.start, found.length) == (ABOUT, 5, 0, 5)
    assert await read(found) == b"bytes"


async def test_blocks_become_a_blob_in_the_order_of_the_commit(blobs: AzureBlobs) -> None:
    for block_id, data in (("x1", b"one "), ("x2", b"two "), ("x3", b"never ")):
        await blobs.stage("n", block_id, data)
    assert await blobs.open("n") is None
    await blobs.commit("n", ["x2", "x1"], ABOUT)
    assert await read(await blobs.open("n")) == b"two one "


async def test_every_write_may_be_repeated(blobs: AzureBlobs) -> None:
    for _ in range(2):
        await blobs.put("p", b"p", ABOUT)
        await blobs.stage("n", "x1", b"one")
    for _ in range(2):
        await blobs.commit("n", ["x1"], ABOUT)
    assert await read(await blobs.open("n")) == b"one"
    for _ in range(2):
        await blobs.delete("n")
    assert await blobs.open("n") is None


async def test_a_large_blob_is_read_in_pieces(blobs: AzureBlobs) -> None:
    part = bytes(range(256)) * 2048
    data = part * 4  # 2 MiB
    for number in range(4):
        await blobs.stage("n", f"x{number}", part)
    await blobs.commit("n", [f"x{number}" for number in range(4)], ABOUT)
    found = await blobs.open("n")
    assert found is not None
    pieces = [piece async for piece in found.chunks()]
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= PIECE_BYTES


async def test_an_empty_blob_is_a_blob(blobs: AzureBlobs) -> None:
    await blobs.put("n", b"", ABOUT)
    assert await read(await blobs.open("n")) == b""


DATA = bytes(range(256)) * 4096  # 1 MiB


@pytest.mark.parametrize(
    ("start", "length", "part"),
    [
        (0, 5, DATA[:5]),
        (7, 1, DATA[7:8]),
        (1000, None, DATA[1000:]),
        (3, PIECE_BYTES + 10, DATA[3 : PIECE_BYTES + 13]),
        (len(DATA) - 2, 10**17, DATA[-2:]),
        (-3, None, DATA[-3:]),
        (-3, 2, DATA[-3:-1]),
        (-(10**17), None, DATA),
        (len(DATA), None, b""),
        (10**17, 5, b""),
    ],
)
async def test_a_part_of_a_blob_is_read(blobs: AzureBlobs, start: int, length: int | None, part: bytes) -> None:
    await blobs.put("n", DATA, ABOUT)
    found = await blobs.open("n", start, length)
    assert found is not None
    assert (found.about, found.bytes_count, found.length) == (ABOUT, len(DATA), len(part))
    assert found.start == (start if start >= 0 else max(0, len(DATA) + start))
    assert await read(found) == part


@pytest.mark.parametrize("start", [0, 1, -1])
async def test_an_empty_blob_has_no_part(blobs: AzureBlobs, start: int) -> None:
    await blobs.put("n", b"", ABOUT)
    found = await blobs.open("n", start, 5)
    assert found is not None
    assert (found.bytes_count, found.length, await read(found)) == (0, 0, b"")


async def test_a_part_of_nothing_is_not_found(blobs: AzureBlobs) -> None:
    assert [await blobs.open("n", start, 5) for start in (0, 9, -9)] == [None] * 3


async def test_where_nothing_was_written_nothing_is_found(blobs: AzureBlobs) -> None:
    assert await blobs.open("n") is None
    assert await blobs.first_names(5) == []
    await blobs.delete("n")


async def test_the_first_names_are_the_first_in_the_alphabet(blobs: AzureBlobs) -> None:
    for name in ("b/2", "a/1", "c/3", "a/0"):
        await blobs.put(name, b"", ABOUT)
    assert await blobs.first_names(3) == ["a/0", "a/1", "b/2"]
    assert await blobs.first_names(9) == ["a/0", "a/1", "b/2", "c/3"]


async def test_a_commit_of_blocks_that_are_not_there_is_a_failure_of_storage(blobs: AzureBlobs) -> None:
    await blobs.put("other", b"", ABOUT)
    with pytest.raises(StorageFailed):
        await blobs.commit("n", ["x1"], ABOUT)


async def test_an_account_that_refuses_is_a_failure_of_storage_that_names_nothing(azurite: str) -> None:
    key = azurite.partition("AccountKey=")[2].partition(";")[0]
    blobs = AzureBlobs(Account(azurite.replace(key, "d3Jvbmc=")), "test")
    try:
        with pytest.raises(StorageFailed) as failure:
            await blobs.put("n", b"", ABOUT)
    finally:
        await blobs.close()
    assert "127.0.0.1" not in failure.value.message
    assert "devstore" not in failure.value.message


async def test_it_can_be_closed_unused_and_used_after_it_was_closed(blobs: AzureBlobs) -> None:
    await blobs.close()
    await blobs.put("n", b"x", ABOUT)
    await blobs.close()
    assert await read(await blobs.open("n")) == b"x"


async def test_who_stops_waiting_for_the_first_connection_costs_the_next_nothing(blobs: AzureBlobs) -> None:
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await blobs.open("n")
    await asyncio.gather(*(blobs.put(f"n{number}", b"x", ABOUT) for number in range(5)))
    assert len(await blobs.first_names(9)) == 5
    assert len(blobs._closers) == 1
