"""Files that come in parts: created, their parts in any order, then completed or cancelled.

The id of the file to be is given at once, and each part is staged as blocks of its blob; nobody sees them. Completing
chooses parts and their order and makes the blob of them. Rows: the upload beside its owner's others, and one for each
part in partition `part_{upload}`, written when all of the part's blocks are staged.

    pending ──complete──▶ completing ──▶ completed      a kill in `completing` is mended by completing again, with the
       │                      └─ a check failed ──▶ pending                                            same parts
       ├──cancel───▶ cancelled
       └──an hour──▶ expired
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from shared.errors import BadRequest, NotFound, SpillwayError, Unavailable
from shared.files.blocks import BlockWriter
from shared.files.checks import Check
from shared.files.identity import FILE, UPLOAD, Owner, new_id, place_of
from shared.files.store import ORPHAN_S, FileStore
from shared.files.stored_file import StoredFile, clean_name
from shared.files.upload import Part, Upload, part_of, part_row, row_of, upload_of

UPLOAD_S = 3600.0
PART_BYTES_MAX = 64 * 1024 * 1024
UPLOAD_BYTES_MAX = 8 * 1024 * 1024 * 1024
PARTS_MAX = 1000
SURPLUS = 2
"""The parts of an upload may have so many times its bytes: one whose answer was lost is sent again."""
COMPLETING_S = 600.0
"""So long an upload is left to whoever completes it; then others may complete it otherwise, or cancel it."""


class Uploads:
    """Uploads of one store. Every method raises StorageFailed, and Unavailable without a storage account."""

    def __init__(self, store: FileStore) -> None:
        self._store = store

    async def create(
        self,
        owner: Owner,
        *,
        filename: str,
        purpose: str,
        bytes_count: int,
        content_type: str,
        expires_after_s: int | None = None,
        model: str = "",
    ) -> Upload:
        """An upload of `bytes_count` bytes in all."""
        store, now = self._store, self._store.clock()
        upload = Upload(
            id=new_id(UPLOAD, owner, now, store.random_bytes),
            file_id=new_id(FILE, owner, now, store.random_bytes),
            owner=owner.key_id,
            filename=clean_name(filename),
            purpose=purpose,
            bytes_count=bytes_count,
            content_type=content_type,
            created_at=int(now),
            expires_at=int(now + UPLOAD_S),
            expires_after_s=expires_after_s,
            model=model,
        )
        await store.agenda.note(now + ORPHAN_S, UPLOAD, upload.id)
        await store.storage.table.put(row_of(upload))
        return upload

    async def find(self, owner: Owner, upload_id: str) -> Upload:
        """The upload of an id. Raises NotFound."""
        place = place_of(UPLOAD, upload_id)
        row = await self._store.storage.table.get(place.partition, place.key) if place is not None else None
        upload = None if row is None else upload_of(row, self._store.clock())
        if upload is None or upload.id != upload_id or not (owner.sees_all or upload.owner == owner.key_id):
            raise NotFound("No such Upload object.", param="upload_id")
        return upload

    async def begin_part(self, upload: Upload) -> NewPart:
        """A part to be written. Whoever began it finishes or abandons it. Raises BadRequest or Unavailable."""
        _must_be(upload, "pending")
        parts = await self._parts(upload)
        if len(parts) >= PARTS_MAX or sum(part.bytes_count for part in parts) >= SURPLUS * upload.bytes_count:
            raise BadRequest(
                f"The upload has all the parts that it may have: {PARTS_MAX}, of {upload.bytes_count:,} bytes in all.",
                param="data",
                code="too_many_parts",
            )
        self._store.writers.take()
        return NewPart(self._store, upload)

    async def complete(
        self,
        owner: Owner,
        upload_id: str,
        part_ids: Sequence[str],
        md5: str | None,
        check: Callable[[Upload], Check | None],
    ) -> tuple[Upload, StoredFile | None]:
        """Makes the file of the parts, in this order; `md5` is of all bytes, in hexadecimal. `check` gives what looks
        at the bytes, where something should. May be repeated: once more it gives the same file, None when that is gone.

        Raises NotFound or BadRequest.
        """
        upload = await self.find(owner, upload_id)
        chosen = hashlib.sha256(" ".join(part_ids).encode()).hexdigest()
        if upload.status == "completed" and upload.chosen == chosen:
            return upload, await self._file(upload)
        if upload.status != "completing" or self._abandoned(upload):
            _must_be(upload, "pending", "completing")
        elif upload.chosen != chosen:
            raise BadRequest("The upload is being completed with other parts.", code="upload_completing")
        known = {part.id: part for part in await self._parts(upload)}
        parts = _chosen(upload, part_ids, known)
        upload = await self._became(upload, "completing", chosen=chosen)
        file = self._file_to_be(upload)
        await self._store.commit(file, [one for part in parts for one in part.block_ids])
        try:
            notes = await self._checked(file, md5, check(upload))
        except BadRequest:
            # The blocks of other parts are gone with the commit; those chosen may be completed in another order.
            others = [part.key for part in known.values() if part not in parts]
            await self._store.storage.table.remove_all(upload.parts_partition, others)
            await self._became(upload, "pending")
            raise
        file = replace(file, notes=notes)
        await self._store.publish(file)
        upload = await self._became(upload, "completed")
        return upload, file

    async def cancel(self, owner: Owner, upload_id: str) -> Upload:
        """No file comes of it. Cancelled twice it stays cancelled. Raises NotFound or BadRequest."""
        upload = await self.find(owner, upload_id)
        if upload.status == "cancelled":
            return upload
        if upload.status != "completing" or not self._abandoned(upload):
            _must_be(upload, "pending")
        return await self._became(upload, "cancelled")

    async def review(self, upload_id: str) -> None:
        """Forgets an upload whose time is over, and what was staged for it. For the sweep."""
        table = self._store.storage.table
        place = place_of(UPLOAD, upload_id)
        row = None if place is None else await table.get(place.partition, place.key)
        if row is None or place is None:
            return
        upload = upload_of(row, self._store.clock())
        file = place_of(FILE, upload.file_id)
        if file is not None and await table.get(file.partition, file.key) is None:
            await self._store.storage.blobs.delete(upload.file_id)
        await table.remove_all(upload.parts_partition, [part.key for part in await self._parts(upload)])
        await table.remove(place.partition, place.key)

    def _abandoned(self, upload: Upload) -> bool:
        return self._store.clock() - upload.changed_at > COMPLETING_S

    async def _parts(self, upload: Upload) -> list[Part]:
        rows = await self._store.storage.table.rows(upload.parts_partition, PARTS_MAX)
        return [part_of(row) for row in rows]

    async def _file(self, upload: Upload) -> StoredFile | None:
        with suppress(NotFound):
            return await self._store.find(Owner(upload.owner), upload.file_id)
        return None

    def _file_to_be(self, upload: Upload) -> StoredFile:
        now = int(self._store.clock())
        return StoredFile(
            id=upload.file_id,
            owner=upload.owner,
            filename=upload.filename,
            purpose=upload.purpose,
            bytes_count=upload.bytes_count,
            created_at=now,
            expires_at=None if upload.expires_after_s is None else now + upload.expires_after_s,
            content_type=upload.content_type,
            model=upload.model,
        )

    async def _checked(self, file: StoredFile, md5: str | None, check: Check | None) -> Mapping[str, Any]:
        """Reads the blob where something is to be checked. Raises BadRequest."""
        if md5 is None and check is None:
            return {}
        digest = hashlib.md5(usedforsecurity=False)
        async for piece in self._store.whole(file):
            digest.update(piece)
            if check is not None and not check.feed(piece):
                break
        notes = check.finish() if check is not None else {}
        if md5 is not None and digest.hexdigest() != md5.lower():
            raise BadRequest("The bytes of the parts do not have this md5.", param="md5", code="md5_mismatch")
        return notes

    async def _became(self, upload: Upload, status: str, chosen: str | None = None) -> Upload:
        """Changes the upload's row. Raises Unavailable when another call changed it meanwhile."""
        changed = replace(
            upload,
            status=status,
            chosen=upload.chosen if chosen is None else chosen,
            changed_at=self._store.clock(),
            change=self._store.random_bytes(8).hex(),
        )
        row = row_of(changed)
        etag = await self._store.storage.table.swap(row, upload.etag)
        if etag is None:
            there = await self._store.storage.table.get(row.partition, row.key)
            if there is None or there.properties.get("change") != changed.change:
                raise Unavailable("The upload was changed by another request.", retry_after_ms=1000)
            etag = there.etag  # the change was made, and its acknowledgement lost
        return replace(changed, etag=etag)


