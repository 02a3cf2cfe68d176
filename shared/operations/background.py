"""Responses that go on after their reply (`background: true`): noted when they are made, settled when they end.

A row of table `spillwayjobs` is written when a background response is created and removed when its usage is recorded,
by the timer, whether or not a client ever comes back for it. A row is written again, read twice or swept by two
instances at once without harm: what is recorded is the same, under the same call id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from shared.errors import SpillwayError, StorageFailed
from shared.operations.accounting import tell
from shared.spend import records
from shared.spend.entry import Entry
from shared.storage.tables import Row, Table, Value
from shared.supervisor import Supervisor
from shared.telemetry import CallRecord, Listener, call_ended
from shared.usage.usage import Usage, response_usage

log = logging.getLogger("spillway")

TABLE = "spillwayjobs"
PARTITION = "background"
WRITE_WAIT_S = 0.25
"""How long a reply waits for its row; a storage outage must not stop inference."""
WRITE_TRIES = 5
WRITE_PAUSE_S = 2.0
SWEEP_JOBS_MAX = 1000
SWEEP_AT_ONCE = 16
SWEEP_S = 15.0
FORGOTTEN_S = 48 * 3600.0
"""A response that has not ended after so long is recorded as unknown: Azure keeps none of them running for a day."""
ENDED = frozenset({"completed", "failed", "incomplete", "cancelled"})


@dataclass(frozen=True, slots=True)
class Job:
    """A background response: who asked with which call, its upstream id and the tag of its resource.

    `prompt` is the estimate of its prompt in tokens, for a response that never tells its usage. `created_at` is in
    Unix seconds. `entry` is its open attempt in the ledger, None when there is none.
    """

    call_id: str
    upstream_id: str
    resource: bytes
    caller: str
    model: str
    deployment: str
    deployment_id: str
    prompt: int
    created_at: float
    entry: Entry | None = None


Ask = Callable[[Job], Awaitable[dict[str, Any] | None]]
"""The response as its resource has it now, None when it is gone there. Raises SpillwayError."""
Settle = Callable[[Entry, Usage | None, str], Awaitable[Entry]]
"""accounting.LateSettle: settles a job's attempt with its usage, None when it never told any, and its outcome."""


