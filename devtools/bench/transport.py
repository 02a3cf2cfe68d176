"""Which way to send: httpx's client, httpx over aiohttp, its transport called directly, or Spillway's own messages."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

import click
import httpx
import uvloop
from httpx_aiohttp import AiohttpTransport
from yarl import URL

from devtools.bench.processes import GATEWAY_CORE, pin, upstream
from shared.upstream.content import request
from shared.upstream.transport import create_transport, read

_BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hello."}]}'
_HEADERS = {"api-key": "bench", "content-type": "application/json"}
_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=1000)
Send = Callable[[str], Awaitable[int]]


@click.command()
@click.option("--seconds", default=3.0, show_default=True, help="Seconds a figure.")
@click.option("--runs", default=3, show_default=True, help="Runs of each; the median counts.")
def main(seconds: float, runs: int) -> None:
    """Requests a second of each transport on one core, against an upstream that answers at once."""
    with upstream() as port:
        pin(GATEWAY_CORE)
        url = f"http://127.0.0.1:{port}/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
        print(f"{'transport':<44}{'1 conn':>10}{'16 conn':>10}{'64 conn':>10}   req/s, median of {runs}")
        for name, measure in _WAYS:
            figures = [
                statistics.median(uvloop.run(measure(url, connections, seconds)) for _ in range(runs))
                for connections in (1, 16, 64)
            ]
            print(f"{name:<44}" + "".join(f"{figure:>10,.0f}" for figure in figures))


async def _client(url: str, connections: int, seconds: float) -> float:
    async with httpx.AsyncClient(limits=_LIMITS) as client:
        return await _rate(_with(client), url, connections, seconds)


async def _aiohttp_client(url: str, connections: int, seconds: float) -> float:
    async with httpx.AsyncClient(transport=AiohttpTransport(limits=_LIMITS)) as client:
        return await _rate(_with(client), url, connections, seconds)


async def _transport(url: str, connections: int, seconds: float) -> float:
    transport = AiohttpTransport(limits=_LIMITS)

    async def send(url: str) -> int:
        request = httpx.Request("POST", url, headers=_HEADERS, content=_BODY)
        response = await transport.handle_async_request(request)
        return len(await response.aread())

    async with transport:
        return await _rate(send, url, connections, seconds)


async def _own(url: str, connections: int, seconds: float) -> float:
    transport = create_transport(1000)
    address = URL(url)

    async def send(url: str) -> int:
        outgoing = request("POST", address, dict(_HEADERS), _BODY)
        return len(await read(await transport.send(outgoing, connect_s=5.0, pool_s=5.0), idle_s=5.0))

    try:
        return await _rate(send, url, connections, seconds)
    finally:
        await transport.close()


def _with(client: httpx.AsyncClient) -> Send:
    async def send(url: str) -> int:
        return len((await client.post(url, headers=_HEADERS, content=_BODY)).content)

    return send


async def _rate(send: Send, url: str, connections: int, seconds: float) -> float:
    """Requests a second over `connections` loops, after a warm-up of one request each."""
    done = 0

    async def loop(until: float) -> None:
        nonlocal done
        while time.monotonic() < until:
            await send(url)
            done += 1

    await asyncio.gather(*(send(url) for _ in range(connections)))
    started = time.monotonic()
    await asyncio.gather(*(loop(started + seconds) for _ in range(connections)))
    return done / (time.monotonic() - started)


_WAYS = (
    ("httpx.AsyncClient", _client),
    ("httpx.AsyncClient over httpx-aiohttp", _aiohttp_client),
    ("httpx-aiohttp transport, httpx.Request", _transport),
    ("Spillway's own messages over aiohttp", _own),
)
