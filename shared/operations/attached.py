"""Files that a call's body names by their ids: found for their owner, and in each attempt's body named as its resource
knows them, where they are copied to on demand (DESIGN §10)."""

from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from shared.errors import BadRequest, StorageFailed
from shared.files.copies import Copies
from shared.files.files import Files
from shared.files.identity import Owner
from shared.files.stored_file import StoredFile
from shared.shapes import FILE, Shape, places, replace
from shared.upstream.deployment import Deployment

FILES_MAX = 50
"""Of one request, and of one reply."""
_NAMED, _FILE = b'"file_id', re.compile(rb'"((?:assistant|file)-[A-Za-z0-9_-]{1,64})"')
"""A stream that names files has such a field, and their ids at the resources are written so."""
_CUT_BYTES = 128
"""Of an id and its field that the end of a chunk cuts in two."""

CHAT_FILES: Shape = {"messages": [{"content": [{"file": {"file_id": FILE}}]}]}
_PARTS: Shape = [{"file_id": FILE}]
RESPONSE_FILES: Shape = {
    "input": [{"content": _PARTS, "output": (_PARTS, {"file_id": FILE})}],
    "tools": [
        {
            "container": {"file_ids": [FILE]},
            "environment": {"file_ids": [FILE]},
            "input_image_mask": {"file_id": FILE},
        }
    ],
}


@dataclass(frozen=True, slots=True)
class Attached:
    """The files of one call, by the ids that its body names."""

    shape: Shape
    files: Mapping[str, StoredFile]
    copies: Copies

    async def placed(self, body: dict[str, Any], deployment: Deployment) -> dict[str, Any]:
        """The body for one deployment; the given one is not changed. Raises SpillwayError."""
        upstream_ids = await asyncio.gather(*(self.copies.at(file, deployment) for file in self.files.values()))
        known = dict(zip(self.files, upstream_ids, strict=True))
        changed = copy.deepcopy(body)
        replace(changed, self.shape, lambda our_id, _: known.get(our_id, our_id))
        return changed

    def scrubbed(self, text: str, resource: bytes) -> str:
        """The words of a resource's error, with the ids that the caller knows; a copy that they name is doubted."""
        for our_id in self.files:
            upstream_id = self.copies.known(our_id, resource)
            if upstream_id is not None and upstream_id in text:
                text = text.replace(upstream_id, our_id)
                self.copies.doubt(our_id, resource)
        return text


async def attached(files: Files, owner: Owner, body: dict[str, Any], shape: Shape | None) -> Attached | None:
    """The files that the body names; None when it names none. Raises NotFound for one that the owner may not see."""
    named = {} if shape is None else {body_at[0][body_at[1]]: body_at[3] for body_at in places(body, shape)}
    if not named:
        return None
    if len(named) > FILES_MAX:
        raise BadRequest(f"The request names more than {FILES_MAX} files.", code="too_many_files")
    found = await asyncio.gather(*(files.store.find(owner, one, param) for one, param in named.items()))
    return Attached(shape, {file.id: file for file in found}, files.copies)


async def learn(copies: Copies, shape: Shape | None, resource: bytes | None, payload: dict[str, Any]) -> None:
    """Looks up whose copies the files are that a reply names; one that cannot be looked up keeps its upstream id."""
    if shape is not None and resource is not None:
        told = [holder[key] for holder, key, mark, _ in places(payload, shape) if mark is FILE]
        with suppress(StorageFailed):
            await copies.learn(resource, told[:FILES_MAX])


async def learning(chunks: AsyncIterator[bytes], copies: Copies, resource: bytes) -> AsyncIterator[bytes]:
    """The chunks of a resource's stream; before one that names files is given on, it is looked up whose copies they
    are, as `learn` does for a whole reply."""
    looked_up = set[str]()
    cut = b""
    named = False
    async for chunk in chunks:
        seen = cut + chunk
        named = named or _NAMED in seen
        if named and len(looked_up) < FILES_MAX:
            told = {one.decode() for one in _FILE.findall(seen)} - looked_up
            if told:
                looked_up |= told
                with suppress(StorageFailed):
                    await copies.learn(resource, told)
        cut = seen[-_CUT_BYTES:]
        yield chunk
