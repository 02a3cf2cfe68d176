"""The client's connection: sending, noticing that the client has left, and breaking it on purpose.

ASGI has no way to break a connection, so `close` and `reset` reach for uvicorn's transport: `send` is a method of its
request cycle, which holds it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

from devtools.serving import Message

Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Connection:
    """One exchange on a connection, after its request was read. Use as a context manager."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._leaving: asyncio.Task[None] | None = None

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        if self._leaving is not None:
            self._leaving.cancel()

    def watch(self) -> None:
        """Starts to look out for the client's leaving."""
        if self._leaving is None:
            self._leaving = asyncio.ensure_future(self._until_gone())

    @property
    def gone(self) -> bool:
        """Whether the client has left, as far as `watch` saw."""
        return self._leaving is not None and self._leaving.done()

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def pause(self, seconds: float) -> bool:
        """Waits; tells whether the client is still there."""
        self.watch()
        assert self._leaving is not None
        await asyncio.wait({self._leaving}, timeout=seconds)
        return not self.gone

    async def start(self, status: int, headers: dict[str, str]) -> None:
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def body(self, data: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def close(self) -> None:
        """Breaks the connection after what was sent, without ending the answer."""
        self._transport().close()
        await self.pause(5)

    async def reset(self) -> None:
        """Breaks the connection with a TCP RST; what was not yet sent is lost."""
        transport = self._transport()
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        await self.pause(5)

    def _transport(self) -> asyncio.Transport:
        transport: asyncio.Transport | None = getattr(getattr(self._send, "__self__", None), "transport", None)
        if transport is None:
            raise ConnectionResetError("the connection breaks here, and this server cannot show it")
        return transport
