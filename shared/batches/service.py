"""Batches as callers ask for them: created, looked at, listed, cancelled. One part of the gateway."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.batches import budget, listing, machine, retention
from shared.batches.document import Batch
from shared.batches.driver import ORPHAN_S, RUN_S, Driver
from shared.batches.inputs import BYTES_MAX, LINES_MAX
from shared.batches.keyed import Keyed
from shared.batches.shown import status_of
from shared.batches.store import BatchStore
from shared.batches.work import Means
from shared.callers.virtual_key import VirtualKey
from shared.errors import BadRequest, BudgetExceeded, Conflict, NotFound, SpillwayError, Unavailable
from shared.files.identity import BATCH, FILE, Owner, made_at, new_id
from shared.files.stored_file import StoredFile

log = logging.getLogger("spillway")

LOOK_S = 1.0
"""Who asks about a batch moves it on, but no sooner than that after the last who did on this instance."""
LOOK_WAIT_S = 1.5
"""How long an answer waits for that."""
LOOKED_MAX = 10_000
CANCEL_TRIES = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """A batch that is to be created, its request checked. `alias` and `tags` go with its lines into the ledger; `key`
    is a virtual key, whose budget carries it."""

    owner: Owner
    file: StoredFile
    endpoint: str
    model: str
    split: bool
    rounds: int = 0
    metadata: Mapping[str, str] | None = None
    output_expires_s: int | None = None
    alias: str = ""
    tags: tuple[str, ...] = ()
    idempotency_key: str = ""
    key: VirtualKey | None = None


class Batches:
    """The batches of all callers. `means` None: there is no storage account, and every method raises Unavailable. Each
    raises StorageFailed. `splits`: a batch may be cut where a deployment has no room. Belongs to the event loop."""

    def __init__(self, means: Means | None, *, splits: bool = False) -> None:
        self.splits = splits
        self._means = means
        self._driver = None if means is None else Driver(means)
        self._looked: OrderedDict[str, float] = OrderedDict()

    @property
    def means(self) -> Means:
        """What there is to work with. Raises Unavailable."""
        if self._means is None:
            raise Unavailable(
                "There are no batches here: the app has no storage account. Set AzureWebJobsStorage.",
                code="storage_not_configured",
                should_retry=False,
            )
        return self._means

    @property
    def keyed(self) -> Keyed:
        """The Idempotency-Keys. Raises Unavailable."""
        means = self.means
        return Keyed(means.store.table, lambda: means.files.agenda, means.clock)

    @property
    def _store(self) -> BatchStore:
        return self.means.store

    async def create(self, asked: Asked) -> Batch:
        """A new batch, which begins to run; the one that an Idempotency-Key already made. Raises BadRequest."""
        means = self.means
        if not means.fleet.of(asked.model):
            raise BadRequest(
                f"The model `{asked.model}` cannot do this operation: no deployment of it takes batches.",
                param="model",
                code="model_not_supported",
            )
        _check_size(asked)
        batch = _batch(asked, means.clock(), means.random_bytes)
        shared = False
        if asked.idempotency_key:
            batch_id = await self._keyed(asked, batch.id)
            found = await self._store.load(batch_id) if batch_id != batch.id else None
            if found is not None:
                return found[0]
            shared = batch_id != batch.id
            batch = replace(batch, id=batch_id)
        await self._store.note(batch)
        try:
            batch = await budget.begin(means, batch, asked.key, budget.estimate(means, asked.file, asked.model))
        except BudgetExceeded:
            if not shared:
                await self._store.forget(batch.name)
            raise
        await self._store.insert(batch)
        self._start(batch.id)
        return batch

    async def _keyed(self, asked: Asked, batch_id: str) -> str:
        """The id that the Idempotency-Key stands for: perhaps somebody is about to write a batch under it. One who has
        not done so for long does not come to it any more: then this id. Raises Conflict when it was another request's.
        """
        said = repr((asked.file.id, asked.endpoint, asked.model, asked.metadata, asked.output_expires_s))
        said = hashlib.sha256(said.encode()).hexdigest()
        owner, key = asked.owner, asked.idempotency_key
        known_id, known_said = await self.keyed.claim(owner, key, batch_id, said)
        if known_said != said:
            raise Conflict("This Idempotency-Key was used for another request.", code="idempotency_key_reused")
        if made_at(batch_id) - made_at(known_id) < ORPHAN_S / 2 or await self._store.load(known_id) is not None:
            return known_id
        if not await self.keyed.renew(owner, key, known_id, batch_id):
            raise Unavailable("Another request with this Idempotency-Key is under way.", retry_after_ms=1000)
        return batch_id

    async def find(self, owner: Owner, batch_id: str, *, look: bool = True) -> Batch:
        """A batch; `look`: one that is not over is moved on by the way, a moment of which is waited for. Raises
        NotFound when there is none that the owner may see."""
        batch = await self._found(owner, batch_id)
        if not look or batch.tidy or not self._may_look(batch_id):
            return batch
        task = self._start(batch_id)
        if task is None:
            return batch
        await asyncio.wait({task}, timeout=LOOK_WAIT_S)
        return await self._found(owner, batch_id)

    async def page(self, owner: Owner, limit: int, after: str | None) -> tuple[list[Batch], bool]:
        """A page of the owner's batches, newest first, and whether there are more. Raises BadRequest."""
        return await listing.page(self._store.table, owner, limit, after)

    async def cancel(self, owner: Owner, batch_id: str) -> Batch:
        """Asks for the end of a batch. Raises NotFound, or Conflict for one that has ended in another way."""
        for _ in range(CANCEL_TRIES):
            batch = await self._found(owner, batch_id)
            if batch.state == "cancelled" or batch.cancelling:
                return batch
            if batch.ended or "finalizing_at" in batch.times:
                raise Conflict(f"Cannot cancel a batch with status '{status_of(batch)}'.")
            found = await self._store.load(batch_id)
            assert found is not None
            batch, etag = found
            changed = machine.cancelled(batch, self.means.clock())
            if await self._store.save(changed, etag) is not None:
                self._start(batch_id)
                return changed
        raise Unavailable("The batch changes all the time; try again.", retry_after_ms=1000)

    async def run(self) -> int:
        """One run of the timer: how many batches are not over. Raises StorageFailed."""
        return 0 if self._driver is None else await self._driver.run()

    async def review(self, batch_id: str) -> None:
        """Looks at a batch whose time has come, for the sweep. Raises StorageFailed."""
        await retention.review(self.means, batch_id)

    async def close(self) -> None:
        """Lets the storage account's connections go."""
        if self._means is not None:
            await self._means.store.close()

    async def _found(self, owner: Owner, batch_id: str) -> Batch:
        found = await self._store.load(batch_id)
        if found is None or found[0].id != batch_id or not (owner.sees_all or found[0].owner == owner.key_id):
            raise NotFound("No such Batch object.", param="batch_id")
        return found[0]

    def _start(self, batch_id: str) -> asyncio.Task[None] | None:
        """Moves a batch on in the background. What is cut short there, the timer goes on with."""
        assert self._driver is not None
        try:
            return self._driver.start(batch_id, self.means.clock() + RUN_S)
        except SpillwayError:
            return None

    def _may_look(self, batch_id: str) -> bool:
        now = self.means.clock()
        if now - self._looked.get(batch_id, 0.0) < LOOK_S:
            return False
        self._looked[batch_id] = now
        self._looked.move_to_end(batch_id)
        if len(self._looked) > LOOKED_MAX:
            self._looked.popitem(last=False)
        return True


