"""Bytes on their way into a blob: put together to blocks, staged while the next ones arrive, in bounded memory."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from shared.errors import SpillwayError
from shared.storage.blobs import Blobs
from shared.supervisor import Supervisor

BLOCK_BYTES = 4 * 1024 * 1024
STAGED_AT_ONCE_MAX = 2
"""Blocks of one writer that are under way; with the one that fills, a writer holds at most three."""


class BlockWriter:
    """Stages what it is fed as blocks of the blob `name`, their ids beginning with `salt`; commits nothing.

    `write` waits while storage is behind. Whoever does not `flush` calls `abandon`; the staged blocks of a blob that
    is never committed vanish by themselves within a week. One task at a time.
    """

    def __init__(self, blobs: Blobs, name: str, salt: str, supervisor: Supervisor) -> None:
        self.bytes_count = 0
        self.block_ids: list[str] = []
        self._blobs = blobs
        self._name = name
        self._salt = salt
        self._supervisor = supervisor
        self._block = bytearray()
        self._under_way: set[asyncio.Task[None]] = set()

    async def write(self, chunk: bytes) -> None:
        """Takes bytes. Raises StorageFailed, or Unavailable when the instance is full."""
        self.bytes_count += len(chunk)
        rest = memoryview(chunk)
        while rest:
            room = BLOCK_BYTES - len(self._block)
            self._block += rest[:room]
            rest = rest[room:]
            if len(self._block) == BLOCK_BYTES:
                await self._stage()

    async def flush(self) -> list[str]:
        """Stages what is left and waits for all of it; gives the block ids in order. Raises as `write` does."""
        if self._block:
            await self._stage()
        while self._under_way:
            await self._some()
        return self.block_ids

    async def abandon(self) -> None:
        """Ends what is under way."""
        for task in self._under_way:
            task.cancel()
        for task in self._under_way:
            with suppress(asyncio.CancelledError, SpillwayError):
                await task
        self._under_way.clear()
        self._block.clear()

    async def _stage(self) -> None:
        while len(self._under_way) >= STAGED_AT_ONCE_MAX:
            await self._some()
        block_id = block_id_of(self._salt, len(self.block_ids))
        data, self._block = bytes(self._block), bytearray()
        self._under_way.add(self._supervisor.start(self._blobs.stage(self._name, block_id, data), "block"))
        self.block_ids.append(block_id)

    async def _some(self) -> None:
        done, self._under_way = await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


def block_id_of(salt: str, number: int) -> str:
    """The id of a block; those of writers with salts of one length are of one length too."""
    return f"{salt}{number:05d}"
