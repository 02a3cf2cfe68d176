"""One job in the hands of one worker, and what a worker has to work with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from shared.callers.tasks import Tasks
from shared.files.store import FileStore
from shared.jobs.job import Job
from shared.jobs.resources import Resources
from shared.jobs.store import JobStore
from shared.routing.router import Router
from shared.storage.tables import Table
from shared.supervisor import Supervisor, renewing

T = TypeVar("T")

LEASE_S = 60.0
"""Whoever holds a job and is not heard of for so long is dead."""
KEPT_S = 400 * 86_400.0
HEAVY_MAX = 2
"""Files of one instance that are sent or fetched at once."""


class Lost(Exception):
    """Another worker has the job, or its caller changed it: what was seen meanwhile is forgotten."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a worker has. `ledger` is the table of the ledger, `worker` its own name. A job that is over is kept for
    `kept_s`. `tasks` is money of keys, None where there are no keys. Belongs to the event loop."""

    store: JobStore
    files: FileStore
    resources: Resources
    router: Router
    ledger: Table
    clock: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    supervisor: Supervisor
    worker: str
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    heavy: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(HEAVY_MAX))
    kept_s: float = KEPT_S
    tasks: Tasks | None = None


class Work:
    """A job that is worked on: `save` stores what has become of it, and with it that this worker holds it."""

    def __init__(self, means: Means, job: Job, etag: str) -> None:
        self.job = job
        self.means = means
        self._etag = etag

    async def save(self, job: Job, *, held: bool = True) -> None:
        """Stores the job. Raises Lost or StorageFailed."""
        until = self.means.clock() + LEASE_S if held else 0.0
        job = replace(job, holder=self.means.worker if held else "", held_until=until)
        etag = await self.means.store.save(job, self._etag)
        if etag is None:
            raise Lost
        self.job, self._etag = job, etag

    async def keeping(self, effect: Awaitable[T]) -> T:
        """What `effect` gives; meanwhile the job is held. Raises what it raises, Lost and StorageFailed."""
        return await renewing(effect, lambda: self.save(self.job), LEASE_S / 3)
