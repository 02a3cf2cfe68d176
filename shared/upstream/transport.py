"""Requests to Azure over a pool of connections, with each failure named by what was sent.

aiohttp is imported with the first gateway: indexing the app does not wait for it.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import cache

from shared.errors import (
    BadRequest,
    SpillwayError,
    StreamBroken,
    UpstreamFailed,
    UpstreamNoReply,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from shared.upstream.public import AddressRefused
from shared.upstream.wire import Request, Response, Transport

IDLE_CONNECTION_S = 30.0
"""Shorter than any balancer's idle limit on the way (4 minutes), so that a pooled socket is rarely found dead."""
POOL_TIMEOUT_S = 10.0
REPLY_BYTES_MAX = 64 * 1024 * 1024


def create_transport(connections_max: int, *, public_only: bool = False) -> Transport:
    """A pool of at most `connections_max` HTTP/1.1 connections. Belongs to the running event loop.

    `public_only`: names that lead to private addresses are refused on connecting (shared.upstream.resolver).
    """
    import aiohttp

    from shared.upstream.resolver import PublicResolver
    from shared.upstream.sockets import Sockets

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=connections_max,
            keepalive_timeout=IDLE_CONNECTION_S,
            ssl=_trust(),
            resolver=PublicResolver(aiohttp.ThreadedResolver()) if public_only else None,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    return Sockets(session)


@cache
def _trust() -> ssl.SSLContext:
    """The certificate authorities, which take a tenth of a second to read."""
    import httpx

    return httpx.create_ssl_context()


@cache
def _broken() -> tuple[type[Exception], ...]:
    """What a connection that fails raises."""
    import aiohttp

    return aiohttp.ClientError, OSError


async def send(transport: Transport, request: Request, *, connect_s: float, first_byte_s: float) -> Response:
    """Sends and waits for the status line. The response's body is still on the wire: read or close it.

    Raises UpstreamUnreachable (nothing was sent), UpstreamNoReply (sent, then the connection broke),
    UpstreamTimeout (sent, no status line within `first_byte_s` seconds, which may be infinite) or BadRequest (nothing
    was sent: a caller's own address is not public).
    """
    pool_s = POOL_TIMEOUT_S + connect_s
    try:
        if first_byte_s == math.inf:
            return await transport.send(request, connect_s=connect_s, pool_s=pool_s)
        async with asyncio.timeout(first_byte_s):
            return await transport.send(request, connect_s=connect_s, pool_s=pool_s)
    except _broken() as error:
        if type(error) is TimeoutError:  # ours: aiohttp's own are subclasses
            raise UpstreamTimeout(f"The model did not begin to answer within {first_byte_s:g} seconds.") from error
        raise _named(error) from error


async def read(response: Response, *, idle_s: float, bytes_max: int = REPLY_BYTES_MAX) -> bytes:
    """The whole body; the response is closed. Raises UpstreamNoReply, UpstreamTimeout or UpstreamFailed (too large)."""
    try:
        body = response.arrived()
        if body is None:
            body = await _rest(response, idle_s, bytes_max)
        elif len(body) > bytes_max:
            raise _too_large()
        return body
    except StreamBroken as error:
        raise UpstreamNoReply("The connection to the model broke in the middle of its answer.") from error
    finally:
        await close(response)


async def _rest(response: Response, idle_s: float, bytes_max: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    clock = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(idle_s) as silence:
            async for chunk in chunks_of(response):
                silence.reschedule(clock() + idle_s)
                size += len(chunk)
                if size > bytes_max:
                    raise _too_large()
                parts.append(chunk)
    except TimeoutError as error:
        raise UpstreamTimeout(f"The model's answer stopped for {idle_s:g} seconds.") from error
    return b"".join(parts)


def _too_large() -> UpstreamFailed:
    return UpstreamFailed("The model's answer is larger than the gateway carries.", should_retry=False)


async def chunks_of(response: Response) -> AsyncIterator[bytes]:
    """The body as it arrives. Raises StreamBroken when the connection ends before the body does."""
    try:
        async for chunk in response.chunks():
            yield chunk
    except _broken() as error:
        raise StreamBroken("The connection to the model broke before the answer ended.") from error


async def close(response: Response) -> None:
    """Lets the connection go: back to the pool when the body was read to its end, closed otherwise. Never raises."""
    with suppress(RuntimeError, *_broken()):
        await response.close()


def _named(error: Exception) -> SpillwayError:
    """What an error means by what was sent before it."""
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressRefused):
        return BadRequest("This `api_base` is not accepted here.", param="api_base", code="invalid_value")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return UpstreamUnreachable("The model's deployment could not be reached.")
    return UpstreamNoReply("The connection to the model broke before it answered.")
