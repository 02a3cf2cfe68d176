"""Copies of callers' files at resources: made when a call first needs one there, remembered, removed afterwards.

    need    memory → row → upload → row          once per file and resource; of two instances that upload at once the
                                                 one whose row comes second removes its own again
    remove  when the file is deleted, or COPY_S after it was made: upstream, then the row

Row: partition `copy_{file}`, key the resource's tag; and `original_{resource}` tells whose copy an upstream id is. What
a kill leaves at a resource without a row expires there by itself.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from shared.errors import BadRequest, NotFound, PayloadTooLarge, Replay, SpillwayError, StorageFailed, UpstreamTimeout
from shared.files.identity import hex_of
from shared.files.resource_files import ResourceFiles
from shared.files.store import FileStore
from shared.files.stored_file import StoredFile
from shared.storage.tables import Row, Value, escaped
from shared.upstream.deployment import Deployment

log = logging.getLogger("spillway")

COPY = "copy"
COPY_S = 7 * 86_400.0
FRESH_S = 3600.0
"""A copy that has less than this to live is made anew."""
COPY_BYTES_MAX = 512 * 1024 * 1024
"""What Azure takes in one file."""
KNOWN_MAX = 10_000
READY_S, READY_PAUSE_S = 30.0, 0.25
EVICTED = 20
"""Copies that go at once when a resource has as many files as it may have."""
SCANNED = 1000
MEMORY_BYTES = 1024 * 1024
_FULL = "quotaexceeded"


@dataclass(frozen=True, slots=True)
class Copy:
    """A file's copy at one resource. Times are in seconds since 1970."""

    file_id: str
    resource: bytes
    upstream_id: str
    created_at: float

    @property
    def expires_at(self) -> float:
        return self.created_at + COPY_S


