"""The recorder: every byte kept in order, the stream never made to wait, and nothing held when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import StorageFailed
from shared.storage import recorder
from shared.storage.blobs import About, StoredBlob
from shared.storage.recorder import BLOCK_BYTES, HELD_BYTES_MAX, Budget, Recorder
from shared.supervisor import Supervisor

ABOUT = About("audio/mpeg", {})
BLOCK = b"x" * BLOCK_BYTES


async def at_once(what: str) -> None:
    """A storage account without delay or failure."""


@dataclass
class Memory:
    """Blobs in memory. `before` is awaited before each `put`, `stage` or `commit`, and may raise."""

    before: Callable[[str], Awaitable[None]] = at_once
    blobs: dict[str, bytes] = field(default_factory=dict)
    blocks: dict[str, bytes] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    async def put(self, name: str, data: bytes, about: About) -> None:
        await self.before("put")
        self.done.append("put")
        self.blobs[name] = data

    async def stage(self, name: str, block_id: str, data: bytes) -> None:
        await self.before("stage")
        self.done.append("stage")
        self.blocks[block_id] = data

    async def commit(self, name: str, block_ids: Sequence[str], about: About) -> None:
        await self.before("commit")
        self.done.append("commit")
        self.blobs[name] = b"".join(self.blocks[block_id] for block_id in block_ids)

    async def open(self, name: str, start: int = 0, length: int | None = None) -> StoredBlob | None:
        data = self.blobs.get(name)

        async def chunks() -> AsyncIterator[bytes]:
            yield data or b""

        return None if data is None else StoredBlob(ABOUT, len(data), 0, len(data), chunks)

    async def delete(self, name: str) -> None:
        self.blobs.pop(name, None)

    async def first_names(self, count: int) -> list[str]:
        return sorted(self.blobs)[:count]

    async def close(self) -> None:
        self.done.append("close")


def recording(blobs: Memory, budget: Budget, supervisor: Supervisor | None = None) -> Recorder:
    return Recorder(blobs, "n", "salt", Supervisor() if supervisor is None else supervisor, budget, lambda: ABOUT)


async def test_a_short_stream_is_one_write() -> None:
    blobs, budget = Memory(), Budget()
    one = recording(blobs, budget)
    one.feed(b"a")
    one.feed(b"bc")
    one.finish()
    assert await one.wait(1)
    assert (blobs.blobs, blobs.done, budget.held) == ({"n": b"abc"}, ["put"], 0)


async def test_a_long_stream_is_staged_in_blocks_while_it_runs() -> None:
    blobs, budget = Memory(), Budget()
    one = recording(blobs, budget)
    one.feed(BLOCK)
    await asyncio.sleep(0.01)
    assert (blobs.done, budget.held) == (["stage"], 0)
    one.feed(b"end")
    one.finish()
    assert await one.wait(1)
    assert blobs.blobs == {"n": BLOCK + b"end"}
    assert blobs.done == ["stage", "stage", "commit"]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 3), max_size=30))
def test_bytes_come_back_in_order_however_they_came(sizes: list[int]) -> None:
    async def run() -> None:
        blobs, budget = Memory(), Budget()
        one = recording(blobs, budget)
        whole = b""
        for number, size in enumerate(sizes):
            part = bytes([number]) * (size * BLOCK_BYTES // 3)
            whole += part
            one.feed(part)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        one.finish()
        assert await one.wait(1) is bool(whole)
        assert blobs.blobs == ({"n": whole} if whole else {})
        assert budget.held == 0

    asyncio.run(run())


@pytest.mark.parametrize("data", [b"short", BLOCK * 2 + b"more"])
async def test_a_stream_that_is_closed_before_its_end_is_not_kept(data: bytes) -> None:
    blobs, budget, supervisor = Memory(), Budget(), Supervisor()
    one = recording(blobs, budget, supervisor)
    one.feed(data)
    await asyncio.sleep(0)
    one.close()
    one.close()
    one.feed(b"late")
    await asyncio.sleep(0.01)
    assert (blobs.blobs, budget.held, len(supervisor)) == ({}, 0, 0)
    assert not await one.wait(0)


async def test_closing_a_finished_recording_changes_nothing() -> None:
    blobs = Memory()
    one = recording(blobs, Budget())
    one.feed(b"a")
    one.finish()
    one.close()
    assert await one.wait(1)
    assert blobs.blobs == {"n": b"a"}


async def test_storage_that_hangs_ends_the_recording_when_too_much_is_held() -> None:
    async def hang(what: str) -> None:
        await asyncio.Event().wait()

    budget, supervisor = Budget(), Supervisor()
    one = recording(Memory(hang), budget, supervisor)
    for _ in range(HELD_BYTES_MAX // BLOCK_BYTES):
        one.feed(BLOCK)
        await asyncio.sleep(0)
    assert budget.held == HELD_BYTES_MAX
    one.feed(b"x")
    await asyncio.sleep(0.01)
    assert (budget.held, len(supervisor)) == (0, 0)
    one.finish()
    assert not await one.wait(0)


async def test_all_recordings_share_what_the_instance_may_hold() -> None:
    budget = Budget(bytes_max=100)
    first, second = recording(Memory(), budget), recording(Memory(), budget)
    first.feed(b"x" * 80)
    second.feed(b"x" * 30)
    assert budget.held == 80
    first.finish()
    assert await first.wait(1)
    second.finish()
    assert not await second.wait(1)
    assert budget.held == 0


@pytest.mark.parametrize("broken", ["put", "stage", "commit"])
async def test_storage_that_fails_ends_the_recording_and_says_so_once(
    broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(what: str) -> None:
        if what == broken:
            raise StorageFailed("The storage account does not answer.")

    blobs, budget = Memory(fail), Budget()
    for _ in range(3):
        one = recording(blobs, budget)
        one.feed(b"a" if broken == "put" else BLOCK)
        await asyncio.sleep(0)
        one.feed(b"b")
        one.finish()
        assert not await one.wait(1)
    assert (blobs.blobs, budget.held) == ({}, 0)
    assert [record.getMessage() for record in caplog.records] == [
        "a recording was given up, and perhaps others: The storage account does not answer."
    ]


async def test_a_wait_ends_when_its_time_is_over_and_the_recording_goes_on() -> None:
    gate = asyncio.Event()

    async def wait(what: str) -> None:
        await gate.wait()

    blobs = Memory(wait)
    one = recording(blobs, Budget())
    one.feed(b"a")
    one.finish()
    assert not await one.wait(0.01)
    gate.set()
    assert await one.wait(1)
    assert blobs.blobs == {"n": b"a"}


async def test_an_instance_without_a_free_task_keeps_nothing() -> None:
    budget = Budget()
    one = recording(Memory(), budget, Supervisor(0))
    one.feed(b"a")
    one.finish()
    assert not await one.wait(0)
    assert budget.held == 0


async def test_what_is_to_be_done_once_it_is_kept_comes_last() -> None:
    blobs = Memory()

    async def kept() -> None:
        blobs.done.append("kept")

    one = Recorder(blobs, "n", "salt", Supervisor(), Budget(), lambda: ABOUT, kept)
    one.feed(b"a")
    one.finish()
    assert await one.wait(1)
    assert blobs.done == ["put", "kept"]


def test_the_bounds_are_in_order() -> None:
    assert BLOCK_BYTES < HELD_BYTES_MAX < recorder.INSTANCE_BYTES_MAX
