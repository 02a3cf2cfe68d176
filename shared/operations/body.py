"""A request's body, read in bounded memory: JSON, or a form whose files go to disk as they arrive."""

from __future__ import annotations

from typing import Any

import orjson
from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from shared.errors import BadRequest, ClientClosedRequest, PayloadTooLarge
from shared.upstream.content import FormFile

FORM_OVERHEAD_BYTES = 1024 * 1024
"""What a form may hold beside its files."""
FORM_FIELDS_MAX = 200
FORM_FILES_MAX = 20


async def read_json(request: Request, bytes_max: int) -> dict[str, Any]:
    """The request's JSON object. Raises PayloadTooLarge before reading too much, ClientClosedRequest or BadRequest."""
    _check_declared(request, bytes_max)
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > bytes_max:
                raise _too_large(bytes_max)
            parts.append(part)
    except ClientDisconnect:
        raise ClientClosedRequest("The client left while it was sending its request.") from None
    raw = b"".join(parts)
    if not raw.strip():
        raise BadRequest("The request's body is empty; a JSON object is expected.", code="invalid_json")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The request's body is not valid JSON: {error}.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise BadRequest("The request's body must be a JSON object.", code="invalid_json")
    return body


async def read_form(request: Request, bytes_max: int) -> tuple[dict[str, Any], tuple[FormFile, ...]]:
    """The form's fields (a list where a field came twice, or its name ends in `[]`) and its files.

    Files over 1 MB are on disk, not in memory. The caller closes them. Raises PayloadTooLarge or BadRequest.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise BadRequest("The request must be a multipart/form-data form.", code="invalid_content_type")
    limit = bytes_max + FORM_OVERHEAD_BYTES
    _check_declared(request, limit)
    bounded = Request(request.scope, _bounded(request, limit))
    try:
        form = await bounded.form(
            max_files=FORM_FILES_MAX, max_fields=FORM_FIELDS_MAX, max_part_size=FORM_OVERHEAD_BYTES
        )
    except ClientDisconnect:
        raise ClientClosedRequest("The client left while it was sending its request.") from None
    except (HTTPException, MultiPartException, MultipartParseError, KeyError, UnicodeDecodeError, ValueError):
        raise BadRequest("The request's form cannot be read.", code="invalid_form") from None
    fields: dict[str, Any] = {}
    files: list[FormFile] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            kind = value.content_type or "application/octet-stream"
            files.append(FormFile(name, value.filename or name, kind, value.size or 0, value.file))
        elif name in fields or name.endswith("[]"):
            known = fields.get(name, [])
            fields[name] = [*(known if isinstance(known, list) else [known]), value]
        else:
            fields[name] = value
    return fields, tuple(files)


def _bounded(request: Request, bytes_max: int) -> Any:
    size = 0

    async def receive() -> Message:
        nonlocal size
        message = await request.receive()
        size += len(message.get("body", b""))
        if size > bytes_max:
            raise _too_large(bytes_max)
        return message

    return receive


def _check_declared(request: Request, bytes_max: int) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > bytes_max):
        raise _too_large(bytes_max)


def _too_large(bytes_max: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request's body is over the limit of {bytes_max:,} bytes.")