class Copies:
    """The copies of one store's files. `deployments` gives every configured one: any of a resource reaches its files.

    Belongs to the running event loop.
    """

    def __init__(
        self, store: FileStore, resources: ResourceFiles, deployments: Callable[[], Sequence[Deployment]]
    ) -> None:
        self._store = store
        self._resources = resources
        self._deployments = deployments
        self._known: OrderedDict[tuple[str, bytes], Copy] = OrderedDict()
        self._originals: OrderedDict[tuple[bytes, str], str] = OrderedDict()
        self._doubted: set[tuple[str, bytes]] = set()
        self._under_way: dict[tuple[str, bytes], asyncio.Task[Copy]] = {}

    async def at(self, file: StoredFile, deployment: Deployment) -> str:
        """The id of the file's copy at the deployment's resource, made when there is none.

        Nothing is billed by that: after any failure another deployment may be asked. Raises SpillwayError.
        """
        key = (file.id, deployment.resource_tag)
        known = self._known.get(key)
        if known is not None and self._is_fresh(known):
            return known.upstream_id
        task = self._under_way.get(key)
        if task is None:
            task = self._store.supervisor.start(self._found(file, deployment), "copy of a file")
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        try:
            return (await asyncio.shield(task)).upstream_id
        except SpillwayError as failure:
            if failure.replay is not Replay.NEVER:
                failure.replay = Replay.FREELY
            raise

    def known(self, file_id: str, resource: bytes) -> str | None:
        """The upstream id of a file's copy, as far as it is known here."""
        copy = self._known.get((file_id, resource))
        return None if copy is None else copy.upstream_id

    def doubt(self, file_id: str, resource: bytes) -> None:
        """The resource complains of a copy: before it is used again it is looked for there."""
        if self._known.pop((file_id, resource), None) is not None:
            self._doubted.add((file_id, resource))

    def original(self, resource: bytes, upstream_id: str) -> str | None:
        """The id of the file whose copy this is, as far as it is known here."""
        return self._originals.get((resource, upstream_id))

    async def learn(self, resource: bytes, upstream_ids: Iterable[str]) -> None:
        """Looks up whose copies these are. Raises StorageFailed."""
        if not self._store.is_kept:
            return
        unknown = [one for one in dict.fromkeys(upstream_ids) if (resource, one) not in self._originals]
        table = self._store.storage.table
        partition = _originals(resource)
        for row in await asyncio.gather(*(table.get(partition, escaped(one)) for one in unknown)):
            if row is not None:
                self._remember_original(resource, str(row.properties["upstream_id"]), str(row.properties["file_id"]))

    async def drop_all(self, file_id: str) -> bool:
        """Removes every copy of a file that is no more; whether all of them are gone. Raises StorageFailed."""
        rows = await self._store.storage.table.rows(_copies(file_id), SCANNED)
        gone = True
        for row in rows:
            try:
                await self._drop(_copy_of(row))
            except StorageFailed:
                raise
            except SpillwayError as error:
                log.warning("a copy of a deleted file is still at its resource (%s); it is tried again", error.code)
                gone = False
        return gone

    async def review(self, subject: str) -> None:
        """Removes a copy whose time is over. Raises SpillwayError: then it is tried again."""
        file_id, _, tag = subject.partition("_")
        row = await self._store.storage.table.get(_copies(file_id), tag)
        copy = None if row is None else _copy_of(row)
        if copy is not None and copy.expires_at <= self._store.clock():
            await self._drop(copy)

    def _is_fresh(self, copy: Copy) -> bool:
        return self._store.clock() < copy.expires_at - FRESH_S

    async def _found(self, file: StoredFile, deployment: Deployment) -> Copy:
        """The copy, from its row or made now."""
        table, resource = self._store.storage.table, deployment.resource_tag
        row = await table.get(_copies(file.id), resource.hex())
        copy = None if row is None else _copy_of(row)
        if copy is not None and not (self._is_fresh(copy) and await self._is_there(copy, deployment)):
            await self._drop(copy)
            copy = None
        if copy is None:
            copy = await self._made(file, deployment)
        self._remember(copy)
        return copy

    async def _is_there(self, copy: Copy, deployment: Deployment) -> bool:
        """Whether the resource still has a copy that was doubted."""
        key = (copy.file_id, copy.resource)
        if key in self._doubted:
            try:
                await self._resources.is_ready(deployment, copy.upstream_id)
            except NotFound:
                return False
            finally:
                self._doubted.discard(key)
        return True

    async def _made(self, file: StoredFile, deployment: Deployment) -> Copy:
        if file.bytes_count > COPY_BYTES_MAX:
            raise PayloadTooLarge(f"The file {file.id} is over {COPY_BYTES_MAX:,} bytes, the most a model reads.")
        store, resource, now = self._store, deployment.resource_tag, self._store.clock()
        await store.agenda.note(now + COPY_S, COPY, f"{file.id}_{resource.hex()}")
        upstream_id, is_ready = await self._uploaded(file, deployment)
        copy = Copy(file.id, resource, upstream_id, now)
        table = store.storage.table
        if not await table.insert(_row(copy)):
            row = await table.get(_copies(file.id), resource.hex())
            first = copy if row is None else _copy_of(row)
            if first.upstream_id != upstream_id:  # another instance was faster
                await self._resources.delete(deployment, upstream_id)
                return first
        await table.put(_original_row(copy))
        if not is_ready:
            await self._await_ready(deployment, upstream_id)
        return copy

    async def _uploaded(self, file: StoredFile, deployment: Deployment) -> tuple[str, bool]:
        with tempfile.SpooledTemporaryFile(MEMORY_BYTES) as data:
            async for piece in self._store.whole(file):
                data.write(piece)
            try:
                return await self._resources.upload(deployment, file, data)
            except BadRequest as refused:
                if str(refused.code or "").replace("_", "").lower() != _FULL:
                    raise
                await self._evict(deployment.resource_tag)
            return await self._resources.upload(deployment, file, data)

    async def _await_ready(self, deployment: Deployment, upstream_id: str) -> None:
        try:
            async with asyncio.timeout(READY_S):
                while not await self._resources.is_ready(deployment, upstream_id):  # noqa: ASYNC110
                    await asyncio.sleep(READY_PAUSE_S)
        except TimeoutError:
            failure = UpstreamTimeout(f"The resource has not read the file within {READY_S:g} seconds.")
            failure.should_retry = True
            raise failure from None

    async def _evict(self, resource: bytes) -> None:
        """Makes room at a resource: its oldest copies go."""
        rows = await self._store.storage.table.scan(f"{COPY}_", f"{COPY}_g", SCANNED)
        copies = [_copy_of(row) for row in rows if row.key == resource.hex()]
        for copy in sorted(copies, key=lambda one: one.created_at)[:EVICTED]:
            await self._drop(copy)

    async def _drop(self, copy: Copy) -> None:
        """Removes a copy: there first, so that a kill leaves the row to try again by."""
        self._known.pop((copy.file_id, copy.resource), None)
        reachable = [one for one in self._deployments() if one.resource_tag == copy.resource]
        if reachable:  # else its resource is configured no more, and it expires there
            await self._resources.delete(reachable[0], copy.upstream_id)
        table = self._store.storage.table
        await table.remove(_originals(copy.resource), escaped(copy.upstream_id))
        await table.remove(_copies(copy.file_id), copy.resource.hex())

    def _remember(self, copy: Copy) -> None:
        self._known[copy.file_id, copy.resource] = copy
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        self._remember_original(copy.resource, copy.upstream_id, copy.file_id)

    def _remember_original(self, resource: bytes, upstream_id: str, file_id: str) -> None:
        self._originals[resource, upstream_id] = file_id
        if len(self._originals) > KNOWN_MAX:
            self._originals.popitem(last=False)


def _copies(file_id: str) -> str:
    return f"{COPY}_{hex_of(file_id)}"


def _originals(resource: bytes) -> str:
    return f"original_{resource.hex()}"


def _row(copy: Copy) -> Row:
    about: dict[str, Value] = {
        "file_id": copy.file_id,
        "upstream_id": copy.upstream_id,
        "created_at": copy.created_at,
    }
    return Row(_copies(copy.file_id), copy.resource.hex(), about)


def _original_row(copy: Copy) -> Row:
    about = {"file_id": copy.file_id, "upstream_id": copy.upstream_id}
    return Row(_originals(copy.resource), escaped(copy.upstream_id), about)


def _copy_of(row: Row) -> Copy:
    found = row.properties
    return Copy(str(found["file_id"]), bytes.fromhex(row.key), str(found["upstream_id"]), float(found["created_at"]))
