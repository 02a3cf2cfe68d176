"""What serving one call needs, buffered or streamed: its parts, its attempts, its record."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from shared.catalog.carried import carried
from shared.catalog.parameters import apply
from shared.catalog.policy import requested
from shared.errors import SpillwayError
from shared.files.copies import Copies
from shared.operations.accounting import Account, Refused, tell
from shared.operations.attached import Attached
from shared.operations.background import Background, Job
from shared.operations.operation import Call, Proxied, changed_call
from shared.operations.told import header_value, tell_attempts
from shared.routing.attempts import Attempt, Group, Rules, Run, Trail
from shared.routing.estimates import Demand
from shared.routing.fallbacks import Fallbacks
from shared.routing.pool import Pool
from shared.routing.router import Router
from shared.routing.unfit import fitting
from shared.settings import Settings
from shared.supervisor import Supervisor
from shared.telemetry import CallRecord, call_asked, call_ended
from shared.upstream.client import Outgoing, UpstreamClient
from shared.upstream.content import close_files
from shared.upstream.deployment import Deployment
from shared.upstream.ratelimit import route_headers, told
from shared.upstream.wire import Response
from shared.usage.usage import Usage, changed_usage

T = TypeVar("T")

OUTPUT_MAX = 16_384
"""Tokens of an answer for which the request sets no maximum, where what it may cost at most is reserved."""
PROMPT_ERROR = 2
"""Code, numbers and encoded data have two to three characters a token, English text has more than four."""
_PASSED_ON = ("apim-request-id", "x-ms-region", "azure-openai-deployment-utilization")


@dataclass(slots=True)
class Exchange:
    """One call under way. `drain_s`: seconds an answer is read on after its client left.

    `estimated` is the usage of the call before its answer. `abandoned`: nobody waits for the answer any more, so no
    further deployment is asked for it. `bounded`: the whole answer is waited for `total_s` at most.
    """

    call: Call
    name: str
    operation: Proxied
    candidates: Pool
    router: Router
    client: UpstreamClient
    supervisor: Supervisor
    settings: Settings
    record: CallRecord
    drain_s: float
    keepalive_s: float
    rules: Rules
    demand: Demand
    estimated: Usage
    account: Account
    fallbacks: Fallbacks | None
    background: Background
    copies: Copies
    attached: Attached | None
    on_close: Callable[[], None]
    started: float = field(default_factory=time.monotonic)
    trail: Trail = field(init=False)
    response_headers: Mapping[str, str] | None = None
    abandoned: bool = False
    bounded: bool = False
    _recorded: bool = False
    _noted: bool | None = None
    _sent: Call | None = None

    def __post_init__(self) -> None:
        self.trail = Trail(self.call.call_id)
        self.record.owned = True

    @property
    def speaks_events(self) -> bool:
        """Whether the answer is an event stream, in which silence can be filled and a failure told."""
        return self.call.stream and self.operation.speaks_events(self.call)

    @property
    def total_s(self) -> float:
        """Seconds for a whole answer: the request's own limit, else the longest of its deployments'."""
        if self.call.timeout_s is not None:
            return self.call.timeout_s
        return self.candidates.total_s

    def start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Runs the call's own task. Raises Unavailable when none can be had: the call is then closed."""
        try:
            return self.supervisor.start(work, name)
        except SpillwayError as failure:
            self.fail(failure)
            self.close()
            raise

    async def attempts(self, send: Callable[[Attempt], Awaitable[T]]) -> T:
        """Tries the candidates in turn; every attempt that fails is settled. Raises SpillwayError."""

        async def tried(attempt: Attempt) -> T:
            try:
                return await send(attempt)
            except SpillwayError as failure:
                self.account.failed(failure)
                raise

        run = Run(self.router, self.trail, lambda: not self.abandoned, self.rules, self.demand, self.fallbacks)
        try:
            return await run.first_success(Group(self.call.model, self.candidates), tried)
        except Refused as refused:
            if self.trail.last is not None:
                self.trail.last.reservation.cancel()
            raise refused.failure from refused
        except SpillwayError:
            await self.account.before_reply()
            raise

    async def send(self, attempt: Attempt) -> Response:
        """The upstream's answer when it is a 2xx, its body still unread. Raises SpillwayError, Unfit or Refused."""
        deployment = attempt.deployment
        operation = self.operation
        name = operation.catalog or self.name
        with fitting(deployment):
            call = self._shaped(attempt)
            if self.attached is not None:
                call = changed_call(call, body=await self.attached.placed(call.body, deployment))
            content = operation.encode(call, deployment) if operation.method == "POST" else None
        outgoing = Outgoing(
            operation=name,
            path=operation.upstream_path,
            content=content,
            entry_id=attempt.entry_id,
            accept=self._accept,
            first_byte_s=self._first_byte_s(deployment),
            method=operation.method,
            ids=call.ids,
            query=call.query,
            bound=self.call.resource is not None,
            carries=carried(name, call.body),
        )
        await self.account.open(attempt.entry_id, deployment, self._expected(attempt), self._most)
        try:
            response = await self.client.send(deployment, outgoing)
        except SpillwayError as failure:
            if operation.scrub is not None:
                failure.message = operation.scrub(call, failure.message)
            if self.attached is not None:
                failure.message = self.attached.scrubbed(failure.message, deployment.resource_tag)
            raise
        self.response_headers = headers = response.headers
        self.account.answered(headers.get("apim-request-id", ""))
        attempt.told(told(headers))
        return response

    @property
    def sent(self) -> Call:
        """The call as it was last sent: as the deployment's model takes it, bound to the deployment's resource."""
        assert self._sent is not None
        return self._sent

    def _shaped(self, attempt: Attempt) -> Call:
        """The call as the deployment's model takes it. Raises BadRequest for what the model does not take."""
        deployment = attempt.deployment
        body, policy = requested(self.call.body, deployment.parameters)
        name = self.operation.catalog or self.name
        applied = apply(body, name, deployment.capability, policy, self.call.model)
        attempt.simulates_stream = applied.simulate_stream
        stream = self.call.stream and not applied.simulate_stream
        resource = deployment.resource_tag
        file_of = partial(self.copies.original, resource)
        self._sent = changed_call(self.call, body=applied.body, stream=stream, resource=resource, file_of=file_of)
        return self._sent

    def reply_headers(self) -> dict[str, str]:
        """Headers of the answer that the serving attempt decides; hosts and upstream ids are not among them."""
        headers = {"x-spillway-attempts": str(len(self.trail.attempts)), **self.account.headers()}
        if self.router.blind():
            headers["x-spillway-usage"] = "local"
        if (attempt := self.trail.last) is not None:
            headers["x-spillway-deployment"] = header_value(attempt.deployment.label)
            headers["x-spillway-model-id"] = header_value(attempt.deployment.id)
        if (upstream := self.response_headers) is not None:
            headers |= {name: upstream[name] for name in _PASSED_ON if name in upstream}
            headers |= route_headers(upstream)
        return headers

    def estimate(self, completion_tokens: int) -> Usage:
        """Usage of an answer that never told its own."""
        return changed_usage(self.estimated, completion=completion_tokens)

    def _expected(self, attempt: Attempt) -> Usage:
        """What an attempt will probably use: an answer as long as those of its deployment so far."""
        if not (self.demand.output and attempt.demand.output):
            return self.estimated
        usual = attempt.reservation.state.estimates.output
        most = attempt.demand.output_max
        return self.estimate(usual if most is None else min(usual, most))

    def _most(self) -> Usage:
        """The most that an attempt may use; its prompt may be so many times what it was estimated to be."""
        most = OUTPUT_MAX if self.demand.output_max is None else self.demand.output_max
        usage = self.estimate(most) if self.demand.output else self.estimated
        return changed_usage(usage, prompt=usage.prompt * PROMPT_ERROR)

    def first_byte(self) -> None:
        """The first data of the answer is on its way to the client."""
        self.account.first_byte()
        if self.record.first_byte_ms is None:
            self.record.first_byte_ms = round((time.monotonic() - self.started) * 1000, 3)

    async def note(self, attempt: Attempt, upstream_id: str) -> None:
        """The answer is made whether or not it is read here: what it comes to is recorded when it has ended."""
        if self._noted is not None:
            return
        self._noted = self.background.keeps
        job = Job(
            call_id=self.call.call_id,
            upstream_id=upstream_id,
            resource=attempt.deployment.resource_tag,
            caller=self.record.caller,
            model=self.call.model,
            deployment=attempt.deployment.label,
            deployment_id=attempt.deployment.id,
            prompt=self.estimated.prompt,
            created_at=time.time(),
            entry=self.account.keep() if self._noted else None,
        )
        await self.background.opened(job)

    def settle(self, usage: Usage) -> None:
        """The call has its usage; recorded when it closes. An answer that was noted waits for the upstream's word."""
        if self._noted and usage.source == "estimated":
            return
        if self._noted:
            self._noted = False
            self.supervisor.start(self.background.settled(self.call.call_id), "background job")
        if self.trail.last is not None:
            self.trail.last.settle(usage)
        record = self.record
        self.account.used(usage, record.outcome)
        record.prompt_tokens, record.completion_tokens = usage.prompt, usage.completion
        record.cached_tokens, record.reasoning_tokens = usage.cached, usage.reasoning
        record.usage_source = usage.source
        record.response_model = usage.model

    def fail(self, failure: SpillwayError) -> None:
        """The call ended in this failure; the first one counts, which is what the client was told."""
        if self.record.status:
            return
        self.record.status, self.record.code = failure.status, failure.code
        if self.record.outcome == "ok":
            self.record.outcome = "error"

    def close(self) -> None:
        """Ends every attempt, in the ledger too, and writes the call's record, once."""
        if self._recorded:
            return
        self._recorded = True
        for attempt in self.trail.attempts:
            attempt.end()
        record = self.record
        record.status = record.status or 200
        tell_attempts(record, self.trail, self.candidates)
        record.duration_ms = round((time.monotonic() - self.started) * 1000, 3)
        self.account.close(record.code or record.outcome)
        tell(record, self.account.entries)
        close_files(self.call.files)
        if self.settings.log_prompts:
            call_asked(self.call.call_id, self.call.body)
        call_ended(record)
        self.on_close()

    @property
    def _accept(self) -> str:
        if self.speaks_events:
            return "text/event-stream"
        return "application/json" if self.operation.replies_json and not self.call.stream else "*/*"

    def _first_byte_s(self, deployment: Deployment) -> float:
        """Infinite where `total_s`, which bounds the whole answer, ends sooner."""
        seconds = self.call.timeout_s
        if seconds is None:
            seconds = deployment.timeouts.first_byte_s if self.call.stream else deployment.timeouts.total_s
        return math.inf if self.bounded and seconds >= self.total_s else seconds
