"""The host reads a request body with a Content-Length whole before it invokes the function; chunked ones it streams.

Over `FUNCTIONS_REQUEST_BODY_SIZE_LIMIT` bytes Kestrel answers 413. Source: HttpTriggerAttributeBindingProvider.cs,
HttpRequestBodySizeMiddleware.cs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from tempfile import TemporaryFile

from devtools.serving import Message

Receive = Callable[[], Awaitable[Message]]

BODY_BYTES_MAX_DEFAULT = 104_857_600
# A refused body is read on this long, so that a client that sends first and reads then sees the answer.
DRAIN_S = 2.0
SPOOL_BYTES = 1024 * 1024
CHUNK_BYTES = 256 * 1024


class BodyTooLarge(Exception):
    """The declared length is over the limit."""


class ClientGone(Exception):
    """The client closed the connection before its body was complete: the function is never invoked."""


def content_length(headers: Sequence[tuple[bytes, bytes]]) -> int | None:
    for name, value in headers:
        if name == b"content-length":
            return int(value)
    return None


async def prepare(
    headers: Sequence[tuple[bytes, bytes]],
    receive: Receive,
    body_bytes_max: int,
    refuse: Callable[[], Awaitable[None]],
    files: ExitStack,
) -> Receive:
    """What the function receives from: the server's own `receive` when there is nothing to read ahead. A large body
    is kept on disk as long as `files` is open, so that this process does not hold what in Azure another one does.

    Raises BodyTooLarge for a declared length over the limit, ClientGone when the client leaves during the read.
    A chunked body that grows over the limit calls `refuse`, and the function sees its client go.
    """
    length = content_length(headers)
    if length is None:
        chunked = any(name == b"transfer-encoding" for name, _ in headers)
        return _limited(receive, body_bytes_max, refuse) if chunked else receive
    if length > body_bytes_max:
        raise BodyTooLarge
    if length == 0:
        return receive
    if length > SPOOL_BYTES:
        return await _spooled(receive, files)
    return _replay(await _read(receive), receive)


async def drain(receive: Receive) -> None:
    """Reads what the client still sends and forgets it, for a bounded time."""
    try:
        async with asyncio.timeout(DRAIN_S):
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass
    except TimeoutError:
        return


async def _read(receive: Receive) -> list[Message]:
    messages = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        messages.append(message)
        if not message.get("more_body"):
            return messages


def _replay(messages: list[Message], receive: Receive) -> Receive:
    waiting = iter(messages)

    async def replayed() -> Message:
        for message in waiting:
            return message
        return await receive()

    return replayed


async def _spooled(receive: Receive, files: ExitStack) -> Receive:
    body = files.enter_context(TemporaryFile())  # noqa: SIM115
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body.write(message.get("body", b""))
        more = message.get("more_body", False)
    body.seek(0)
    ended = False

    async def replayed() -> Message:
        nonlocal ended
        if ended:
            return await receive()
        chunk = body.read(CHUNK_BYTES)
        ended = not chunk
        return {"type": "http.request", "body": chunk, "more_body": not ended}

    return replayed


def _limited(receive: Receive, body_bytes_max: int, refuse: Callable[[], Awaitable[None]]) -> Receive:
    seen_bytes = 0

    async def counted() -> Message:
        nonlocal seen_bytes
        message = await receive()
        seen_bytes += len(message.get("body", b""))
        if seen_bytes <= body_bytes_max:
            return message
        await refuse()
        return {"type": "http.disconnect"}

    return counted