def _batch(asked: Asked, now: float, random_bytes: Callable[[int], bytes]) -> Batch:
    notes: Mapping[str, Any] = asked.file.notes
    estimate = {name: notes[name] for name in ("prompt_tokens", "completion_tokens", "cost_usd") if name in notes}
    requests = notes.get("requests")
    batch = Batch(
        id=new_id(BATCH, asked.owner, now, random_bytes),
        owner=asked.owner.key_id,
        endpoint=asked.endpoint,
        input_file_id=asked.file.id,
        input_bytes=asked.file.bytes_count,
        model=asked.model,
        created_at=now,
        output_id=new_id(FILE, asked.owner, now, random_bytes),
        error_id=new_id(FILE, asked.owner, now, random_bytes),
        alias=asked.alias,
        tags=asked.tags,
        total=requests if isinstance(requests, int) else 0,
        split=asked.split,
        rounds=asked.rounds,
        metadata=asked.metadata,
        estimate=estimate,
        output_expires_s=asked.output_expires_s,
    )
    return machine.begun(batch)


def _check_size(asked: Asked) -> None:
    """Raises BadRequest for a batch that would have to be split and may not be."""
    requests = asked.file.notes.get("requests")
    if asked.split or (asked.file.bytes_count <= BYTES_MAX and not (requests and requests > LINES_MAX)):
        return
    raise BadRequest(
        f"Azure takes {LINES_MAX:,} requests and {BYTES_MAX:,} bytes in one batch. Set "
        "litellm_settings.enable_loadbalancing_on_batch_endpoints: true to have larger ones split over deployments.",
        param="input_file_id",
        code="too_many_tasks",
    )
