"""What the timer does once a minute: several jobs side by side, none of which stops another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

log = logging.getLogger("spillway")

RUN_S = 20.0
"""One run; each job bounds itself below that, and goes on in the next run."""
Jobs = Mapping[str, Callable[[], Awaitable[Any]]]


class Turns:
    """Jobs that need not be done every minute take turns, so that a run with nothing to do asks storage three times.
    The first run of an instance does all: nobody's turn depends on how long instances live."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._runs = 0

    def of(self, jobs: Jobs) -> Jobs:
        """The jobs of the next run."""
        turn = self._names[self._runs % len(self._names)]
        first, self._runs = self._runs == 0, self._runs + 1
        return {name: job for name, job in jobs.items() if first or name == turn or name not in self._names}


async def run(jobs: Jobs) -> None:
    """Runs every job. Raises the first failure when all have ended, so that the host sees the run as failed."""
    outcomes = await asyncio.gather(*(_bounded(name, job) for name, job in jobs.items()), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


async def _bounded(name: str, job: Callable[[], Awaitable[Any]]) -> None:
    try:
        async with asyncio.timeout(RUN_S):
            await job()
    except Exception as failure:
        log.warning("the timer's %s did not end well (%s); the next run goes on", name, type(failure).__name__)
        raise
