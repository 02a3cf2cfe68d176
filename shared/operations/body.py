"""A request's body, read in bounded memory."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request

from shared.errors import BadRequest, ClientClosedRequest, PayloadTooLarge


async def read_json(request: Request, bytes_max: int) -> dict[str, Any]:
    """The request's JSON object. Raises PayloadTooLarge before reading too much, ClientClosedRequest or BadRequest."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > bytes_max):
        raise _too_large(bytes_max)
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


def _too_large(bytes_max: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request's body is over the limit of {bytes_max:,} bytes.")
