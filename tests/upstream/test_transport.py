from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import httpx
import pytest
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from shared.errors import (
    SpillwayError,
    StreamBroken,
    UpstreamFailed,
    UpstreamNoReply,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from shared.upstream.transport import chunks_of, close, create_transport, read, send
from shared.upstream.wire import Request, Response, Transport
from tests.httpx_wire import Got, Upstream

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def request(url: str = "http://upstream.test/") -> Request:
    return Request("POST", URL(url), {"api-key": "k"}, b"{}")


class Raising:
    """A transport that fails to send."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def send(self, request: Request, *, connect_s: float, pool_s: float) -> Response:
        raise self._error

    async def close(self) -> None:
        """Has nothing to close."""


async def raised_by(error: Exception) -> SpillwayError:
    """What `send` makes of an exception of the transport's."""
    with pytest.raises(SpillwayError) as caught:
        await send(Raising(error), request(), connect_s=1, first_byte_s=1)
    return caught.value


def not_connected(reason: str = "x") -> aiohttp.ClientConnectorError:
    key = ConnectionKey("secret.openai.azure.com", 443, True, True, None, None, None)
    return aiohttp.ClientConnectorError(key, OSError(reason))


@pytest.mark.parametrize(
    "error", [not_connected(), aiohttp.ConnectionTimeoutError("x")], ids=lambda one: type(one).__name__
)
async def test_when_nothing_was_sent_the_upstream_is_unreachable(error: Exception) -> None:
    assert type(await raised_by(error)) is UpstreamUnreachable


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.ServerDisconnectedError("x"),
        aiohttp.ClientOSError("x"),
        aiohttp.ClientPayloadError("x"),
        aiohttp.SocketTimeoutError("x"),
        OSError("x"),
    ],
    ids=lambda one: type(one).__name__,
)
async def test_when_something_was_sent_there_is_no_reply(error: Exception) -> None:
    assert type(await raised_by(error)) is UpstreamNoReply


async def test_an_error_does_not_tell_what_the_socket_said() -> None:
    assert "secret" not in (await raised_by(not_connected("secret.openai.azure.com:443"))).message


