"""`python -m devtools bench growth`: the CPU time of a call beside how many deployments, keys or batches there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from devtools.bench.growth.batches import batches
from devtools.bench.growth.calls import Served, in_turns
from devtools.bench.growth.deployments import in_groups_of_one, in_one_group
from devtools.bench.growth.keys import keys
from devtools.bench.processes import LOAD_CORE, pin
from devtools.docs.tables import table

FLAT = 0.10
"""A call may cost so much more than with the fewest and still be said to cost the same."""
FEW = 50
"""So few calls take less CPU than Linux counts well, which is in hundredths of a second."""
ANSWERS_MAX = 5
"""Of the answers that were no 200, the most frequent are told."""


@click.command()
@click.option("--calls", default=2000, show_default=True, help="Calls of a round.")
@click.option("--rounds", default=5, show_default=True, help="Rounds, the sizes by turns; the median is told.")
@click.option("--only", multiple=True, type=click.Choice(["deployments", "keys", "batches"]), help="Only these.")
@click.option("--deployments", "deployment_counts", default=[1, 20, 200], multiple=True, show_default=True)
@click.option("--keys", "key_counts", default=[1, 100, 10_000], multiple=True, show_default=True)
@click.option("--batches", "batch_counts", default=[1, 100, 1000], multiple=True, show_default=True)
def main(
    calls: int,
    rounds: int,
    only: tuple[str, ...],
    deployment_counts: tuple[int, ...],
    key_counts: tuple[int, ...],
    batch_counts: tuple[int, ...],
) -> None:
    """Buffered calls on 16 connections to an instant upstream, everything on; CPU time of the gateway's process."""
    pin(LOAD_CORE)
    parts: dict[str, Callable[[], None]] = {
        "deployments": lambda: _deployments(deployment_counts, calls, rounds),
        "keys": lambda: _keys(key_counts, calls, rounds),
        "batches": lambda: _batches(batch_counts, calls, rounds),
    }
    for name, part in parts.items():
        if not only or name in only:
            part()


def _deployments(counts: Sequence[int], calls: int, rounds: int) -> None:
    for what, start in (("in one group", in_one_group), ("in groups of one", in_groups_of_one)):
        with start(counts) as stages:
            found = in_turns(stages, 0, calls, rounds)
        _tell(f"deployments {what}", [one.name for one in stages], found)


def _keys(counts: Sequence[int], calls: int, rounds: int) -> None:
    with keys(counts) as measured:
        found = measured(calls, rounds)
    names = [f"{count:,}" for count in counts]
    _tell("steady: virtual keys that are known, each call with the next", names, found.steady)
    _tell("first: the first call of each key", names, found.first, few=[count < FEW for count in counts])
    for name, after_us, rested in zip(names, found.follows_us, found.rested, strict=True):
        print(f"{name}: each is followed by {after_us:,.0f} µs of CPU" + ("" if rested else " and more"))
    idle = ", ".join(f"{one:.1f}" for one in found.idle_ms)
    print(f"ms of CPU a second without calls, the keys just used: {idle}\n", flush=True)


def _batches(counts: Sequence[int], calls: int, rounds: int) -> None:
    with batches(counts) as measured:
        quiet, during, runs = measured(calls, rounds)
    names = [f"{count:,}" for count in counts]
    _tell("open batches, between two runs of the timer", names, quiet)
    _tell("open batches, during a run of the timer (which counts as well)", names, during)
    rows = [
        [name, f"{one.seconds:.2f}", f"{one.cpu_s:.2f}", str(one.storage), str(one.upstream)]
        for name, one in zip(names, runs, strict=True)
    ]
    print(table(["one run of the timer", "seconds", "of CPU", "requests to storage", "to the upstream"], rows))


def _tell(what: str, names: Sequence[str], found: Sequence[Served], few: Sequence[bool] = ()) -> None:
    """`few`: which of them are too few calls for a figure of each."""
    unsure = few or [False] * len(found)
    least = next((one.cpu_us for one, vague in zip(found, unsure, strict=True) if not vague), 0.0)
    rows = [
        [
            name,
            "too few calls" if vague else f"{one.cpu_us:,.0f}",
            "" if vague else f"{one.cpu_us / least:.2f}" + ("" if one.cpu_us / least <= 1 + FLAT else " (grows)"),
            f"{one.rate:,.0f}",
            f"{one.p99_ms:.0f}",
            str(one.refused.total()),
        ]
        for name, one, vague in zip(names, found, unsure, strict=True)
    ]
    print(table([what, "CPU a call, µs", "of the first", "calls/s", "p99, ms", "failed"], rows), flush=True)
    for name, one in zip(names, found, strict=True):
        for answer, count in one.refused.most_common(ANSWERS_MAX):
            print(f"{name}: {count} times {answer}", flush=True)
