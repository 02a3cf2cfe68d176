"""Runs an ASGI app on a free port of this process, on its own thread and event loop: for tests and benches."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import uvicorn

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
ASGIApp = Callable[[Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


def listen(port: int = 0, host: str = "127.0.0.1") -> socket.socket:
    """A bound, listening socket; port 0 lets the system choose a free one (`getsockname()[1]`)."""
    # asyncio switches Nagle off only where the protocol is spelled out; else every stream waits 40 ms.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen(2048)
    return sock


def server(app: ASGIApp, **settings: Any) -> uvicorn.Server:
    """A quiet uvicorn server for `app`; the lifespan protocol is off and the idle connection kept 75 s."""
    quiet: dict[str, Any] = {
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "lifespan": "off",
        "timeout_keep_alive": 75,
        "timeout_graceful_shutdown": 2,
    }
    config = uvicorn.Config(app, **{**quiet, **settings})
    return uvicorn.Server(config)


@contextmanager
def serving(app: ASGIApp, close: Callable[[], Awaitable[None]] | None = None) -> Iterator[str]:
    """Serves `app` until the block ends; yields its base URL, `http://127.0.0.1:PORT`.

    `close` runs last, on the server's loop.
    """
    sock = listen()
    uvicorn_server = server(app, timeout_graceful_shutdown=1)

    async def run() -> None:
        await uvicorn_server.serve(sockets=[sock])
        if close is not None:
            await close()

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="asgi", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        uvicorn_server.should_exit = True
        thread.join(timeout=10)
        sock.close()