async def test_no_status_line_in_time_is_a_timeout() -> None:
    async def handler(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(10)
        return httpx.Response(200)

    with pytest.raises(UpstreamTimeout, match=r"within 0\.02 seconds"):
        await send(Upstream(handler), request(), connect_s=1, first_byte_s=0.02)


async def test_a_body_is_read_whole() -> None:
    assert await read(Got(httpx.Response(200, content=pieces(b"ab", b"cd"))), idle_s=1) == b"abcd"


async def test_a_body_may_be_as_large_as_the_bound() -> None:
    assert await read(Got(httpx.Response(200, content=pieces(b"ab", b"cd"))), idle_s=1, bytes_max=4) == b"abcd"


async def test_a_body_over_the_bound_is_refused() -> None:
    with pytest.raises(UpstreamFailed) as caught:
        await read(Got(httpx.Response(200, content=pieces(b"ab", b"cde"))), idle_s=1, bytes_max=4)
    assert not caught.value.should_retry


async def test_a_body_that_stops_is_a_timeout() -> None:
    async def stops() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(10)

    with pytest.raises(UpstreamTimeout, match=r"stopped for 0\.02 seconds"):
        await read(Got(httpx.Response(200, content=stops())), idle_s=0.02)


async def test_a_slow_body_is_no_timeout_while_something_comes() -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(8):
            await asyncio.sleep(0.02)
            yield b"a"

    assert await read(Got(httpx.Response(200, content=slow())), idle_s=0.1) == b"a" * 8


async def test_a_body_that_breaks_off_is_no_reply() -> None:
    with pytest.raises(UpstreamNoReply):
        await read(Got(httpx.Response(200, content=breaking(b"a"))), idle_s=1)


async def test_a_stream_that_breaks_off_is_broken() -> None:
    chunks = chunks_of(Got(httpx.Response(200, content=breaking(b"a"))))
    assert await anext(chunks) == b"a"
    with pytest.raises(StreamBroken):
        await anext(chunks)


@pytest.mark.parametrize("bytes_max", [10, 1])
async def test_a_response_is_closed_however_reading_ends(bytes_max: int) -> None:
    stream = Closing(b"ab")
    try:
        await read(Got(httpx.Response(200, stream=stream)), idle_s=1, bytes_max=bytes_max)
    except UpstreamFailed:
        assert bytes_max == 1
    assert stream.closed


async def test_closing_never_raises() -> None:
    stream = Closing(b"", fails=True)
    await close(Got(httpx.Response(200, stream=stream)))
    assert stream.closed


# Over real sockets: aiohttp's own errors.


async def test_a_port_that_nobody_listens_on_is_unreachable() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        assert type(await asked(f"http://127.0.0.1:{reserved.getsockname()[1]}/")) is UpstreamUnreachable


async def test_a_host_that_does_not_exist_is_unreachable() -> None:
    assert type(await asked("http://no-such-host.invalid/")) is UpstreamUnreachable


async def test_a_server_that_closes_after_reading_gives_no_reply() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")

    async with serving(serve) as url:
        assert type(await asked(url)) is UpstreamNoReply


async def test_a_server_that_resets_gives_no_reply() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.transport.abort()

    async with serving(serve) as url:
        assert type(await asked(url)) is UpstreamNoReply


async def test_a_server_that_speaks_no_http_gives_no_reply() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        await writer.drain()

    async with serving(serve) as url:
        assert type(await asked(url)) is UpstreamNoReply


async def test_a_server_that_never_answers_is_a_timeout() -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        await reader.read()
        gone.set()

    async with serving(serve) as url:
        assert type(await asked(url, first_byte_s=0.05)) is UpstreamTimeout
        await asyncio.wait_for(gone.wait(), 5)  # the connection was closed, not left waiting


@pytest.mark.parametrize(
    "answer",
    [HEAD + b"content-length: 10\r\n\r\nabc", HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nab"],
    ids=["content-length", "chunked"],
)
async def test_a_body_that_is_cut_is_no_reply(answer: bytes) -> None:
    async with serving(answering(answer)) as url:
        assert type(await asked(url)) is UpstreamNoReply


@pytest.mark.parametrize("pause_s", [0.0, 0.05], ids=["with its headers", "after its headers"])
async def test_a_whole_answer_comes_through(pause_s: float) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        for part in (HEAD + b"content-length: 4\r\n\r\n", b"{}", b"{}"):
            writer.write(part)
            if pause_s:
                await writer.drain()
                await asyncio.sleep(pause_s)

    async with serving(serve) as url:
        assert await asked(url) == b"{}{}"


@pytest.mark.parametrize("size", [2, 300_000])
async def test_a_body_over_the_bound_is_refused_however_it_came(size: int) -> None:
    answer = HEAD + b"content-length: %d\r\n\r\n%s" % (size, b"x" * size)
    async with serving(answering(answer)) as url, sockets() as transport:
        response = await send(transport, request(url), connect_s=5, first_byte_s=5)
        with pytest.raises(UpstreamFailed):
            await read(response, idle_s=5, bytes_max=size - 1)


async def test_a_connection_is_used_again_after_an_answer_was_read() -> None:
    accepted = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        while True:
            await reader.readuntil(b"{}")
            writer.write(HEAD + b"content-length: 2\r\n\r\n{}")

    async with serving(serve) as url, sockets() as transport:
        for _ in range(3):
            await read(await send(transport, request(url), connect_s=5, first_byte_s=5), idle_s=5)
    assert accepted == 1


async def test_nothing_but_the_given_headers_is_sent() -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(HEAD + b"content-length: 0\r\n\r\n")
        await writer.drain()

    async with serving(serve) as url:
        await asked(url)
    names = {line.split(b":")[0].lower() for line in heard[0].strip().split(b"\r\n")[1:]}
    assert names == {b"host", b"api-key", b"content-length"}


async def test_a_cookie_is_never_sent_back() -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"{}"))
        writer.write(HEAD + b"set-cookie: a=b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()

    async with serving(serve) as url, sockets() as transport:
        for _ in range(2):
            await read(await send(transport, request(url), connect_s=1, first_byte_s=5), idle_s=5)
    assert len(heard) == 2
    assert b"cookie" not in heard[1].lower()


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def breaking(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    raise httpx.ReadError("connection reset")


class Closing(httpx.AsyncByteStream):
    """A body that notes when it is closed."""

    def __init__(self, data: bytes, *, fails: bool = False) -> None:
        self.closed = False
        self._data = data
        self._fails = fails

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data

    async def aclose(self) -> None:
        self.closed = True
        if self._fails:
            raise httpx.ReadError("already gone")


def answering(answer: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(answer)
        await writer.drain()

    return serve


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    """A server on a free port that handles each connection with `serve` and then closes it."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def sockets() -> AsyncIterator[Transport]:
    transport = create_transport(10)
    try:
        yield transport
    finally:
        await transport.close()


async def asked(url: str, first_byte_s: float = 5.0) -> bytes | SpillwayError:
    """The answer of a real server, or the error that it was."""
    async with sockets() as transport:
        try:
            return await read(await send(transport, request(url), connect_s=5, first_byte_s=first_byte_s), idle_s=5)
        except SpillwayError as error:
            return error
