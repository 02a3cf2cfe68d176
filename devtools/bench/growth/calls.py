"""Calls that differ from one another, and what they cost the process that serves them."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
import uvloop

from devtools.bench.speed.load import cpu_s

CHAT = b'{"model":"bench","messages":[{"role":"user","content":"Hello."}]}'
MASTER = {"authorization": "Bearer sk-bench"}
CONNECTIONS = 16
TOLD_MAX = 300
"""Characters of an answer that was no 200."""
Asked = tuple[bytes, Mapping[str, str]]
"""The body and the headers of one call."""


@dataclass(frozen=True, slots=True)
class Served:
    """Some calls: CPU microseconds of the gateway for each, calls a second, the 99th percentile of their times in
    milliseconds, and how often which answer came that was no 200."""

    cpu_us: float
    rate: float
    p99_ms: float
    refused: Counter[str] = field(default_factory=Counter)


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
    took, wall, refused = uvloop.run(_call(stage, first, count))
    used = cpu_s(stage.pid) - before
    return Served(used / count * 1e6, count / wall, took[int(len(took) * 0.99)], refused)


def in_turns(stages: Sequence[Stage], first: int, count: int, rounds: int) -> list[Served]:
    """Each stage's calls in several rounds, the stages by turns, so that what disturbs the machine disturbs all of them
    alike; the median round by its CPU time."""
    seen: list[list[Served]] = [[] for _ in stages]
    for number in range(rounds):
        for stage, found in zip(stages, seen, strict=True):
            found.append(served(stage, first + number * count, count))
    refused = [sum((one.refused for one in found), Counter[str]()) for found in seen]
    return [
        Served(
            statistics.median(one.cpu_us for one in found),
            statistics.median(one.rate for one in found),
            statistics.median(one.p99_ms for one in found),
            answers,
        )
        for found, answers in zip(seen, refused, strict=True)
    ]


async def _call(stage: Stage, first: int, count: int) -> tuple[list[float], float, Counter[str]]:
    took: list[float] = []
    refused: Counter[str] = Counter()
    numbers = iter(range(first, first + count))
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector, headers={"content-type": "application/json"}) as session:

        async def one() -> None:
            for number in numbers:
                body, headers = stage.asked(number)
                began = time.monotonic()
                try:
                    async with session.post(f"{stage.url}/v1/chat/completions", data=body, headers=headers) as answer:
                        told = await answer.read()
                    if answer.status != 200:
                        refused[f"{answer.status} {told.decode(errors='replace')[:TOLD_MAX]}"] += 1
                except (aiohttp.ClientError, TimeoutError) as error:
                    refused[f"no answer: {error!r}"] += 1
                took.append((time.monotonic() - began) * 1000)

        started = time.monotonic()
        await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
        wall = time.monotonic() - started
    return sorted(took), wall, refused
