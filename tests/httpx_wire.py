"""An upstream that is a function of httpx messages, which tests read and write more easily than wire ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import cast

import aiohttp
import httpx

from shared.upstream.wire import Request

Handler = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


class Upstream:
    """A wire.Transport whose answers `handler` gives. What it raises in httpx's words is raised in aiohttp's."""

    def __init__(self, handler: Handler) -> None:
        self._mock = httpx.MockTransport(handler)  # type: ignore[arg-type]

    async def send(self, request: Request, *, connect_s: float, pool_s: float) -> Got:
        """See wire.Transport."""
        with _as_aiohttp():
            return Got(await self._mock.handle_async_request(httpx_request(request)))

    async def close(self) -> None:
        """See wire.Transport."""


class Got:
    """A wire.Response, of which nothing has arrived with its headers."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.multi_items()}

    def arrived(self) -> bytes | None:
        """See wire.Response."""
        return None

    async def chunks(self) -> AsyncIterator[bytes]:
        """See wire.Response."""
        with _as_aiohttp():
            async for chunk in cast("httpx.AsyncByteStream", self._response.stream):
                yield chunk

    async def close(self) -> None:
        """See wire.Response."""
        with _as_aiohttp():
            await self._response.aclose()


def httpx_request(request: Request) -> httpx.Request:
    """The same request in httpx's words, without the headers that httpx adds."""
    whole = request.body is None or isinstance(request.body, bytes)
    stream = httpx.ByteStream(request.body or b"") if whole else request.body  # type: ignore[arg-type]
    made = httpx.Request(request.method, str(request.url), headers=request.headers, stream=stream)  # type: ignore[arg-type]
    if whole:
        made.read()
    return made


@contextmanager
def _as_aiohttp() -> Iterator[None]:
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise aiohttp.ConnectionTimeoutError(str(error)) from error
    except httpx.TransportError as error:
        raise aiohttp.ClientPayloadError(str(error)) from error
