"""The health of the deployments, in LiteLLM's shapes.

A check of a deployment is remembered, for a minute when it went well and for ten seconds when it did not, and whoever
asks meanwhile waits for the check that runs: a storm of probes costs what one probe does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared.errors import InternalError, SpillwayError, UpstreamTimeout
from shared.ids import entry_id
from shared.operations.accounting import Account, Refused, tell
from shared.operations.health_checks import Check, check_for, proves_alive
from shared.spend.entry import Entry
from shared.supervisor import Supervisor
from shared.telemetry import CallRecord, Listener, call_ended
from shared.upstream.client import Outgoing, UpstreamClient
from shared.upstream.deployment import Deployment
from shared.upstream.transport import read
from shared.usage.usage import Usage

log = logging.getLogger("spillway")

HEALTHY_S = 60.0
UNHEALTHY_S = 10.0
"""How long a check's outcome is remembered."""
CHECK_S = 10.0
CHECKS_AT_ONCE = 10
REPORT_S = 60.0
"""The longest that a report waits; what was not checked by then is reported as unhealthy, and its check goes on."""
RESULTS_MAX = 1000
CALLER = "gateway"
"""Who asks for a check, in the log and in the ledger."""
REPLY_BYTES_MAX = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Result:
    """How a check ended. `at` is in seconds of the monotonic clock; `error` None is good."""

    check: str
    at: float
    latency_ms: float
    error: SpillwayError | None = None

    def holds(self, now: float) -> bool:
        """Whether it is still believed."""
        return now - self.at < (HEALTHY_S if self.error is None else UNHEALTHY_S)


