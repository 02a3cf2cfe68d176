"""Gateways that are asked with ever more virtual keys."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from devtools.bench.growth.calls import CHAT, Asked, Served, Stage, in_turns, served
from devtools.bench.growth.deployments import entries
from devtools.bench.growth.rows import secret, write_keys
from devtools.bench.processes import gateway, upstream
from devtools.bench.speed.load import cpu_s
from devtools.storage import storage

IDLE_S = 4.0
LOOK_S = 3.0
QUIET, QUIET_S_MAX = 0.03, 90.0
"""Seconds of CPU in one of the clock, below which nothing is left to be done; and how long that is waited for."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Of each gateway: the first call of each key; CPU microseconds for each that its gateway used after it had
    answered them all (leases, the ledger), and whether it came to rest; the calls of keys that are known, once all that
    is done; milliseconds of CPU a second when nobody asks."""

    first: list[Served]
    follows_us: list[float]
    rested: list[bool]
    steady: list[Served]
    idle_ms: list[float]


@contextmanager
def keys(counts: Sequence[int]) -> Iterator[Callable[[int, int], Measured]]:
    """Measures with calls of a round and a number of rounds; each gateway has a storage account of its own."""
    headers = [{"authorization": f"Bearer {secret(number)}"} for number in range(max(counts))]
    with ExitStack() as stack:
        port = stack.enter_context(upstream())
        stages = []
        for count in counts:
            account = stack.enter_context(storage())
            write_keys(account, count)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            config = entries(port, 3, lambda number: "bench")
            url, pid = stack.enter_context(gateway(config, folder, AzureWebJobsStorage=account))
            stages.append(Stage(f"{count:,}", url, pid, _asked(headers[:count])))

        def measured(calls: int, rounds: int) -> Measured:
            master = {"authorization": "Bearer sk-bench"}
            for stage in stages:
                served(Stage(stage.name, stage.url, stage.pid, lambda number: (CHAT, master)), 0, 500)
            firsts = [_first(stage, count) for stage, count in zip(stages, counts, strict=True)]
            first, follows_us, rested = (list(part) for part in zip(*firsts, strict=True))
            steady = in_turns(stages, 0, calls, rounds)
            return Measured(first, follows_us, rested, steady, [_idle(stage) for stage in stages])

        yield measured


def _asked(headers: Sequence[Mapping[str, str]]) -> Callable[[int], Asked]:
    return lambda number: (CHAT, headers[number % len(headers)])


def _first(stage: Stage, count: int) -> tuple[Served, float, bool]:
    """The first call of each key; CPU microseconds for each that follow, and whether they came to an end."""
    found = served(stage, 0, count)
    before, began = cpu_s(stage.pid), time.monotonic()
    rested = False
    while not rested and time.monotonic() - began < QUIET_S_MAX:
        seen = cpu_s(stage.pid)
        time.sleep(LOOK_S)
        rested = cpu_s(stage.pid) - seen < QUIET * LOOK_S
    return found, (cpu_s(stage.pid) - before) / count * 1e6, rested


def _idle(stage: Stage) -> float:
    served(stage, 0, 200)
    before = cpu_s(stage.pid)
    time.sleep(IDLE_S)
    return (cpu_s(stage.pid) - before) / IDLE_S * 1000
