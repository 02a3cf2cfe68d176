"""Keeps a stream as a blob while it passes by, and never makes it wait.

feed ─ bytes are put aside; a full block is staged by a task of its own
  │      └ storage is slow (too much is put aside) or fails: the recording is given up, the stream goes on
finish ─ the stream is whole: the last block is staged and the blob committed
close ── it is not: nothing is committed, and the staged blocks vanish by themselves within a week
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable

from shared.errors import SpillwayError
from shared.storage.blobs import About, Blobs
from shared.supervisor import Supervisor

log = logging.getLogger("spillway")

BLOCK_BYTES = 512 * 1024
HELD_BYTES_MAX = 4 * 1024 * 1024
"""Of one stream, not yet with the storage account."""
INSTANCE_BYTES_MAX = 48 * 1024 * 1024
"""Of all streams of this instance."""
COMPLAINT_PAUSE_S = 30.0


class Budget:
    """Bytes that all recordings of an instance may hold together; it also keeps the log from being flooded."""

    def __init__(self, bytes_max: int = INSTANCE_BYTES_MAX) -> None:
        self.held = 0
        self._bytes_max = bytes_max
        self._complained_at = -COMPLAINT_PAUSE_S

    def take(self, count: int) -> bool:
        """Whether `count` more bytes may be held; they then are."""
        if self.held + count > self._bytes_max:
            return False
        self.held += count
        return True

    def give(self, count: int) -> None:
        self.held -= count

    def complain(self, reason: str) -> None:
        """Says it in the log, if nothing was said lately."""
        now = time.monotonic()
        if now - self._complained_at >= COMPLAINT_PAUSE_S:
            self._complained_at = now
            log.warning("a recording was given up, and perhaps others: %s", reason)


class Recorder:
    """One recording. `about` is asked for when the blob is written; `kept` is done once it is there.

    Nothing is raised: `feed`, `finish` and `close` return at once, whatever storage does. Blocks carry `salt` in
    their ids, so that two recordings never mix.
    """

    def __init__(
        self,
        blobs: Blobs,
        name: str,
        salt: str,
        supervisor: Supervisor,
        budget: Budget,
        about: Callable[[], About],
        kept: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._blobs = blobs
        self._name = name
        self._salt = salt
        self._supervisor = supervisor
        self._budget = budget
        self._about = about
        self._kept = kept
        self._parts: list[bytes] = []
        self._size = 0
        self._held = 0
        self._blocks: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[bool] | None = None
        self._whole = False
        self._over = False

    def feed(self, data: bytes) -> None:
        """Takes the next bytes."""
        if self._over or not data:
            return
        if self._held + len(data) > HELD_BYTES_MAX or not self._budget.take(len(data)):
            self._give_up("storage is slower than the stream")
            return
        self._held += len(data)
        self._parts.append(data)
        self._size += len(data)
        if self._size >= BLOCK_BYTES:
            self._cut()

    def finish(self) -> None:
        """The stream is whole. Called once."""
        if not self._over:
            self._whole = self._over = True
            self._cut()

    def close(self) -> None:
        """No more will come; a stream that is not finished is not kept. May be called twice."""
        if not self._whole:
            self._abandon()

    async def wait(self, seconds: float) -> bool:
        """Whether a finished recording is kept, as far as that is known within `seconds`."""
        if self._task is None or not self._whole:
            return False
        await asyncio.wait({self._task}, timeout=seconds)
        return self._task.done() and not self._task.cancelled() and self._task.result()

    def _cut(self) -> None:
        """What has come is a block, to be staged by the task."""
        if self._parts:
            self._blocks.append(b"".join(self._parts))
            self._parts, self._size = [], 0
        if self._task is None:
            try:
                self._task = self._supervisor.start(self._work(), "recording")
            except SpillwayError as error:
                self._give_up(error.message)
        self._changed.set()

    async def _work(self) -> bool:
        """Stages blocks as they come, then commits. True when the blob is there."""
        staged: list[str] = []
        try:
            while (block := await self._next()) is not None:
                if self._whole and not staged and not self._blocks:
                    await self._blobs.put(self._name, block, self._about())
                    return await self._done()
                staged.append(f"{self._salt}{len(staged):06d}")
                await self._blobs.stage(self._name, staged[-1], block)
                self._give(len(block))
            if not staged:
                return False
            await self._blobs.commit(self._name, staged, self._about())
            return await self._done()
        except SpillwayError as error:
            self._give_up(error.message, running=True)
            return False
        finally:
            self._give(self._held)

    async def _next(self) -> bytes | None:
        while not self._blocks:
            if self._whole:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._blocks.popleft()

    async def _done(self) -> bool:
        if self._kept is not None:
            await self._kept()
        return True

    def _give(self, count: int) -> None:
        self._held -= count
        self._budget.give(count)

    def _give_up(self, reason: str, *, running: bool = False) -> None:
        self._budget.complain(reason)
        if running:
            self._forget()
        else:
            self._abandon()

    def _abandon(self) -> None:
        self._forget()
        self._give(self._held)  # here, because a task that is cancelled before its first step never runs at all
        if self._task is not None:
            self._task.cancel()

    def _forget(self) -> None:
        self._over = True
        self._parts, self._size = [], 0
        self._blocks.clear()
