"""httpx messages over an aiohttp session, with aiohttp's own exceptions.

`httpx-aiohttp` does the same and more: proxies, Unix sockets, its own names for exceptions, of which it calls every
connection error a connect timeout. Here a call needs none of that, and pays for none (`devtools bench transport`).
Imported with the first gateway only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import lru_cache

import aiohttp
import httpx

CHUNK_BYTES = 64 * 1024


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends over the session that `session()` makes, on the running loop, with the first request.

    A request's `timeout` extension gives the seconds to `connect` a socket and to get one of the `pool`.
    """

    def __init__(self, session: Callable[[], aiohttp.ClientSession]) -> None:
        self._make = session
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises aiohttp.ClientError, OSError, and TimeoutError from the pool or from connecting."""
        if self._session is None:
            self._session = self._make()
        headers = {name.decode("ascii").lower(): value.decode("ascii") for name, value in request.headers.raw}
        data: bytes | httpx.AsyncByteStream | None
        try:
            data = request.content or None
        except httpx.RequestNotRead:
            assert isinstance(request.stream, httpx.AsyncByteStream)
            data = request.stream
            headers.pop("transfer-encoding", None)  # aiohttp decides
        limits = request.extensions.get("timeout") or {}
        response = await self._session.request(
            request.method,
            str(request.url),
            headers=headers,
            data=data,
            allow_redirects=False,
            timeout=_limits(limits.get("connect"), limits.get("pool")),
        )
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response), request=request)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._response.content.iter_chunked(CHUNK_BYTES).__aiter__()

    async def aclose(self) -> None:
        self._response.release()  # one that was not read to its end takes its connection with it
        await self._response.wait_for_close()


@lru_cache(maxsize=64)
def _limits(connect_s: float | None, pool_s: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=connect_s, connect=pool_s)
