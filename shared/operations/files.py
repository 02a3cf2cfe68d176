"""`/v1/files`: upload, list, retrieve, delete, content. Bytes go to Blob Storage as they arrive, and come back so.

An upload for a batch passes the preflight on its way; a form that names its purpose behind its file is checked as if
it were for one, until it says so.
"""

from __future__ import annotations

import re
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson

from shared.errors import BadRequest, PayloadTooLarge
from shared.files.checks import Check
from shared.files.identity import Owner
from shared.files.preflight import Preflight
from shared.files.store import NewFile
from shared.files.stored_file import StoredFile
from shared.operations.batch_models import known_model
from shared.operations.context import Context
from shared.operations.file_fields import expires_after_s, expiry_of, model_of, purpose_of, wanted_of
from shared.operations.parsing import missing
from shared.operations.ranges import Part, asked, part_headers
from shared.operations.reply import BufferedReply, StreamedReply, Write
from shared.operations.streamed_form import Field, FileBegins, events

FILE_BYTES_MAX = 200 * 1024 * 1024
"""A Function takes a body of at most 210,000,000 bytes."""
FORM_BYTES_MAX = FILE_BYTES_MAX + 256 * 1024
BATCH = "batch"
_NOT_PLAIN = re.compile(r'[^\x20-\x7e]|["\\]')


def owner_of(context: Context) -> Owner:
    """Whose files are meant."""
    return Owner(context.caller.key_id, context.caller.is_master)


def answer(body: Any) -> BufferedReply:
    """A JSON answer."""
    return BufferedReply(200, orjson.dumps(body))


async def create(context: Context) -> BufferedReply:
    """Keeps the file of a form: `file`, `purpose`, perhaps `expires_after` and `model`."""
    new = context.parts.files.store.begin(owner_of(context))
    try:
        received = await _received(context, new)
        file = await _kept(context, new, received)
    finally:
        await new.abandon()
    return answer(file.shown())


async def list_files(context: Context) -> BufferedReply:
    """The caller's files: `after`, `limit`, `order`, `purpose`."""
    page = await context.parts.files.store.page(owner_of(context), wanted_of(context.request.query_params))
    files = [file.shown() for file in page.files]
    return answer({
        "object": "list",
        "data": files,
        "first_id": files[0]["id"] if files else None,
        "last_id": files[-1]["id"] if files else None,
        "has_more": page.has_more,
    })  # fmt: skip


async def retrieve(context: Context) -> BufferedReply:
    """One file."""
    return answer((await _found(context)).shown())


async def delete(context: Context) -> BufferedReply:
    """Deletes a file, and soon its copies at resources."""
    await context.parts.files.store.delete(owner_of(context), context.params["id"])
    return answer({"id": context.params["id"], "object": "file", "deleted": True})


async def content(context: Context) -> StreamedReply:
    """The bytes of a file, or the part that `Range` asks for."""
    store, file = context.parts.files.store, await _found(context)
    part = asked(context.request.headers)
    wanted = part or Part()
    blob = await store.open(file, wanted.start, wanted.length)
    headers = {"accept-ranges": "bytes", "content-disposition": _disposition(file.filename)}
    if part is not None:
        headers |= part_headers(blob)

    async def run(write: Write) -> None:
        async for piece in store.chunks(blob):
            await write(piece)

    # Never the type that was said at upload: a browser would run what is in it.
    return StreamedReply(run, headers, 200 if part is None else 206, media_type="application/octet-stream")


@dataclass(slots=True)
class Received:
    """What a form held beside its file's bytes."""

    fields: dict[str, str] = field(default_factory=dict)
    file: FileBegins | None = None
    check: Check | None = None


async def _received(context: Context, new: NewFile) -> Received:
    """Takes the form apart; the file's bytes are on their way to storage. Raises BadRequest or PayloadTooLarge."""
    found = Received()
    async with aclosing(events(context.request, FORM_BYTES_MAX, _too_large())) as parts:
        async for event in parts:
            if isinstance(event, Field):
                found.fields[event.name] = event.value
            elif isinstance(event, FileBegins):
                if event.name != "file" or found.file is not None:
                    raise BadRequest("One file is expected, in `file`.", param="file", code="invalid_form")
                found.file = event
                found.check = _check(context, found.fields)
            else:
                await _taken(event, new, found)
    return found


async def _taken(chunk: bytes, new: NewFile, found: Received) -> None:
    if new.bytes_count + len(chunk) > FILE_BYTES_MAX:
        raise _too_large()
    if found.check is not None and not found.check.feed(chunk) and found.fields.get("purpose") == BATCH:
        found.check.finish()
    await new.write(chunk)


async def _kept(context: Context, new: NewFile, received: Received) -> StoredFile:
    """The file, when its form is right and its bytes are. Raises BadRequest."""
    fields = received.fields
    purpose = purpose_of(fields.get("purpose"))
    if received.file is None:
        raise missing("file")
    expires_s = expires_after_s(expiry_of(fields))
    if not new.bytes_count:
        raise BadRequest("The file is empty.", param="file", code="empty_file")
    model = model_of(fields, context.request.query_params, context.request.headers)
    notes = received.check.finish() if purpose == BATCH and received.check is not None else {}
    return await new.finish(
        filename=received.file.filename,
        purpose=purpose,
        content_type=received.file.content_type,
        expires_after_s=expires_s,
        model=model,
        notes=notes,
    )


def _check(context: Context, fields: dict[str, str]) -> Check | None:
    """The preflight of a file that is for a batch, or may yet turn out to be."""
    if fields.get("purpose", BATCH) != BATCH:
        return None
    router, caller = context.parts.router, context.caller
    model = model_of(fields, context.request.query_params, context.request.headers)
    return Preflight(lambda name: known_model(router, caller, name), model)


async def _found(context: Context) -> StoredFile:
    return await context.parts.files.store.find(owner_of(context), context.params["id"])


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The file is over {FILE_BYTES_MAX:,} bytes, the most that one request may bring. Send it in parts with "
        "/v1/uploads: each up to 64 MB, together up to 8 GB.",
        param="file",
    )


def _disposition(filename: str) -> str:
    """`attachment` under the file's name (RFC 6266)."""
    plain = _NOT_PLAIN.sub("_", filename)
    extended = f"; filename*=UTF-8''{quote(filename, safe='')}" if plain != filename else ""
    return f'attachment; filename="{plain}"{extended}'
