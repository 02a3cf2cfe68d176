"""The sockets to Azure: aiohttp's session, used without what a gateway must not do and does not need.

Redirects are not followed, cookies not kept, bodies not decompressed, and the environment's proxies not asked for. On
one core that carries several times what httpx does (`python -m devtools bench transport`). Imported with the first
gateway only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import lru_cache

import aiohttp

from shared.upstream.wire import Request

CHUNK_BYTES = 64 * 1024
_OWN_HEADERS = frozenset(("user-agent", "accept-encoding", "accept", "content-type"))
"""aiohttp writes these where they are missing, unless it is told not to, which costs more than writing them."""


class Sockets:
    """Sends over the session that `session()` makes, on the running loop, with the first request: a wire.Transport."""

    def __init__(self, session: Callable[[], aiohttp.ClientSession]) -> None:
        self._make = session
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request, *, connect_s: float, pool_s: float) -> Answer:
        """See wire.Transport."""
        if self._session is None:
            self._session = self._make()
        headers = request.headers
        response = await self._session.request(
            request.method,
            request.url,
            headers=headers,
            data=request.body,
            skip_auto_headers=None if headers.keys() >= _OWN_HEADERS else _OWN_HEADERS,
            allow_redirects=False,
            timeout=_limits(connect_s, pool_s),
        )
        return Answer(response)

    async def close(self) -> None:
        """See wire.Transport."""
        if self._session is not None:
            await self._session.close()


class Answer:
    """A wire.Response."""

    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.raw_headers}

    def arrived(self) -> bytes | None:
        """See wire.Response."""
        content = self._response.content
        return content.read_nowait() if content.is_eof() and content.exception() is None else None

    def chunks(self) -> AsyncIterator[bytes]:
        """See wire.Response."""
        return self._response.content.iter_chunked(CHUNK_BYTES).__aiter__()

    async def close(self) -> None:
        """See wire.Response."""
        if not self._response.closed:  # one that was read to its end has let its connection go by itself
            self._response.release()  # one that was not takes its connection with it
        await self._response.wait_for_close()


@lru_cache(maxsize=64)
def _limits(connect_s: float, pool_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=connect_s, connect=pool_s)
