"""The ledger against the simulator's bill, attempt by attempt: at large, under SIGKILL, and without storage."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import click

from devtools.audit import audits
from devtools.audit.audits import Result

AUDITS = ("everything", "before_send", "before_reply", "outage")


@click.command()
@click.option("--calls", default=5000, show_default=True, help="Calls of each audit.")
@click.option("--only", type=click.Choice(AUDITS), multiple=True, help="Only these audits.")
@click.option("--hosts", default=2, show_default=True, help="Host processes.")
@click.option("--kill-s", default=3.0, show_default=True, help="Seconds between two kills.")
@click.option("--away-s", default=20.0, show_default=True, help="Seconds without storage.")
def main(calls: int, only: tuple[str, ...], hosts: int, kill_s: float, away_s: float) -> None:
    """Every billed attempt is one entry, and what the upstream told costs the same in both books."""
    works: dict[str, Callable[[], Result]] = {
        "everything": partial(audits.everything, calls, host_count=hosts),
        "before_send": partial(audits.killed, calls, "before_send", host_count=hosts, every_s=kill_s),
        "before_reply": partial(audits.killed, calls, "before_reply", host_count=hosts, every_s=kill_s),
        "outage": partial(audits.outage, calls, host_count=hosts, away_s=away_s),
    }
    wrong = 0
    for name in only or AUDITS:
        result = works[name]()
        seen, calls_made = result.seen, sum(result.seen.kinds.values())
        print(f"{name}: {calls_made} calls in {result.seconds:.0f} s on {hosts} processes, {result.kills} kills")
        print(
            f"  answers {dict(sorted(seen.statuses.items()))}, {seen.left} clients left, {len(seen.buffered)} buffered"
        )
        print(result.audit.told(), flush=True)
        wrong += len(result.audit.wrong)
    sys.exit(1 if wrong else 0)
