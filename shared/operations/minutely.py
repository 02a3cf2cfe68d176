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
