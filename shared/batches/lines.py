"""Lines of a batch's input: cut out of a stream of bytes, and written for a deployment. Pure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson

LINE_BYTES_MAX = 16 * 1024 * 1024
"""A request that is longer is none that Azure takes."""
RESULT_BYTES_MAX = 64 * 1024 * 1024
"""A result may be: 2,048 embeddings of 3,072 numbers each."""
TOKEN_BYTES = 4

KINDS = ("chat/completions", "embeddings", "responses")
"""What the lines of a batch may ask for, below /v1."""


class BadLine(Exception):
    """A line that cannot be sent."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


class LineTooLong(Exception):
    """A line has more bytes than anybody takes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of the input: the caller's id for it, and about how many tokens its prompt has."""

    custom_id: str
    tokens: int


def kind_of(url: str) -> str | None:
    """`chat/completions` of `/v1/chat/completions`, `/chat/completions` or `/openai/v1/...`; None for any other."""
    path = url.strip("/").lower().removeprefix("openai/").removeprefix("v1/")
    return path if path in KINDS else None


def upstream_endpoint(kind: str, provider: str) -> str:
    """`endpoint` of a batch at a resource. Azure's samples write chat without /v1; it reads the lines to decide."""
    return "/chat/completions" if kind == "chat/completions" and provider == "azure" else f"/v1/{kind}"


async def lines_of(chunks: AsyncIterator[bytes], bytes_max: int) -> AsyncIterator[tuple[bytes, int]]:
    """The lines of a stream, blank ones too, each with how many bytes there were up to its end. Raises LineTooLong."""
    begun: list[bytes] = []
    size = at = 0
    async for chunk in chunks:
        lines = chunk.split(b"\n")
        for line in lines[:-1]:
            at += size + len(line) + 1
            if begun:
                begun.append(line)
                line = b"".join(begun)
                begun, size = [], 0
            if len(line) > bytes_max:
                raise LineTooLong
            yield line, at
        if lines[-1]:
            begun.append(lines[-1])
            size += len(lines[-1])
            if size > bytes_max:
                raise LineTooLong
    if begun:
        yield b"".join(begun), at + size


def written_for(line: bytes, deployment: str, kind: str) -> tuple[Asked, bytes]:
    """A request as its deployment takes it: with the deployment's own name, and the URL as it is written today. Raises
    BadLine."""
    try:
        request = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise BadLine("invalid_json_line", "This line is not valid JSON.") from None
    if not isinstance(request, dict):
        raise BadLine("invalid_request", "This line is not a JSON object.")
    custom_id, body = request.get("custom_id"), request.get("body")
    if not isinstance(custom_id, str) or not custom_id:
        raise BadLine("invalid_request", "This request has no `custom_id`.", "custom_id")
    if not isinstance(body, dict):
        raise BadLine("invalid_request", "This request has no `body`.", "body")
    request["url"] = f"/v1/{kind}"
    request["method"] = "POST"
    body["model"] = deployment
    return Asked(custom_id, len(line) // TOKEN_BYTES), orjson.dumps(request) + b"\n"


def custom_id_of(line: bytes) -> str | None:
    """The id of a request that may be anything."""
    try:
        request = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    custom_id: Any = request.get("custom_id") if isinstance(request, dict) else None
    return custom_id if isinstance(custom_id, str) and custom_id else None
