"""What the ledger costs a call: the same load on hosts that differ in their ledger alone, in turns, in one run."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from devtools.bench.processes import gateway, upstream
from devtools.bench.speed.load import TOOL, Figures, Target, cpu_s, load
from devtools.bench.speed.main import CHAT
from devtools.bench.speed.targets import config
from devtools.storage import storage

WITHOUT = "writer off"
"""`async` on a host without a storage account: nothing is written."""
LEDGERS = ("before_reply", "before_send", "async", WITHOUT)
WANTED = 85
"""Per cent of the throughput without a writer that `before_reply` is to have."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One load, and the share of its time in which the gateway's core and the other one worked."""

    figures: Figures
    gateway: float
    others: float


@click.command()
@click.option("--connections", default=64, show_default=True)
@click.option("--seconds", default=4.0, show_default=True, help="Of one turn.")
@click.option("--rounds", default=5, show_default=True, help="Turns of each host.")
def main(connections: int, seconds: float, rounds: int) -> None:
    """Buffered chat with each kind of ledger: requests a second, and the CPU of the gateway's process a call."""
    found: defaultdict[str, list[Turn]] = defaultdict(list)
    with upstream() as port, ExitStack() as stack:
        targets = [stack.enter_context(_host(port, name)) for name in LEDGERS]
        for number in range(rounds + 1):
            first = number % len(targets)  # each comes first in turn
            for target in targets[first:] + targets[:first]:
                turn = _turn(target, connections, seconds)
                if number:  # the first warms it up
                    found[target.name].append(turn)
    print(f"{connections} connections, {rounds} turns of {seconds:g} s, load by {TOOL}; the median of each")
    print(f"  {'':14}{'req/s':>8}{'to off':>8}{'CPU µs a call':>15}{'to off':>8}", end="")
    print(f"{'gateway':>9}{'others':>8}{'failed':>8}")
    base = found[WITHOUT]
    for name in LEDGERS:
        turns = found[name]
        rate, cpu_us = _median(turns, _rate), _median(turns, _cpu_us)
        print(
            f"  {name:14}{rate:8,.0f}{rate / _median(base, _rate):8.0%}{cpu_us:15,.0f}"
            f"{_median(base, _cpu_us) / cpu_us:8.0%}{_median(turns, lambda one: one.gateway):9.0%}"
            f"{_median(turns, lambda one: one.others):8.0%}{sum(one.figures.failed for one in turns):8}"
        )
    print(
        "  `gateway` is the share of a core that the gateway's process used, `others` what load, upstream and\n"
        "  Azurite used together, on one core where there are two: the one near 100 % bounds the throughput.\n"
        f"  CPU a call is the gateway's alone. before_reply is to reach {WANTED} % of what there is without a writer."
    )


@contextmanager
def _host(port: int, name: str) -> Iterator[Target]:
    """A host with this kind of ledger."""
    with ExitStack() as stack:
        account = "" if name == WITHOUT else stack.enter_context(storage())
        environ = {"AzureWebJobsStorage": account, "SPILLWAY_LEDGER": "async" if name == WITHOUT else name}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, pid = stack.enter_context(gateway(config(port), folder, **environ))
        yield Target(name, f"{url}/v1", {"authorization": "Bearer sk-bench"}, pid)


def _turn(target: Target, connections: int, seconds: float) -> Turn:
    own, whole, started = cpu_s(target.pid), _all_cpu_s(), time.monotonic()
    figures = load(target, "/chat/completions", CHAT, connections, seconds)
    took = time.monotonic() - started
    own, whole = cpu_s(target.pid) - own, _all_cpu_s() - whole
    return Turn(figures, own / took, (whole - own) / took)


def _all_cpu_s() -> float:
    """Seconds of CPU of this process and of all that it started, those that have ended too."""
    ended = os.times()
    return cpu_s(os.getpid()) + ended.children_user + ended.children_system


def _rate(turn: Turn) -> float:
    return turn.figures.rate


def _cpu_us(turn: Turn) -> float:
    return turn.figures.cpu_us


def _median(turns: list[Turn], of: Callable[[Turn], float]) -> float:
    return statistics.median(of(one) for one in turns)
