"""Streams through Spillway: how late the first byte leaves, and how many streams fit in how much memory.

Every chunk carries its number and the time it was written, so that a lost, doubled or late chunk shows.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import click
import uvloop

from devtools.bench.processes import LOAD_CORE, gateway, memory_mb, pin, upstream

_STAMP = re.compile(rb'"content":"(\d+)@(\d+) "')
_BODY = b'{"model":"bench","stream":true,"messages":[{"role":"user","content":"Hello."}]}'
_HEADERS = {"authorization": "Bearer sk-bench"}


@dataclass(frozen=True, slots=True)
class Seen:
    """One stream as its reader saw it: whether it was whole, and the first chunk's travel time."""

    whole: bool
    first_ms: float


@click.command()
@click.option("--streams", default=300, show_default=True, help="Concurrent streams.")
@click.option("--chunks", default=200, show_default=True, help="Chunks in each.")
@click.option("--first-ms", default=50.0, show_default=True, help="The upstream's time to its first byte.")
@click.option("--delay-ms", default=20.0, show_default=True, help="The upstream's time between chunks.")
@click.option("--calm", default=200, show_default=True, help="Streams, one after the other, for the first-byte figure.")
def main(streams: int, chunks: int, first_ms: float, delay_ms: float, calm: int) -> None:
    """First-byte delay, and many concurrent streams with the memory they take."""
    with tempfile.TemporaryDirectory() as folder, upstream(first_ms=first_ms, chunks=5) as port:
        direct = uvloop.run(measure(f"http://127.0.0.1:{port}/openai/v1", calm, 1, 5))
        with gateway(_config(port), Path(folder)) as (url, _):
            through = uvloop.run(measure(f"{url}/v1", calm, 1, 5))
    _report(f"first byte, one stream at a time, x{calm}, straight to the upstream", direct)
    _report(f"first byte, one stream at a time, x{calm}, through Spillway", through)
    with (
        tempfile.TemporaryDirectory() as folder,
        upstream(first_ms=first_ms, chunks=chunks, delay_ms=delay_ms) as port,
        gateway(_config(port), Path(folder)) as (url, pid),
    ):
        before = memory_mb(pid)
        started = time.monotonic()
        seen, peak = uvloop.run(_crowd(f"{url}/v1", streams, chunks, pid))
        took = time.monotonic() - started
    _report(f"{streams} concurrent streams of {chunks} chunks, through Spillway", seen)
    print(
        f"  {took:.1f} s, {streams * chunks / took:,.0f} chunks/s; memory {before:.0f} MB idle, {peak:.0f} MB at peak"
    )


async def _crowd(url: str, streams: int, chunks: int, pid: int) -> tuple[list[Seen], float]:
    work = asyncio.create_task(measure(url, streams, streams, chunks))
    peak = 0.0
    while not work.done():
        peak = max(peak, memory_mb(pid))
        await asyncio.wait({work}, timeout=0.1)
    return work.result(), peak


async def measure(
    url: str, streams: int, concurrency: int, chunks: int, headers: Mapping[str, str] = _HEADERS
) -> list[Seen]:
    pin(LOAD_CORE)
    gate = asyncio.Semaphore(concurrency)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:

        async def one() -> Seen:
            async with gate:
                return await _read(session, url, chunks, headers)

        return list(await asyncio.gather(*(one() for _ in range(streams))))


async def _read(session: aiohttp.ClientSession, url: str, chunks: int, headers: Mapping[str, str]) -> Seen:
    headers = {**headers, "content-type": "application/json"}
    text, first_ms = b"", -1.0
    async with session.post(f"{url}/chat/completions", data=_BODY, headers=headers) as response:
        async for part in response.content.iter_any():
            if first_ms < 0 and (stamp := _STAMP.search(part)):
                first_ms = (time.monotonic_ns() - int(stamp[2])) / 1e6
            text += part
    numbers = [int(stamp[1]) for stamp in _STAMP.finditer(text)]
    whole = numbers == list(range(chunks)) and text.endswith(b"data: [DONE]\n\n")
    return Seen(whole, first_ms)


def _report(what: str, seen: list[Seen]) -> None:
    times = sorted(one.first_ms for one in seen)
    whole = sum(one.whole for one in seen)
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    print(f"{what}: {whole} of {len(seen)} whole")
    print(f"  first byte travelled: median {statistics.median(times):.2f} ms, p99 {p99:.2f} ms, max {times[-1]:.2f} ms")


def _config(port: int) -> str:
    return f"""
model_list:
  - model_name: bench
    litellm_params:
      model: azure/gpt-4o
      api_base: http://127.0.0.1:{port}
      api_version: "2024-10-21"
      api_key: bench
"""
