"""What goes to a deployment and what comes back: messages that cost nothing but what is in them.

Whoever sends them is a Transport: `sockets.py` over aiohttp, or a function in tests.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from yarl import URL


@dataclass(slots=True)
class Request:
    """One request. Names of headers are in lower case; `host` and a missing length are the transport's. `body` may be
    pieces that are read as they are sent, once."""

    method: str
    url: URL
    headers: dict[str, str]
    body: bytes | AsyncIterable[bytes] | None


class Response(Protocol):
    """An answer whose body is still on the wire: read it to its end, or close it.

    `headers` have their names in lower case; of those that came more than once there is the last.
    """

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def arrived(self) -> bytes | None:
        """The whole body where it has come together with the headers, as short ones do; None otherwise."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises aiohttp.ClientError or OSError when the connection ends before it does."""

    async def close(self) -> None:
        """Lets the connection go: back to the pool when the body was read to its end, closed otherwise."""


class Transport(Protocol):
    """A pool of connections. Belongs to the running event loop."""

    async def send(self, request: Request, *, connect_s: float, pool_s: float) -> Response:
        """Sends, and waits for the headers. `connect_s` seconds for a new socket, `pool_s` until there is a connection.
        Raises aiohttp.ClientError, OSError, and TimeoutError from the pool or from connecting."""

    async def close(self) -> None:
        """Closes every connection."""


def is_success(status: int) -> bool:
    """Whether the status says that the request was done."""
    return 200 <= status < 300
