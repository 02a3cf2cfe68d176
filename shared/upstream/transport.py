"""The sockets to Azure: httpx requests over aiohttp's connection pool, with each failure named by what was sent.

The transport is called with an `httpx.Request` directly, without `httpx.AsyncClient`: on one core and an instant
upstream that carries about four times the requests (`python -m devtools bench transport`), and redirects, cookies
and environment proxies, which a gateway must not follow, are not there at all. The two libraries are imported with the
first gateway: indexing the app does not wait for them.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, cast

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

if TYPE_CHECKING:
    import httpx

IDLE_CONNECTION_S = 30.0
"""Shorter than any balancer's idle limit on the way (4 minutes), so that a pooled socket is rarely found dead."""
POOL_TIMEOUT_S = 10.0
REPLY_BYTES_MAX = 64 * 1024 * 1024


def create_transport(connections_max: int, *, public_only: bool = False) -> httpx.AsyncBaseTransport:
    """A pool of at most `connections_max` HTTP/1.1 connections. Belongs to the running event loop.

    `public_only`: names that lead to private addresses are refused on connecting (shared.upstream.resolver).
    """
    import aiohttp

    from shared.upstream.aiohttp_transport import AiohttpTransport
    from shared.upstream.resolver import PublicResolver

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
            skip_auto_headers=("user-agent", "accept-encoding", "accept", "content-type"),
        )

    return AiohttpTransport(session)


@cache
def _trust() -> ssl.SSLContext:
    """The certificate authorities, which take a tenth of a second to read."""
    import httpx

    return httpx.create_ssl_context()


@cache
def _broken() -> tuple[type[Exception], ...]:
    """What a connection that fails raises."""
    import aiohttp
    import httpx

    return httpx.TransportError, aiohttp.ClientError, OSError


async def send(
    transport: httpx.AsyncBaseTransport, request: httpx.Request, *, connect_s: float, first_byte_s: float
) -> httpx.Response:
    """Sends and waits for the status line. The response's body is still on the wire: read or close it.

    Raises UpstreamUnreachable (nothing was sent), UpstreamNoReply (sent, then the connection broke),
    UpstreamTimeout (sent, no status line within `first_byte_s` seconds, which may be infinite) or BadRequest (nothing
    was sent: a caller's own address is not public).
    """
    request.extensions["timeout"] = {"connect": connect_s, "pool": POOL_TIMEOUT_S + connect_s}
    try:
        if first_byte_s == math.inf:
            return await transport.handle_async_request(request)
        async with asyncio.timeout(first_byte_s):
            return await transport.handle_async_request(request)
    except _broken() as error:
        if type(error) is TimeoutError:  # ours: aiohttp's own are subclasses
            raise UpstreamTimeout(f"The model did not begin to answer within {first_byte_s:g} seconds.") from error
        raise _named(error) from error


async def read(response: httpx.Response, *, idle_s: float, bytes_max: int = REPLY_BYTES_MAX) -> bytes:
    """The whole body; the response is closed. Raises UpstreamNoReply, UpstreamTimeout or UpstreamFailed (too large)."""
    parts: list[bytes] = []
    size = 0
    clock = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(idle_s) as silence:
            async for chunk in chunks_of(response):
                silence.reschedule(clock() + idle_s)
                size += len(chunk)
                if size > bytes_max:
                    raise UpstreamFailed("The model's answer is larger than the gateway carries.", should_retry=False)
                parts.append(chunk)
        return b"".join(parts)
    except TimeoutError as error:
        raise UpstreamTimeout(f"The model's answer stopped for {idle_s:g} seconds.") from error
    except StreamBroken as error:
        raise UpstreamNoReply("The connection to the model broke in the middle of its answer.") from error
    finally:
        await close(response)


async def chunks_of(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it arrives. Raises StreamBroken when the connection ends before the body does."""
    try:
        async for chunk in cast("httpx.AsyncByteStream", response.stream):
            yield chunk
    except _broken() as error:
        raise StreamBroken("The connection to the model broke before the answer ended.") from error


async def close(response: httpx.Response) -> None:
    """Lets the connection go: back to the pool when the body was read to its end, closed otherwise. Never raises."""
    with suppress(RuntimeError, *_broken()):
        await response.aclose()


def _named(error: Exception) -> SpillwayError:
    """What an error means by what was sent before it, whichever transport raised it."""
    import aiohttp
    import httpx

    nothing_sent = (
        aiohttp.ClientConnectorError,
        aiohttp.ConnectionTimeoutError,
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.PoolTimeout,
    )
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressRefused):
        return BadRequest("This `api_base` is not accepted here.", param="api_base", code="invalid_value")
    if isinstance(error, nothing_sent):
        return UpstreamUnreachable("The model's deployment could not be reached.")
    return UpstreamNoReply("The connection to the model broke before it answered.")
