"""Gateways with ever more open batches, all of which run at their resource and are asked about by the timer."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from devtools.bench.growth.calls import CHAT, MASTER, Served, Stage, in_turns, served
from devtools.bench.growth.counting import Door, counting
from devtools.bench.growth.deployments import entries
from devtools.bench.growth.rows import write_batches
from devtools.bench.processes import gateway, upstream
from devtools.bench.speed.load import cpu_s
from devtools.storage import storage

QUIET_S, NAP_S, RUN_S_MAX = 1.0, 0.05, 120.0
_TABLE_PORT = re.compile(r"(TableEndpoint=http://127\.0\.0\.1:)(\d+)")


@dataclass(frozen=True, slots=True)
class TimerRun:
    """What one run of the timer costs: seconds, those of CPU, requests to Table Storage and to the upstream."""

    seconds: float
    cpu_s: float
    storage: int
    upstream: int


Measured = tuple[list[Served], list[Served], list[TimerRun]]
"""Calls between two runs of the timer, calls during one, and one without calls."""


@dataclass(frozen=True, slots=True)
class _Place:
    stage: Stage
    storage: Door
    upstream: Door


@contextmanager
def batches(counts: Sequence[int]) -> Iterator[Callable[[int, int], Measured]]:
    """Measures with calls of a round and a number of rounds; each gateway has a storage account of its own."""
    with ExitStack() as stack:
        port = stack.enter_context(upstream())
        places = []
        for count in counts:
            account = stack.enter_context(storage())
            write_batches(account, count, "bench", "bench-0")
            there = _TABLE_PORT.search(account)
            assert there is not None
            door = stack.enter_context(counting(int(there[2])))
            behind = stack.enter_context(counting(port))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            config = entries(behind.port, 3, lambda number: "bench")
            account = _TABLE_PORT.sub(rf"\g<1>{door.port}", account)
            environ = {"AzureWebJobsStorage": account, "SPILLWAY_BATCH_SCHEDULE": "0 0 0 1 1 *"}
            url, pid = stack.enter_context(gateway(config, folder, **environ))
            places.append(_Place(Stage(f"{count:,}", url, pid, lambda number: (CHAT, MASTER)), door, behind))

        def measured(calls: int, rounds: int) -> Measured:
            stages = [one.stage for one in places]
            quiet = in_turns(stages, 0, calls, rounds)
            runs = [_run(one) for one in places]
            during = []
            for stage in stages:
                time.sleep(QUIET_S * 2)  # until every batch is due again
                _fire(stage)
                during.append(served(stage, 0, calls))
            return quiet, during, runs

        yield measured


def _fire(stage: Stage) -> None:
    httpx.post(f"{stage.url}/admin/functions/batches", json={}, timeout=10).raise_for_status()


def _run(place: _Place) -> TimerRun:
    """Fires the timer, and waits until nothing has happened for a while."""
    time.sleep(QUIET_S * 2)
    began, cpu = time.monotonic(), cpu_s(place.stage.pid)
    storage_before, upstream_before = place.storage.requests, place.upstream.requests
    _fire(place.stage)
    seen, changed = storage_before, began
    while time.monotonic() - changed < QUIET_S and time.monotonic() - began < RUN_S_MAX:
        time.sleep(NAP_S)
        if place.storage.requests != seen:
            seen, changed = place.storage.requests, time.monotonic()
    return TimerRun(
        changed - began,
        cpu_s(place.stage.pid) - cpu,
        place.storage.requests - storage_before,
        place.upstream.requests - upstream_before,
    )
