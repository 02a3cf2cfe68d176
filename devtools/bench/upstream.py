"""An upstream that costs next to nothing: fixed answers over a bare asyncio protocol, so that it never limits.

A stream's chunks are numbered, and each carries the system's monotonic clock in nanoseconds, read when it was
written: a reader on the same machine sees how long it travelled.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import dataclass
from typing import cast

import click
import uvloop

from devtools.serving import listen

_ANSWER = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    }
).encode()
_WHOLE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_VECTOR = base64.b64encode(bytes(range(256)) * 24).decode()
_EMBEDDINGS = json.dumps(
    {
        "object": "list",
        "data": [{"object": "embedding", "index": number, "embedding": _VECTOR} for number in range(100)],
        "model": "text-embedding-3-small",
        "usage": {"prompt_tokens": 800, "total_tokens": 800},
    }
).encode()
"""A hundred vectors of 1,536 numbers, as base64, which is what OpenAI's SDK asks for."""
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_RUNNING = b'{"id":"batch_bench","object":"batch","status":"in_progress","request_counts":{"total":10}}'
_BATCH = _WHOLE_HEAD % len(_RUNNING) + _RUNNING
_CHAT = _WHOLE_HEAD % len(_ANSWER) + _ANSWER
_VECTORS = _WHOLE_HEAD % len(_EMBEDDINGS) + _EMBEDDINGS
_HEAD = '{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1,"model":"gpt-4o"'


@dataclass(frozen=True, slots=True)
class Pace:
    """Milliseconds until an answer's first byte; for a stream also its number of chunks, milliseconds between them."""

    first_ms: float = 0.0
    chunks: int = 200
    delay_ms: float = 0.0


class Upstream(asyncio.Protocol):
    """One connection; requests come one at a time."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._writing: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._writing is not None:
            self._writing.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, rest = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        if len(rest) < length:
            return
        body, self._buffer = rest[:length], rest[length:]
        assert self._transport is not None
        if b'"stream":true' in body:
            self._writing = asyncio.get_running_loop().create_task(self._stream(self._transport))
            return
        answer = _answer_to(head[: head.index(b"\r\n")])
        if self._pace.first_ms:
            asyncio.get_running_loop().call_later(self._pace.first_ms / 1000, self._answer, answer)
        else:
            self._transport.write(answer)

    def _answer(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)

    async def _stream(self, transport: asyncio.Transport) -> None:
        pace = self._pace
        await asyncio.sleep(pace.first_ms / 1000)
        transport.write(_STREAM_HEAD)
        for number in range(pace.chunks):
            if number and pace.delay_ms:
                await asyncio.sleep(pace.delay_ms / 1000)
            content = f"{number}@{time.monotonic_ns()} "
            transport.write(
                _chunk(f'{_HEAD},"choices":[{{"index":0,"delta":{{"content":"{content}"}}}}],"usage":null}}')
            )
        usage = '"usage":{"prompt_tokens":9,"completion_tokens":200,"total_tokens":209}'
        finish = '"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null'
        transport.write(_chunk(f"{_HEAD},{finish}}}") + _chunk(f'{_HEAD},"choices":[],{usage}}}'))
        transport.write(_chunk("[DONE]") + b"0\r\n\r\n")


def _answer_to(line: bytes) -> bytes:
    """What a request with this first line is answered; every batch that is asked for runs."""
    if line.startswith(b"GET"):
        return _BATCH
    return _VECTORS if b"/embeddings" in line else _CHAT


def _chunk(data: str) -> bytes:
    event = f"data: {data}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(event), event)


@click.command()
@click.option("--port", default=0)
@click.option("--first-ms", default=0.0)
@click.option("--chunks", default=200)
@click.option("--delay-ms", default=0.0)
def main(port: int, first_ms: float, chunks: int, delay_ms: float) -> None:
    """Serve until killed; prints the port."""

    async def serve() -> None:
        sock = listen(port)
        pace = Pace(first_ms, chunks, delay_ms)
        server = await asyncio.get_running_loop().create_server(lambda: Upstream(pace), sock=sock)
        print(sock.getsockname()[1], flush=True)
        await server.serve_forever()

    uvloop.run(serve())


if __name__ == "__main__":
    main()