@dataclass(slots=True)
class Health:
    """The health of the deployments, as this instance sees it. Belongs to the running event loop.

    `every` gives a deployment for each entry of the configuration, `group` those that serve a name, raising
    ModelNotFound. `ready` says whether this instance takes calls, `blind` whether the use of other instances cannot be
    read. `account` gives the account of a check, which may be free. `monotonic` is a clock in seconds. `listener`
    hears of checks that are billed.
    """

    every: Callable[[], Sequence[Deployment]]
    group: Callable[[str], Sequence[Deployment]]
    ready: Callable[[], bool]
    client: UpstreamClient
    supervisor: Supervisor
    next_call_id: Callable[[], str]
    account: Callable[[Entry, bool], Account]
    blind: Callable[[], bool] = lambda: False
    monotonic: Callable[[], float] = time.monotonic
    listener: Listener | None = None
    configuration_problem: Callable[[], str | None] = lambda: None
    _deployments: Sequence[Deployment] | None = None
    _results: OrderedDict[Deployment, Result] = field(default_factory=OrderedDict)
    _running: dict[Deployment, asyncio.Task[Result]] = field(default_factory=dict)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CHECKS_AT_ONCE))

    async def report(self, model: str | None) -> dict[str, Any]:
        """LiteLLM's report over all deployments, or over those of `model`: a name that callers use, a deployment's
        name or its id. Raises ModelNotFound."""
        chosen = self._chosen(model)
        waiting = {task for one in chosen if (task := self._checking(one)) is not None}
        if waiting:
            await asyncio.wait(waiting, timeout=REPORT_S)
        healthy: list[dict[str, Any]] = []
        unhealthy: list[dict[str, Any]] = []
        now, problem = self.monotonic(), self.configuration_problem()
        for one in chosen:
            shown, good = self._shown(one, now)
            (healthy if good else unhealthy).append(shown)
        return {
            "healthy_endpoints": healthy,
            "unhealthy_endpoints": unhealthy,
            "healthy_count": len(healthy),
            "unhealthy_count": len(unhealthy),
            "usage": "local" if self.blind() else "shared",
            "configuration": "current" if problem is None else "last good",
            **({} if problem is None else {"configuration_problem": problem}),
        }

    def _chosen(self, model: str | None) -> Sequence[Deployment]:
        if self._deployments is None:
            self._deployments = tuple(self.every())
        if model is None:
            return self._deployments
        named = [one for one in self._deployments if model in (one.model_name, one.name, one.id, _model(one))]
        return named or self.group(model)

    def _checking(self, deployment: Deployment) -> asyncio.Task[Result] | None:
        """The check to wait for: the one under way, a new one, or None while the last one holds."""
        running = self._running.get(deployment)
        if running is not None:
            return running
        known = self._results.get(deployment)
        if known is not None and known.holds(self.monotonic()):
            return None
        task = self.supervisor.start(self._check(deployment), "health check")
        self._running[deployment] = task
        task.add_done_callback(lambda _: self._running.pop(deployment, None))
        return task

    async def _check(self, deployment: Deployment) -> Result:
        check = check_for(deployment)
        async with self._slots:
            started = self.monotonic()
            failure: SpillwayError | None = None
            try:
                async with asyncio.timeout(CHECK_S):
                    await self._ask(deployment, check)
            except TimeoutError:
                failure = UpstreamTimeout(f"No answer within {CHECK_S:g} seconds.")
            except SpillwayError as error:
                failure = None if proves_alive(error) else error
            except Exception:
                log.exception("the health check of %s failed", deployment.label)
                failure = InternalError("The check itself failed. The gateway's log names the reason.")
        now = self.monotonic()
        result = Result(check.kind, now, round((now - started) * 1000, 3), failure)
        self._results[deployment] = result
        self._results.move_to_end(deployment)
        if len(self._results) > RESULTS_MAX:
            self._results.popitem(last=False)
        return result

    async def _ask(self, deployment: Deployment, check: Check) -> None:
        """Sends the check; a billed one is recorded as a call of its own. Raises SpillwayError."""
        record = CallRecord(self.next_call_id(), operation="health", caller=CALLER, model=deployment.model_name)
        record.deployment, record.deployment_id, record.attempts = deployment.label, deployment.id, 1
        record.provider, record.listener = deployment.provider, self.listener
        outgoing = Outgoing(
            operation=check.operation,
            path=check.path,
            content=check.body,
            entry_id=entry_id(record.call_id, 1),
            accept="application/json",
            first_byte_s=CHECK_S,
            method=check.method,
            query=check.query,
        )
        started = self.monotonic()
        record.outcome = "error"
        asked = Entry("", "health", CALLER, deployment.model_name, 0.0)
        account = self.account(asked, check.usage is None)
        try:
            await account.open(outgoing.entry_id, deployment, check.expected)
            response = await self.client.send(deployment, outgoing)
            account.answered(response.headers.get("apim-request-id", ""))
            body = await read(response, idle_s=CHECK_S, bytes_max=REPLY_BYTES_MAX)
            record.outcome, record.status = "ok", 200
            account.used(_usage(check, body))
        except Refused as refused:
            raise refused.failure from refused
        except SpillwayError as error:
            record.status, record.code = error.status, error.code
            account.failed(error)
            raise
        finally:
            record.duration_ms = round((self.monotonic() - started) * 1000, 3)
            account.close(record.outcome)
            if check.usage is not None:
                tell(record, account.entries)
                call_ended(record)

    def _shown(self, deployment: Deployment, now: float) -> tuple[dict[str, Any], bool]:
        """A deployment in the report, by its names in the configuration, and whether it is healthy."""
        shown: dict[str, Any] = {
            "model": _model(deployment),
            "model_name": deployment.model_name,
            "model_id": deployment.id,
            "mode": deployment.mode,
        }
        result = self._results.get(deployment)
        if result is None:
            return {**shown, "error": "The check has not ended yet.", "code": "health_check_pending"}, False
        shown |= {"check": result.check, "latency_ms": result.latency_ms, "checked_s_ago": round(now - result.at, 1)}
        if result.error is None:
            return shown, True
        return {**shown, "error": result.error.message, "code": result.error.code}, False


def _model(deployment: Deployment) -> str:
    return f"{deployment.provider}/{deployment.name}"


def _usage(check: Check, body: bytes) -> Usage:
    """What a billed check has used. An answer that is no JSON is healthy all the same: its status said so."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return check.expected
    usage = check.usage(payload) if check.usage is not None else None
    return usage or check.expected
