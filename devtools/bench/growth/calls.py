"""Calls that differ from one another, and what they cost the process that serves them."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import aiohttp
import uvloop

from devtools.bench.speed.load import cpu_s

CHAT = b'{"model":"bench","messages":[{"role":"user","content":"Hello."}]}'
MASTER = {"authorization": "Bearer sk-bench"}
CONNECTIONS = 16
Asked = tuple[bytes, Mapping[str, str]]
"""The body and the headers of one call."""


@dataclass(frozen=True, slots=True)
class Served:
    """Some calls: CPU microseconds of the gateway for each, calls a second, the 99th percentile of their times in
    milliseconds, how many were not answered 200."""

    cpu_us: float
    rate: float
    p99_ms: float
    failed: int


@dataclass(frozen=True, slots=True)
class Stage:
    """A gateway that has so many of something. `asked` gives its n-th call."""

    name: str
    url: str
    pid: int
    asked: Callable[[int], Asked]


def served(stage: Stage, first: int, count: int) -> Served:
    """Calls number `first` and on of a stage, over CONNECTIONS connections."""
    before = cpu_s(stage.pid)
    took, wall, failed = uvloop.run(_call(stage, first, count))
    used = cpu_s(stage.pid) - before
    return Served(used / count * 1e6, count / wall, took[int(len(took) * 0.99)], failed)


def in_turns(stages: Sequence[Stage], first: int, count: int, rounds: int) -> list[Served]:
    """Each stage's calls in several rounds, the stages by turns, so that what disturbs the machine disturbs all of them
    alike; the median round by its CPU time."""
    seen: list[list[Served]] = [[] for _ in stages]
    for number in range(rounds):
        for stage, found in zip(stages, seen, strict=True):
            found.append(served(stage, first + number * count, count))
    failed = [sum(one.failed for one in found) for found in seen]
    return [
        Served(
            statistics.median(one.cpu_us for one in found),
            statistics.median(one.rate for one in found),
            statistics.median(one.p99_ms for one in found),
            lost,
        )
        for found, lost in zip(seen, failed, strict=True)
    ]


async def _call(stage: Stage, first: int, count: int) -> tuple[list[float], float, int]:
    took: list[float] = []
    failed = 0
    numbers = iter(range(first, first + count))
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector, headers={"content-type": "application/json"}) as session:

        async def one() -> None:
            nonlocal failed
            for number in numbers:
                body, headers = stage.asked(number)
                began = time.monotonic()
                async with session.post(f"{stage.url}/v1/chat/completions", data=body, headers=headers) as answer:
                    await answer.read()
                    failed += answer.status != 200
                took.append((time.monotonic() - began) * 1000)

        started = time.monotonic()
        await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
        wall = time.monotonic() - started
    return sorted(took), wall, failed
