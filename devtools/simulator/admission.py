"""What every operation of a model shares: the right kind of model, the rate limit, the headers, the bill, the pace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from devtools.simulator import errors, headers
from devtools.simulator.bill import Line
from devtools.simulator.directives import Directives
from devtools.simulator.exchange import Call, Reply
from devtools.simulator.limits import NO_LIMIT, Limit
from devtools.simulator.models import Model
from devtools.simulator.resources import Deployment

BATCH_PRICE = 0.5
"""What a batch costs, as a share of the global standard price (Azure's batch page)."""


@dataclass(slots=True)
class Admitted:
    """A call that its deployment's limit let in, at an estimate of its tokens."""

    call: Call
    deployment: Deployment
    limit: Limit
    estimate: int

    @property
    def model(self) -> Model:
        return self.deployment.base

    def headers(self, *, stream: bool, content_type: str | None = None) -> dict[str, str]:
        """The headers of an answer to this call; a line of a batch has none."""
        if self.call.batched is not None:
            return {}
        sent = headers.of_model(self.call, stream=stream)
        if content_type is not None:
            sent["content-type"] = content_type
        return sent | headers.of_limit(self.limit, self.deployment.ratelimit_headers, self.call.world.now())

    def reply(self, wanted: Directives, *, stream: bool = False, content_type: str | None = None) -> Reply:
        """An answer without its content: headers, limit and pace."""
        return Reply(
            headers=self.headers(stream=stream, content_type=content_type),
            limit=self.limit,
            estimate=self.estimate,
            first_ms=self.deployment.first_ms if wanted.first_ms is None else wanted.first_ms,
            delay_ms=self.deployment.delay_ms if wanted.delay_ms is None else wanted.delay_ms,
        )

    def open_line(self, *, status: int = 200, stream: bool = False, **units: Any) -> Line:
        """This attempt's line in the bill; `units` are fields of bill.Line."""
        call = self.call
        if call.batched is not None:
            units |= {"batch": call.batched.batch, "custom_id": call.batched.custom_id, "price_factor": BATCH_PRICE}
        return call.world.bill.open(
            time=call.world.time(),
            resource=call.resource.name,
            deployment=call.deployment_name,
            model=self.deployment.model,
            operation=call.operation,
            api_version=call.api_version,
            surface=call.surface,
            stream=stream,
            status=status,
            client_request_id=call.request.headers.get("x-ms-client-request-id"),
            **units,
        )

    def cached_tokens(self, prompt: str, tokens: int) -> int:
        """Tokens of the prompt that this deployment has in its cache; batches have none."""
        if self.call.batched is not None:
            return 0
        return self.call.world.cached_tokens(self.call.resource.name, self.call.deployment_name, prompt, tokens)

    def filtered(self, results: dict[str, Any], *, prompt_tokens: int, stream: bool) -> errors.AzureError:
        """The 400 for a filtered prompt, which is billed for its prompt."""
        self.open_line(status=400, stream=stream, prompt_tokens=prompt_tokens).finished = True
        error = errors.prompt_filtered(results)
        error.headers = self.headers(stream=False)
        return error


def require_kind(call: Call, kinds: tuple[str, ...], operation: str) -> Deployment:
    """The call's deployment; raises 400 when its model is of another kind, or it takes batches alone.

    `operation` is Azure's word for it.
    """
    deployment = call.deployment
    assert deployment is not None
    if deployment.base.kind not in kinds or (deployment.batch and call.batched is None):
        raise errors.operation_not_supported(operation, call.deployment_name)
    return deployment


def admit(
    call: Call,
    *,
    name: str,
    estimate: int,
    work: Callable[[Admitted], Reply],
    in_stream: Callable[[], Reply] | None = None,
) -> Reply:
    """Counts the call against its deployment's limit and has `work` answer it.

    Over the limit: raises 429, where `name` is Azure's for the operation (`ChatCompletions_Create`), or gives
    `in_stream()` where a stream is asked of a deployment that tells so inside a 200. An error that `work` raises
    gets the limit's headers.
    """
    deployment = call.deployment
    assert deployment is not None
    if call.batched is not None:
        return work(Admitted(call, deployment, NO_LIMIT, estimate))
    limit = call.world.limits.of(call.resource.name, call.deployment_name, deployment)
    now = call.world.now()
    quirk = deployment.ratelimit_headers
    refusal = limit.admit(estimate, now)
    if refusal is not None:
        if in_stream is not None and deployment.ratelimit_in_stream:
            return in_stream()
        if refusal.kind == "provisioned":
            error_429 = errors.provisioned_full(refusal.retry_after_s)
        else:
            error_429 = errors.rate_limited(refusal.kind, name, call.api_version, refusal.retry_after_s)
        error_429.headers = headers.of_limit(limit, quirk, now) | headers.of_refusal(refusal, quirk)
        raise error_429
    try:
        return work(Admitted(call, deployment, limit, estimate))
    except errors.AzureError as error:
        limit.correct(estimate, 0)
        error.headers |= headers.of_limit(limit, quirk, call.world.now())
        raise
