"""The files of all callers.

A file is a blob in container `spillway-files`, named by its id, and a row in table `spillwayfiles`. In which order
they are written decides what a kill leaves behind:

    keep     agenda (look again in hours)   → blob → row      before the row nobody sees the file; a blob without
                                                              one is deleted when its time has come
    delete   agenda → row says erased → blob → row removed    from its second step on nobody sees the file, and
                                                              whoever comes next goes on where this one was killed

So there is never a row to be seen without its blob. Every step may be repeated, by anybody, at any time.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from shared.errors import NotFound, SpillwayError, StorageFailed, Unavailable
from shared.files import listing
from shared.files.agenda import Agenda
from shared.files.blocks import BlockWriter
from shared.files.identity import FILE, Owner, new_id, place_of
from shared.files.slots import Slots
from shared.files.stored_file import StoredFile, clean_name, file_of, row_of
from shared.storage.account import Account
from shared.storage.blobs import About, AzureBlobs, Blobs, StoredBlob
from shared.storage.tables import AzureTable, Row, Table
from shared.supervisor import Supervisor

TABLE = "spillwayfiles"
CONTAINER = "spillway-files"
ORPHAN_S = 3 * 3600.0
"""A blob that has no row so long after it was written never gets one: an upload in parts takes two hours at most."""
ERASE_AGAIN_S = 60.0
"""What a deletion has not done by then is done by a sweep."""
WRITERS_MAX = 24
"""Files and parts that one instance receives at once; each holds at most 12 MB."""
READERS_MAX = 200
"""Files that one instance sends at once; each holds a piece of 512 KB."""
_SALT = "00000000"


@dataclass(frozen=True, slots=True)
class Storage:
    """Where files are kept. Belongs to the running event loop."""

    table: Table
    blobs: Blobs

    @classmethod
    def of(cls, account: Account) -> Storage:
        """The table and container of a storage account."""
        return cls(AzureTable(account, TABLE), AzureBlobs(account, CONTAINER))


class FileStore:
    """Keeps, finds, lists, reads and deletes files. `clock` gives seconds since 1970.

    Without `storage` every method raises Unavailable, and says what to set. Each raises StorageFailed.
    """

    def __init__(
        self,
        storage: Storage | None,
        supervisor: Supervisor,
        clock: Callable[[], float],
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._storage = storage
        self.supervisor = supervisor
        self.clock = clock
        self.random_bytes = random_bytes
        self.writers = Slots(WRITERS_MAX, "Too many files are being received on this instance.")
        self._readers = Slots(READERS_MAX, "Too many files are being sent on this instance.")

    @property
    def storage(self) -> Storage:
        """Where files are kept. Raises Unavailable."""
        if self._storage is None:
            raise Unavailable(
                "Files are not kept here: the app has no storage account. Set AzureWebJobsStorage.",
                code="storage_not_configured",
                should_retry=False,
            )
        return self._storage

    @property
    def is_kept(self) -> bool:
        """Whether there is a storage account."""
        return self._storage is not None

    @property
    def agenda(self) -> Agenda:
        """What is to be looked at later."""
        return Agenda(self.storage.table)

    def begin(self, owner: Owner) -> NewFile:
        """A file to be written. Raises Unavailable when too many are. Whoever began it finishes or abandons it."""
        storage = self.storage
        self.writers.take()
        return NewFile(self, storage.blobs, self.new_id(owner), owner)

    async def find(self, owner: Owner, file_id: str, param: str = "file_id") -> StoredFile:
        """The file of an id. Raises NotFound, naming `param`, when there is none that the owner may see."""
        table = self.storage.table
        place = place_of(FILE, file_id)
        row = await table.get(place.partition, place.key) if place is not None else None
        file = _seen(row, file_id, owner)
        if file is None or not file.is_there(self.clock()):
            raise _unknown(file_id if place is not None else None, param)
        return file

    async def page(self, owner: Owner, wanted: listing.Wanted) -> listing.Page:
        """A page of the owner's files. Raises BadRequest."""
        return await listing.page(self.storage.table, owner, wanted, self.clock())

    async def open(self, file: StoredFile, start: int = 0, length: int | None = None) -> StoredBlob:
        """The bytes of a file, or the part of them that Blobs.open would give. Raises NotFound when it was deleted a
        moment ago. Read them with `chunks`."""
        blobs = self.storage.blobs
        self._readers.check()
        blob = await blobs.open(file.id, start, length)
        if blob is None:
            raise _unknown(file.id, "file_id")
        return blob

    async def chunks(self, blob: StoredBlob) -> AsyncIterator[bytes]:
        """The bytes of an opened blob, once. Raises StorageFailed in the middle when the file is deleted meanwhile."""
        with self._readers:
            async for piece in blob.chunks():
                yield piece

    async def whole(self, file: StoredFile) -> AsyncIterator[bytes]:
        """All bytes of a file, anew each time. Raises StorageFailed, NotFound or Unavailable."""
        async for piece in self.chunks(await self.open(file)):
            yield piece

    async def delete(self, owner: Owner, file_id: str) -> None:
        """Deletes a file. One that is being deleted is deleted to its end. Raises NotFound."""
        table = self.storage.table
        place = place_of(FILE, file_id)
        row = await table.get(place.partition, place.key) if place is not None else None
        file = _seen(row, file_id, owner)
        if file is None or not (file.erased or file.is_there(self.clock())):
            raise _unknown(file_id if place is not None else None, "file_id")
        await self.agenda.note(self.clock() + ERASE_AGAIN_S, FILE, file_id)
        if not file.erased:
            await table.swap(row_of(replace(file, erased=True)), file.etag)  # a row changes in no other way
        await self.erase(file_id)

    async def erase(self, file_id: str) -> None:
        """Removes what is left of a file that nobody may see any more."""
        place = place_of(FILE, file_id)
        assert place is not None
        await self.storage.blobs.delete(file_id)
        await self.storage.table.remove(place.partition, place.key)

    async def review(self, file_id: str, drop_copies: Callable[[str], Awaitable[bool]]) -> None:
        """Looks at a file whose time has come: one that is expired, erased or was never kept goes, and its copies.

        `drop_copies` says whether all of them are gone; what is not is tried again later.
        """
        place = place_of(FILE, file_id)
        row = None if place is None else await self.storage.table.get(place.partition, place.key)
        file = None if row is None else file_of(row)
        if file is not None and file.is_there(self.clock()):
            if file.expires_at is not None:
                await self.agenda.note(file.expires_at, FILE, file_id)
            return
        await self.erase(file_id)
        if not await drop_copies(file_id):
            await self.agenda.note(self.clock() + ORPHAN_S, FILE, file_id)

    def new_id(self, owner: Owner) -> str:
        """An id for a file that is written in slices, by several runs: they stage blocks of it, the last one keeps it.

        Staged blocks of a file that is never kept vanish by themselves within a week.
        """
        return new_id(FILE, owner, self.clock(), self.random_bytes)

    async def stage(self, file_id: str, block_id: str, data: bytes) -> None:
        """Writes a block of a file that nobody sees yet; the same block written twice is one. Block ids are of one
        length and come in any order (blocks.block_id_of makes them)."""
        await self.storage.blobs.stage(file_id, block_id, data)

    async def keep(self, file: StoredFile, block_ids: list[str]) -> None:
        """Makes the file of its staged blocks, in this order, for its owner to see. May be repeated."""
        await self.commit(file, block_ids)
        await self.publish(file)

    async def commit(self, file: StoredFile, block_ids: list[str]) -> None:
        """Makes the blob of a file whose blocks are staged. Nobody sees it until `publish`."""
        await self.agenda.note(self.clock() + ORPHAN_S, FILE, file.id)
        await self.storage.blobs.commit(file.id, block_ids, About(file.content_type, {"v": "1"}))

    async def publish(self, file: StoredFile) -> None:
        """Writes the row of a file whose blob is there."""
        table, row = self.storage.table, row_of(file)
        try:
            # An id is given once, so a row that is there is this one, whose acknowledgement was lost.
            await table.insert(row)
        except StorageFailed:
            if await table.get(row.partition, row.key) is None:
                raise

    async def close(self) -> None:
        """Lets the storage account's connections go."""
        if self._storage is not None:
            await self._storage.table.close()
            await self._storage.blobs.close()


