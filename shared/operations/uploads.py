"""`/v1/uploads`: a file in parts, each of at most 64 MB, together at most 8 GB, within an hour."""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import Any

from shared.errors import BadRequest, PayloadTooLarge
from shared.files.preflight import Preflight
from shared.files.upload import Upload
from shared.files.uploads import PART_BYTES_MAX, PARTS_MAX, UPLOAD_BYTES_MAX, NewPart
from shared.operations.batch_models import known_model
from shared.operations.body import read_json
from shared.operations.context import Context
from shared.operations.file_fields import expires_after_s, model_of, purpose_of
from shared.operations.files import BATCH, answer, owner_of
from shared.operations.parsing import missing, text, wrong_type
from shared.operations.reply import BufferedReply
from shared.operations.streamed_form import Field, FileBegins, events

BODY_BYTES_MAX = 256 * 1024
BATCH_BYTES_MAX = 2 * 1024 * 1024 * 1024
"""A file for a batch is read once more when it is complete, within the 230 seconds of a request."""
_MD5 = re.compile(r"[0-9a-fA-F]{32}")


async def create(context: Context) -> BufferedReply:
    """An upload, from `bytes`, `filename`, `mime_type`, `purpose` and perhaps `expires_after`."""
    body = await read_json(context.request, BODY_BYTES_MAX)
    filename, content_type = text(body, "filename"), text(body, "mime_type")
    purpose = purpose_of(body.get("purpose"))
    upload = await context.parts.files.uploads.create(
        owner_of(context),
        filename=filename,
        purpose=purpose,
        bytes_count=_bytes_count(body, BATCH_BYTES_MAX if purpose == BATCH else UPLOAD_BYTES_MAX),
        content_type=content_type,
        expires_after_s=expires_after_s(body.get("expires_after")),
        model=model_of(body, context.request.query_params, context.request.headers),
    )
    return answer(upload.shown())


async def add_part(context: Context) -> BufferedReply:
    """A part: a form with the file `data`."""
    uploads = context.parts.files.uploads
    upload = await uploads.find(owner_of(context), context.params["id"])
    new = await uploads.begin_part(upload)
    try:
        await _receive(context, new)
        part = await new.finish()
    finally:
        await new.abandon()
    return answer(part.shown(upload))


async def complete(context: Context) -> BufferedReply:
    """The upload with its file, from `part_ids` in their order and perhaps `md5`."""
    body = await read_json(context.request, BODY_BYTES_MAX)
    part_ids = body.get("part_ids")
    if part_ids is None:
        raise missing("part_ids")
    if not isinstance(part_ids, list) or not all(isinstance(one, str) for one in part_ids):
        raise wrong_type("part_ids", "an array of strings", part_ids)
    if not 1 <= len(part_ids) <= PARTS_MAX:
        raise BadRequest(f"`part_ids` must have 1 to {PARTS_MAX} ids.", param="part_ids", code="invalid_value")
    md5 = body.get("md5") or None
    if md5 is not None and not (isinstance(md5, str) and _MD5.fullmatch(md5)):
        raise BadRequest("`md5` must be 32 hexadecimal digits.", param="md5", code="invalid_value")
    router, caller = context.parts.router, context.caller

    def check(upload: Upload) -> Preflight | None:
        if upload.purpose != BATCH:
            return None
        return Preflight(lambda name: known_model(router, caller, name), upload.model)

    upload, file = await context.parts.files.uploads.complete(
        owner_of(context), context.params["id"], part_ids, md5, check
    )
    return answer(upload.shown(file))


async def cancel(context: Context) -> BufferedReply:
    """The upload, of which no file comes."""
    return answer((await context.parts.files.uploads.cancel(owner_of(context), context.params["id"])).shown())


async def _receive(context: Context, new: NewPart) -> None:
    """Stages the bytes of the form's file. Raises BadRequest or PayloadTooLarge."""
    seen = False
    async with aclosing(events(context.request, PART_BYTES_MAX + BODY_BYTES_MAX, _too_large())) as parts:
        async for event in parts:
            if isinstance(event, bytes):
                if new.bytes_count + len(event) > PART_BYTES_MAX:
                    raise _too_large()
                await new.write(event)
            elif isinstance(event, FileBegins):
                if event.name != "data" or seen:
                    raise BadRequest("One file is expected, in `data`.", param="data", code="invalid_form")
                seen = True
            else:
                assert isinstance(event, Field)  # such as custom_llm_provider: nothing here depends on it
    if not seen:
        raise missing("data")
    if not new.bytes_count:
        raise BadRequest("The part is empty.", param="data", code="invalid_value")


def _bytes_count(body: dict[str, Any], most: int) -> int:
    value = body.get("bytes")
    if value is None:
        raise missing("bytes")
    if type(value) is not int:
        raise wrong_type("bytes", "an integer", value)
    if not 1 <= value <= most:
        raise BadRequest(f"`bytes` must be from 1 to {most:,}.", param="bytes", code="invalid_value")
    return value


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(f"A part is at most {PART_BYTES_MAX:,} bytes.", param="data")
