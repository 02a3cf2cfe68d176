"""Files without a storage account: a table and a container in memory, a clock that is set, and power that can fail."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest

from shared.errors import StorageFailed
from shared.files.files import Files
from shared.files.identity import Owner
from shared.files.store import FileStore, Storage
from shared.files.stored_file import StoredFile
from shared.supervisor import Supervisor
from tests.files.resources import EAST, WEST, Resources
from tests.memory_blobs import MemoryBlobs
from tests.memory_table import MemoryTable

ANN, BEN = Owner("ann"), Owner("ben")
MASTER = Owner("master", sees_all=True)
NOW = 1_800_000_000.0


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


class World:
    """Storage of one account. `fail_at` fails the n-th request from now on, before it is done or after it was done;
    `kill_at` ends the process there."""

    def __init__(self) -> None:
        self.now = NOW
        self.table = MemoryTable(before=lambda _: self._at("before"), after=lambda _: self._at("after"))
        self.blobs = MemoryBlobs(before=lambda _: self._at("before"), after=lambda _: self._at("after"))
        self.supervisor = Supervisor()
        self._numbers = itertools.count(1)
        self._struck: tuple[int, str, BaseException] | None = None
        self._count = 0
        self.resources = Resources(lambda _: self._at("before"), lambda _: self._at("after"))
        self.reachable = [EAST, WEST]
        self.files = self.another()
        self.store = self.files.store

    def another(self) -> Files:
        """The files as another instance has them."""
        return Files(self.instance(), self.resources, lambda: self.reachable)

    def instance(self) -> FileStore:
        """The store as another instance has it."""
        return FileStore(Storage(self.table, self.blobs), self.supervisor, lambda: self.now, self.random_bytes)

    def random_bytes(self, count: int) -> bytes:
        return next(self._numbers).to_bytes(count, "big")

    def fail_at(self, number: int, when: str) -> None:
        self._count, self._struck = 0, (number, when, StorageFailed("down"))

    def kill_at(self, number: int, when: str) -> None:
        self._count, self._struck = 0, (number, when, Killed())

    def mend(self) -> bool:
        """Whether a request was struck; none is any more."""
        struck = self._struck is not None and self._count >= self._struck[0]
        self._struck = None
        return struck

    def _at(self, when: str) -> None:
        if self._struck is None or self._count > self._struck[0]:
            return
        self._count += when == "before"
        number, moment, failure = self._struck
        if (self._count, when) == (number, moment):
            if isinstance(failure, Killed):
                self._struck = (0, "before", failure)
            raise failure
        if isinstance(failure, Killed) and number == 0:
            raise failure

    async def keep(
        self,
        data: bytes = b"some bytes",
        owner: Owner = ANN,
        *,
        filename: str = "a.jsonl",
        purpose: str = "batch",
        expires_after_s: int | None = None,
        store: FileStore | None = None,
    ) -> StoredFile:
        """A file that is kept."""
        new = (store or self.store).begin(owner)
        try:
            await new.write(data)
            return await new.finish(filename=filename, purpose=purpose, expires_after_s=expires_after_s)
        finally:
            await new.abandon()

    async def read(self, file: StoredFile) -> bytes:
        return b"".join([piece async for piece in self.store.whole(file)])

    async def rest(self) -> None:
        """Waits until no task is left."""
        async with asyncio.timeout(5):
            while len(self.supervisor):  # noqa: ASYNC110 - the supervisor tells nobody
                await asyncio.sleep(0)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.supervisor.close()
