"""One batch in the hands of one worker, and what a worker has to work with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from shared.batches.document import Batch, claims
from shared.batches.machine import LEASE_S, held, settled
from shared.batches.store import BatchStore
from shared.batches.upstream import Resources
from shared.callers.tasks import Tasks
from shared.files.store import FileStore
from shared.seal import Sealer
from shared.storage.tables import Table
from shared.supervisor import Supervisor, renewing
from shared.upstream.deployment import Deployment

T = TypeVar("T")

KEPT_S = 90 * 86_400.0
HEAVY_MAX = 2
"""Uploads and downloads of one instance at once; each holds some 40 MB."""
RENEW_S = LEASE_S / 4
"""A batch that is worked on is stored at least twice while others wait for its worker."""
LEARN_S = 600.0
"""What Azure tells again is kept again after so long."""


class Fleet(Protocol):
    """The deployments that serve batches."""

    def of(self, model: str) -> list[Deployment]:
        """Those of a model, perhaps none."""

    def known(self, model: str, deployment: str) -> Deployment | None:
        """The one with this id, None when it is no longer configured."""


class Lost(Exception):
    """Another worker has taken the batch over, or its caller cancelled it: what was seen meanwhile is forgotten."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a worker has. `ledger` is the table of the ledger, `sealer` seals ids in results, `worker` is its own
    name. `tasks` is money of keys, None where there are no keys. A batch that is over is kept for `kept_s`. `quotas`
    are those that the worker has kept, and when. Belongs to the event loop."""

    store: BatchStore
    files: FileStore
    resources: Resources
    fleet: Fleet
    ledger: Table
    sealer: Sealer
    clock: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    supervisor: Supervisor
    worker: str
    tasks: Tasks | None = None
    kept_s: float = KEPT_S
    heavy: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(HEAVY_MAX))
    quotas: dict[str, tuple[int, float]] = field(default_factory=dict)

    async def learn(self, deployment: str, quota: int | None) -> None:
        """Keeps what Azure told of a quota, where it is news. Raises StorageFailed."""
        if quota is None:
            return
        now, known = self.clock(), self.quotas.get(deployment)
        if known is None or known[0] != quota or now - known[1] > LEARN_S:
            self.quotas[deployment] = quota, now
            await self.store.learn(deployment, quota, now)


class Work:
    """A batch that is worked on. `batch` may be ahead of what is stored; `save` stores it."""

    def __init__(self, means: Means, batch: Batch, etag: str) -> None:
        self.batch = batch
        self.means = means
        self._etag = etag
        self._noted = claims(batch)
        self._held = False
        self._stored = batch
        self._saved_at = 0.0
        self._saving = asyncio.Lock()

    @property
    def is_stored(self) -> bool:
        """Whether the batch is as it is stored, and nothing that was seen is lost with this worker."""
        return self.batch is self._stored

    @property
    def is_held(self) -> bool:
        """Whether what is stored says that this worker has the batch."""
        return self._held

    async def save(self, batch: Batch) -> None:
        """Stores what has become of the batch, with what follows. Raises Lost or StorageFailed."""
        async with self._saving:
            self.batch = await self._save(batch)

    async def hold(self) -> None:
        """Stores that this worker has the batch still, unless that was stored of late. Raises Lost or StorageFailed."""
        async with self._saving:
            if self.means.clock() - self._saved_at < RENEW_S:
                return
            before = self.batch
            kept = await self._save(before)
            if self.batch is before:  # nothing was seen meanwhile
                self.batch = kept

    async def _save(self, batch: Batch) -> Batch:
        now = self.means.clock()
        batch = settled(batch, now)
        if batch.holder == self.means.worker:
            batch = held(batch, now)
        etag = await self.means.store.save(batch, self._etag)
        if etag is None:
            raise Lost
        self._stored, self._etag, self._held = batch, etag, bool(batch.holder)
        self._saved_at = now
        claimed = claims(batch)
        if claimed != self._noted and not batch.tidy:
            await self.means.store.note(batch)
            self._noted = claimed
        return batch

    async def keeping(self, effect: Awaitable[T]) -> T:
        """What `effect` gives, which may save the batch; meanwhile it is held. Raises what that raises, Lost and
        StorageFailed."""
        return await renewing(effect, self.hold, RENEW_S)
