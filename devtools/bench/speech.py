"""Concurrent speech through Spillway, kept in Azurite on the way: how soon it is heard, and in how much memory.

The simulator speaks at a steady pace; every stream is then fetched by its id and compared with what was heard.
"""

from __future__ import annotations

import asyncio
import hashlib
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import click
import uvloop

from devtools.bench.processes import LOAD_CORE, gateway, memory_mb, pin, simulator
from devtools.simulator import ControlClient
from devtools.storage import storage

_HEADERS = {"authorization": "Bearer sk-bench"}
CHUNK_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class Heard:
    """One stream: seconds to its first byte and to its end, its bytes and their hash, and the id it was kept under."""

    first_s: float
    total_s: float
    bytes_count: int
    digest: str
    speech_id: str


@click.command()
@click.option("--streams", default=50, show_default=True, help="Concurrent streams.")
@click.option("--size", default=2_000_000, show_default=True, help="Bytes of audio in each.")
@click.option("--delay-ms", default=50, show_default=True, help="The upstream's time between chunks of 20,000 bytes.")
@click.option("--memory-mb-max", default=0.0, help="Fail when the gateway takes more.")
def main(streams: int, size: int, delay_ms: int, memory_mb_max: float) -> None:
    """Many concurrent speech streams, each kept in storage."""
    with storage() as connection, simulator() as sim, tempfile.TemporaryDirectory() as folder:
        with ControlClient(sim) as control:
            control.deployment("east", "tts", tpm=100_000_000, rpm=100_000)
        with gateway(_config(sim), Path(folder), AzureWebJobsStorage=connection) as (url, pid):
            pin(LOAD_CORE)
            uvloop.run(_crowd(url, 1, size, 0, pid))  # loads what is loaded on first use
            before = memory_mb(pid)
            started = time.monotonic()
            heard, peak = uvloop.run(_crowd(url, streams, size, delay_ms, pid))
            took = time.monotonic() - started
            kept = uvloop.run(_fetched(url, heard))
    whole = sum(one.bytes_count == size for one in heard)
    first, last = sorted(one.first_s for one in heard), sorted(one.total_s for one in heard)
    print(f"{streams} concurrent speech streams of {size:,} bytes: {whole} whole, {kept} kept byte for byte")
    print(
        f"  first byte after {statistics.median(first) * 1000:.0f} ms (max {first[-1] * 1000:.0f}), last after "
        f"{statistics.median(last):.1f} s (max {last[-1]:.1f}); {streams * size / took / 1e6:.0f} MB/s"
    )
    print(f"  memory {before:.0f} MB idle, {peak:.0f} MB at peak")
    if whole < streams or kept < streams or (memory_mb_max and peak > memory_mb_max):
        raise SystemExit(1)


async def _crowd(url: str, streams: int, size: int, delay_ms: int, pid: int) -> tuple[list[Heard], float]:
    connector = aiohttp.TCPConnector(limit=streams)
    async with aiohttp.ClientSession(connector=connector, headers=_HEADERS) as session:
        work = asyncio.gather(*(_speak(session, url, size, delay_ms) for _ in range(streams)))
        peak = memory_mb(pid)
        while not work.done():
            await asyncio.wait({work}, timeout=0.05)
            peak = max(peak, memory_mb(pid))
        return list(work.result()), peak


async def _speak(session: aiohttp.ClientSession, url: str, size: int, delay_ms: int) -> Heard:
    text = f"Hello. [[sim bytes={size} chunk_bytes={CHUNK_BYTES} delay_ms={delay_ms}]]"
    body = {"model": "speech", "voice": "alloy", "input": text}
    started, first_s, count, digest = time.monotonic(), 0.0, 0, hashlib.sha256()
    async with session.post(f"{url}/v1/audio/speech", json=body) as response:
        response.raise_for_status()
        async for part in response.content.iter_any():
            first_s = first_s or time.monotonic() - started
            count += len(part)
            digest.update(part)
    speech_id = response.headers.get("x-spillway-speech-id", "")
    return Heard(first_s, time.monotonic() - started, count, digest.hexdigest(), speech_id)


async def _fetched(url: str, heard: list[Heard]) -> int:
    """How many can be fetched by their id, and are what was heard."""
    same = 0
    async with aiohttp.ClientSession(headers=_HEADERS) as session:
        for one in heard:
            async with session.get(f"{url}/v1/audio/speech/{one.speech_id}") as response:
                same += hashlib.sha256(await response.read()).hexdigest() == one.digest
    return same


def _config(sim: str) -> str:
    return f"""
model_list:
  - model_name: speech
    litellm_params: {{model: azure/tts, api_base: {sim}/east, api_key: sim-key-east, api_version: 2025-04-01-preview}}
    model_info: {{mode: audio_speech}}
"""
