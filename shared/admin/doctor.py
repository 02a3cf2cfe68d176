"""The doctor: the configuration against reality, without a billed call.

Everything is asked at once, within bounds; what has not answered in time is a finding itself. Whoever asks while an
examination runs waits for that one, and for a few seconds it is remembered.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.admin import doctor_checks as checks
from shared.admin.doctor_checks import Pair, subject_of
from shared.admin.doctor_probes import ask
from shared.admin.doctor_storage import CONTAINER, TABLE, blobs_work, no_account, table_works
from shared.admin.findings import Finding
from shared.catalog.prices import unpriced
from shared.ids import entry_id
from shared.plan import Plan
from shared.storage.blobs import AzureBlobs, Blobs
from shared.storage.tables import AzureTable, Table
from shared.supervisor import Supervisor
from shared.upstream.client import UpstreamClient

log = logging.getLogger("spillway")

AT_ONCE = 8
ONE_S = 30.0
"""The longest that one thing is asked, with signing in."""
ALL_S = 60.0
REMEMBERED_S = 10.0


@dataclass(slots=True)
class Doctor:
    """Examines one gateway. Belongs to the running event loop.

    `pairs` gives every entry with its deployment (a wildcard's is named `*`). `clock` gives Unix seconds, `monotonic`
    seconds of a clock that goes forward. `open_table` and `open_blobs` give what is probed, which is closed after.
    """

    plan: Plan
    pairs: Callable[[], Sequence[Pair]]
    client: UpstreamClient
    supervisor: Supervisor
    next_call_id: Callable[[], str]
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    open_table: Callable[[], Table] | None = None
    open_blobs: Callable[[], Blobs] | None = None
    _running: asyncio.Task[list[Finding]] | None = None
    _ended_at: float = float("-inf")

    def __post_init__(self) -> None:
        account = self.plan.storage
        if account is not None:
            self.open_table = self.open_table or (lambda: AzureTable(account, TABLE))
            self.open_blobs = self.open_blobs or (lambda: AzureBlobs(account, CONTAINER))

    async def examine(self) -> list[Finding]:
        """Every finding. Raises Unavailable when no task can be had."""
        running = self._running
        known = running is not None and (not running.done() or self.monotonic() - self._ended_at < REMEMBERED_S)
        if running is None or not known:
            running = self._running = self.supervisor.start(self._examined(), "doctor")
        return await asyncio.shield(running)

    async def _examined(self) -> list[Finding]:
        pairs = list(self.pairs())
        skews: list[float] = []
        gate = asyncio.Semaphore(AT_ONCE)
        late = asyncio.get_running_loop().time() + ALL_S

        async def one(subject: str, check: str, work: Callable[[], Awaitable[Finding]]) -> Finding:
            try:
                async with asyncio.timeout_at(late), gate, asyncio.timeout(ONE_S):
                    return await work()
            except TimeoutError:
                return Finding(check, "error", subject, "gave no answer in time", "Check the network on the way there.")
            except Exception:
                log.exception("the examination of %s failed", subject)
                return Finding(check, "error", subject, "could not be examined; the gateway's log names the reason")

        async def probed(subject: str, pair: Pair) -> Finding:
            found = await ask(self.client, subject, pair[1], entry_id(self.next_call_id(), 1), self.clock)
            if found.skew_s is not None:
                skews.append(found.skew_s)
            return found.finding

        probes = [
            one(subject, "deployment", lambda subject=subject, pair=pair: probed(subject, pair))  # type: ignore[misc]
            for pair in pairs
            for subject in [subject_of(*pair)]
        ]
        findings = list(await asyncio.gather(*probes, *self._storage(one)))
        if self.open_table is None:
            findings.append(no_account())
        findings += self._told(pairs, skews)
        self._ended_at = self.monotonic()
        return findings

    def _storage(
        self, one: Callable[[str, str, Callable[[], Awaitable[Finding]]], Awaitable[Finding]]
    ) -> list[Awaitable[Finding]]:
        name = self.next_call_id()
        works: list[Awaitable[Finding]] = []
        if self.open_table is not None:
            works.append(one("Table Storage", "storage", lambda: self._table(name)))
        if self.open_blobs is not None:
            works.append(one("Blob Storage", "storage", lambda: self._blobs(name)))
        return works

    async def _table(self, name: str) -> Finding:
        assert self.open_table is not None
        table = self.open_table()
        try:
            return await table_works(table, name)
        finally:
            await table.close()

    async def _blobs(self, name: str) -> Finding:
        assert self.open_blobs is not None
        blobs = self.open_blobs()
        try:
            return await blobs_work(blobs, name)
        finally:
            await blobs.close()

    def _told(self, pairs: Sequence[Pair], skews: Sequence[float]) -> list[Finding]:
        """What needs no asking, and the clock."""
        today = datetime.fromtimestamp(self.clock(), UTC).date()
        said = {f"{entry.label}: {unpriced(entry, deployment.name)}" for entry, deployment in pairs}
        warnings = [
            Finding("configuration", "warning", "configuration", warning, "See docs/configuration.md.")
            for warning in self.plan.warnings
            if warning not in said
        ]
        perhaps = [
            *(checks.retiring(pair, today) for pair in pairs),
            checks.skewed(skews),
            checks.monitored(self.environ),
        ]
        return [
            *map(checks.priced, pairs),
            *(one for one in perhaps if one is not None),
            *checks.shared_quotas(pairs),
            *warnings,
        ]