class NewFile:
    """A file that is being written: `write` its bytes, then `finish`; else `abandon`. One task at a time."""

    def __init__(self, store: FileStore, blobs: Blobs, file_id: str, owner: Owner) -> None:
        self.id = file_id
        self._store = store
        self._owner = owner
        self._blocks = BlockWriter(blobs, file_id, _SALT, store.supervisor)
        self._open = True

    @property
    def bytes_count(self) -> int:
        return self._blocks.bytes_count

    async def write(self, chunk: bytes) -> None:
        """Takes bytes; waits while storage is behind."""
        await self._blocks.write(chunk)

    async def finish(
        self,
        *,
        filename: str,
        purpose: str,
        content_type: str = "application/octet-stream",
        expires_after_s: int | None = None,
        model: str = "",
        notes: Mapping[str, Any] | None = None,
    ) -> StoredFile:
        """Keeps the file. When it raises, nobody sees the file, except that the row's acknowledgement may be lost."""
        now = int(self._store.clock())
        file = StoredFile(
            id=self.id,
            owner=self._owner.key_id,
            filename=clean_name(filename),
            purpose=purpose,
            bytes_count=self.bytes_count,
            created_at=now,
            expires_at=None if expires_after_s is None else now + expires_after_s,
            content_type=content_type,
            model=model,
            notes=notes or {},
        )
        await self._store.keep(file, await self._blocks.flush())
        self._end()
        return file

    async def abandon(self) -> None:
        """Nothing of it is kept. Does nothing when it is finished; may be called twice."""
        if self._open:
            self._end()
            with suppress(SpillwayError):
                await self._blocks.abandon()

    def _end(self) -> None:
        self._open = False
        self._store.writers.give()


def _seen(row: Row | None, file_id: str, owner: Owner) -> StoredFile | None:
    """The row's file when the owner may see it."""
    file = None if row is None else file_of(row)
    if file is None or file.id != file_id or not (owner.sees_all or file.owner == owner.key_id):
        return None
    return file


def _unknown(file_id: str | None, param: str) -> NotFound:
    return NotFound(f"No such File object{f': {file_id}' if file_id is not None else ''}.", param=param)
