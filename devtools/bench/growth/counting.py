"""A door before a server that counts the requests which go through it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_MARK = b" HTTP/1.1\r\n"
READ_BYTES = 64 * 1024
OPEN_S = 10.0


@dataclass(slots=True)
class Door:
    """`port` is where to knock, `requests` how often somebody did."""

    port: int = 0
    requests: int = 0


@contextmanager
def counting(port: int) -> Iterator[Door]:
    """A door before the server on this port of 127.0.0.1, open until the block ends; on a thread of its own."""
    door, opened, over = Door(), threading.Event(), threading.Event()
    writers: set[asyncio.StreamWriter] = set()

    async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_connection("127.0.0.1", port)
        writers.update((writer, before))
        await asyncio.gather(_pass(reader, before, door), _pass(behind, writer, None))
        writers.difference_update((writer, before))

    async def serve() -> None:
        server = await asyncio.start_server(enter, "127.0.0.1", 0)
        door.port = server.sockets[0].getsockname()[1]
        opened.set()
        await asyncio.to_thread(over.wait)
        server.close()
        while writers:  # each side reads its end, and lets go
            for one in writers:
                one.transport.abort()
            await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="door", daemon=True)
    thread.start()
    if not opened.wait(OPEN_S):
        raise RuntimeError("the door did not open")
    try:
        yield door
    finally:
        over.set()
        thread.join(OPEN_S)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, door: Door | None) -> None:
    with suppress(OSError):
        while data := await reader.read(READ_BYTES):
            if door is not None:
                door.requests += data.count(_MARK)
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()