class Background:
    """The background responses of all instances. `table` None: there is no storage, and nothing is noted."""

    def __init__(
        self, table: Table | None, supervisor: Supervisor, clock: Callable[[], float], listener: Listener | None = None
    ) -> None:
        self._table = table
        self._listener = listener
        self._supervisor = supervisor
        self._clock = clock
        self._told = False
        self._writing: dict[str, asyncio.Task[None]] = {}

    @property
    def keeps(self) -> bool:
        """Whether what is noted will be recorded when it ends."""
        return self._table is not None

    async def opened(self, job: Job) -> None:
        """Notes a response that goes on; waits for the row a moment, and no longer."""
        if self._table is None:
            if not self._told:
                self._told = True
                log.warning("there is no storage account: background responses are not settled when they end")
            return
        writing = self._writing[job.call_id] = self._supervisor.start(self._write(self._table, job), "background job")
        writing.add_done_callback(lambda _: self._writing.pop(job.call_id, None))
        await asyncio.wait({writing}, timeout=WRITE_WAIT_S)

    async def settled(self, call_id: str) -> None:
        """The response's usage was recorded elsewhere: the timer need not."""
        if self._table is not None:
            writing = self._writing.get(call_id)
            if writing is not None:
                await asyncio.wait({writing})
            try:
                await self._table.remove(PARTITION, call_id)
            except StorageFailed:
                log.warning("the row of call %s stays: the timer records it again", call_id)

    async def sweep(self, ask: Ask, settle: Settle) -> int:
        """Records what has ended and removes its row, within SWEEP_S seconds. How many were recorded.

        Raises StorageFailed when the table cannot be read: the next run tries again.
        """
        if self._table is None:
            return 0
        table = self._table
        jobs = [_job(row) for row in await table.rows(PARTITION, SWEEP_JOBS_MAX)]
        gate = asyncio.Semaphore(SWEEP_AT_ONCE)

        async def look(job: Job) -> bool:
            async with gate:
                return await self._look(table, job, ask, settle)

        looks = [self._supervisor.start(look(job), "sweep") for job in jobs]
        done, late = await asyncio.wait(looks, timeout=SWEEP_S) if looks else (set(), set())
        for one in late:
            one.cancel()
        recorded = sum(not one.cancelled() and one.exception() is None and one.result() for one in done)
        log.info("background responses: %d under way, %d of them ended", len(jobs), recorded)
        return recorded

    async def close(self) -> None:
        """Lets the storage account go."""
        if self._table is not None:
            await self._table.close()

    async def _look(self, table: Table, job: Job, ask: Ask, settle: Settle) -> bool:
        """Whether the job has ended and was recorded."""
        payload: dict[str, Any] | None = None
        try:
            payload = await ask(job)
        except SpillwayError as error:
            if self._clock() - job.created_at < FORGOTTEN_S:
                log.warning("a background response could not be read (%s); the next run tries again", error.code)
                return False
        running = payload is not None and payload.get("status") not in ENDED
        if running and self._clock() - job.created_at < FORGOTTEN_S:
            return False
        usage = response_usage(payload)
        status = payload.get("status") if payload is not None else None
        record = self._record(job, usage, status)
        try:
            if job.entry is not None:
                tell(record, [await settle(job.entry, usage, record.outcome)])
        except StorageFailed:
            log.warning("the attempt of call %s could not be settled; the next run tries again", job.call_id)
            return False
        call_ended(record)
        await self.settled(job.call_id)
        return True

    def _record(self, job: Job, usage: Usage | None, status: Any) -> CallRecord:
        """The record of a call whose answer ended long after its reply."""
        return CallRecord(
            call_id=job.call_id,
            operation="responses_background",
            caller=job.caller,
            model=job.model,
            deployment=job.deployment,
            deployment_id=job.deployment_id,
            attempts=1,
            status=200,
            code=None if status in ENDED else "unknown",
            outcome="ok" if status in ("completed", "incomplete") else "error",
            duration_ms=round((self._clock() - job.created_at) * 1000, 3),
            prompt_tokens=job.prompt if usage is None else usage.prompt,
            cached_tokens=0 if usage is None else usage.cached,
            completion_tokens=0 if usage is None else usage.completion,
            reasoning_tokens=0 if usage is None else usage.reasoning,
            usage_source="estimated" if usage is None else usage.source,
            response_model="" if usage is None else usage.model,
            late=True,
            listener=self._listener,
        )

    async def _write(self, table: Table, job: Job) -> None:
        for attempt in range(1, WRITE_TRIES + 1):
            try:
                await table.put(_row(job))
                return
            except StorageFailed:
                if attempt == WRITE_TRIES:
                    log.error("call %s: its background response could not be noted and may go unrecorded", job.call_id)
                    return
            await asyncio.sleep(WRITE_PAUSE_S * attempt)


def _row(job: Job) -> Row:
    properties: dict[str, Value] = {
        "upstream_id": job.upstream_id,
        "resource": job.resource.hex(),
        "caller": job.caller,
        "model": job.model,
        "deployment": job.deployment,
        "deployment_id": job.deployment_id,
        "prompt": job.prompt,
        "created_at": job.created_at,
    }
    if job.entry is not None:
        properties |= records.properties(records.encoded([job.entry])[0])
    return Row(PARTITION, job.call_id, properties)


def _job(row: Row) -> Job:
    found = row.properties
    return Job(
        call_id=row.key,
        upstream_id=str(found["upstream_id"]),
        resource=bytes.fromhex(str(found["resource"])),
        caller=str(found["caller"]),
        model=str(found["model"]),
        deployment=str(found["deployment"]),
        deployment_id=str(found["deployment_id"]),
        prompt=int(found["prompt"]),
        created_at=float(found["created_at"]),
        entry=next(iter(records.entries_of(row)), None),
    )