class NewPart:
    """A part that is being written: `write` its bytes, then `finish`; else `abandon`. One task at a time."""

    def __init__(self, store: FileStore, upload: Upload) -> None:
        self._store = store
        self._upload = upload
        self._salt = store.random_bytes(12).hex()
        self._blocks = BlockWriter(store.storage.blobs, upload.file_id, self._salt, store.supervisor)
        self._open = True

    @property
    def bytes_count(self) -> int:
        return self._blocks.bytes_count

    async def write(self, chunk: bytes) -> None:
        """Takes bytes; waits while storage is behind."""
        await self._blocks.write(chunk)

    async def finish(self) -> Part:
        """Keeps the part."""
        count = len(await self._blocks.flush())
        part = Part(self._salt, count, self.bytes_count, int(self._store.clock()))
        await self._store.storage.table.put(part_row(self._upload, part))
        self._end()
        return part

    async def abandon(self) -> None:
        """Nothing of it is kept. Does nothing when it is finished; may be called twice."""
        if self._open:
            self._end()
            with suppress(SpillwayError):
                await self._blocks.abandon()

    def _end(self) -> None:
        self._open = False
        self._store.writers.give()


def _must_be(upload: Upload, *statuses: str) -> None:
    if upload.status not in statuses:
        raise BadRequest(
            f"The upload is {upload.status}: this can be done only while it is pending.", code="upload_not_pending"
        )


def _chosen(upload: Upload, part_ids: Sequence[str], known: Mapping[str, Part]) -> list[Part]:
    """The parts of these ids. Raises BadRequest."""
    if len(set(part_ids)) < len(part_ids):
        raise BadRequest("A part is named twice in `part_ids`.", param="part_ids", code="duplicate_part")
    missing = [one for one in part_ids if one not in known]
    if missing:
        raise BadRequest(
            f"{len(missing)} of the {len(part_ids)} ids in `part_ids` are no parts of this upload.",
            param="part_ids",
            code="unknown_part",
        )
    parts = [known[one] for one in part_ids]
    size = sum(part.bytes_count for part in parts)
    if size != upload.bytes_count:
        raise BadRequest(
            f"The parts have {size:,} bytes, but the upload was created for {upload.bytes_count:,}.",
            param="part_ids",
            code="bytes_mismatch",
        )
    return parts
