"""`python -m devtools bench soak`: whether a gateway under full load keeps its memory and its handles for long.

Everything is on: a virtual key with limits, routing over three deployments, prices, the ledger in Azurite, the timers.
Calls are buffered, streamed and embeddings, and now and then a client leaves in the middle of a stream.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import click
import uvloop

from devtools.bench.processes import LOAD_CORE, gateway, memory_mb, pin, upstream
from devtools.bench.speed.load import cpu_s
from devtools.bench.speed.targets import config
from devtools.docs.tables import table
from devtools.storage import storage

CONNECTIONS = 64
CHUNKS = 20
CHAT = b'{"model":"bench","messages":[{"role":"user","content":"Hello."}]}'
STREAMED = CHAT[:-1] + b',"stream":true}'
EMBEDDINGS = b'{"model":"vectors","input":["one","two"],"encoding_format":"base64"}'
MIX = ("buffered", "streamed", "buffered", "embeddings", "buffered", "streamed", "buffered", "buffered", "left")
"""What every ninth call is; `left`: its client goes when it has seen the beginning of the stream."""
MASTER = {"authorization": "Bearer sk-bench"}
LIMITS = {"max_budget": 1e6, "rpm_limit": 10**7, "tpm_limit": 10**9}
WARM_S = 120.0
"""uvicorn keeps what it has of a connection that its client cut for the 75 s of an idle one: by then as much goes as
comes."""
FLAT = 0.05
"""By so much memory may differ from what it was after the warm-up."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Of the gateway's process: seconds since the load began, MB of memory, open handles, threads, calls until then,
    seconds of CPU."""

    at_s: float
    memory_mb: float
    handles: int
    threads: int
    calls: int
    cpu_s: float


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long, the warm-up included.")
@click.option("--warm-s", default=WARM_S, show_default=True, help="Seconds until what is measured counts.")
@click.option("--every-s", default=10.0, show_default=True, help="Seconds between two samples.")
def main(minutes: float, warm_s: float, every_s: float) -> None:
    """Memory, handles and threads of the host under full load on 64 connections."""
    with ExitStack() as stack:
        port = stack.enter_context(upstream(chunks=CHUNKS))
        account = stack.enter_context(storage())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, pid = stack.enter_context(gateway(config(port, ("bench", "vectors")), folder, AzureWebJobsStorage=account))
        pin(LOAD_CORE)
        samples, answers = uvloop.run(_soak(url, pid, minutes * 60, every_s))
    counted = [one for one in samples if one.at_s >= warm_s] or samples
    print(_told(counted))
    print(f"answers {dict(sorted(answers.items()))}")


async def _soak(url: str, pid: int, seconds: float, every_s: float) -> tuple[list[Sample], Counter[str]]:
    answers: Counter[str] = Counter()
    samples: list[Sample] = []
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector, headers={"content-type": "application/json"}) as session:
        async with session.post(f"{url}/key/generate", json=LIMITS, headers=MASTER) as answer:
            key = (await answer.json())["key"]
        headers = {"authorization": f"Bearer {key}"}
        began = time.monotonic()
        numbers = iter(range(1 << 62))

        async def one() -> None:
            for number in numbers:
                if time.monotonic() - began >= seconds:
                    return
                answers[await _call(session, url, headers, MIX[number % len(MIX)])] += 1

        async def watch() -> None:
            while time.monotonic() - began < seconds:
                await asyncio.sleep(every_s)
                sample = _sample(pid, time.monotonic() - began, sum(answers.values()))
                samples.append(sample)
                print(
                    f"{sample.at_s:6.0f} s  {sample.memory_mb:7.1f} MB  {sample.handles:4d} handles  "
                    f"{sample.threads:3d} threads  {sample.calls:8,d} calls",
                    flush=True,
                )

        await asyncio.gather(watch(), *(one() for _ in range(CONNECTIONS)))
    return samples, answers


async def _call(session: aiohttp.ClientSession, url: str, headers: dict[str, str], kind: str) -> str:
    """One call; what became of it."""
    path = "embeddings" if kind == "embeddings" else "chat/completions"
    body = EMBEDDINGS if kind == "embeddings" else CHAT if kind == "buffered" else STREAMED
    try:
        async with session.post(f"{url}/v1/{path}", data=body, headers=headers) as answer:
            if kind == "left":
                await answer.content.readany()
                answer.close()
                return f"{answer.status} left"
            await answer.read()
            return f"{answer.status} {kind}"
    except aiohttp.ClientError as error:
        return f"{type(error).__name__} {kind}"


def _sample(pid: int, at_s: float, calls: int) -> Sample:
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    handles = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Sample(at_s, memory_mb(pid), handles, threads, calls, cpu_s(pid))


def _told(samples: Sequence[Sample]) -> str:
    first, last = samples[0], samples[-1]
    memory = [one.memory_mb for one in samples]
    calls = last.calls - first.calls
    slope = _slope([one.at_s for one in samples], memory) * 60
    by_calls = _slope([float(one.calls) for one in samples], memory) * 1e6
    grown = memory[-1] / memory[0] - 1
    judged = "" if abs(grown) <= FLAT else " (not flat)"
    rows = [
        ["memory, MB", f"{memory[0]:.1f}", f"{memory[-1]:.1f}", f"{max(memory):.1f}"],
        ["handles", str(first.handles), str(last.handles), str(max(one.handles for one in samples))],
        ["threads", str(first.threads), str(last.threads), str(max(one.threads for one in samples))],
    ]
    return (
        table(["", "after the warm-up", "at the end", "at most"], rows)
        + f"\nmemory grew by {grown:+.1%}{judged}, by {slope:+.2f} MB a minute, "
        f"{by_calls:+.0f} bytes a call; {calls:,} calls, {calls / (last.at_s - first.at_s or 1):,.0f} a second, "
        f"{(last.cpu_s - first.cpu_s) / max(calls, 1) * 1e6:,.0f} µs of CPU each\n"
    )


def _slope(at: Sequence[float], values: Sequence[float]) -> float:
    """By least squares."""
    return statistics.linear_regression(at, values).slope if len(set(at)) > 1 else 0.0
