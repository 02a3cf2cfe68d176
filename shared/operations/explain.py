"""`POST /v1/router/explain`: where a chat call would go now, and why not elsewhere. Nothing is sent upstream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from shared.catalog.parameters import apply
from shared.catalog.policy import requested
from shared.errors import BadRequest
from shared.operations.operation import Call, Proxied
from shared.operations.reply import BufferedReply
from shared.routing.estimates import Demand
from shared.routing.filters import Kept
from shared.routing.router import Router
from shared.routing.selection import Full, first_tier, refusals, stand, wait_ms_of
from shared.upstream.deployment import Deployment


def explained(
    router: Router, model: str, candidates: Sequence[Deployment], kept: Kept, demand: Demand
) -> BufferedReply:
    """`{model, estimate, chosen, candidates: [{deployment, model_id, order, verdict, …}], retry_after_ms?}`.

    `kept`: those of the candidates that the call may go to. `verdict`: `chosen`, `could serve` (of the same order),
    `later` (another order first), or what speaks against it.
    """
    now = router.now()
    able, full = stand(kept.deployments, router.state, demand, now)
    tier = first_tier(able)
    choice = router.choose(kept.deployments, demand)
    chosen = None if isinstance(choice, Full) else choice.deployment
    verdicts = {one.id: why for one, why in kept.dropped}
    verdicts |= {one.id: refusal.why for one, refusal in refusals(full, now)}
    verdicts |= {one.id: "later" for one, _, _ in able}
    verdicts |= {one.id: "could serve" for one, _, _ in tier}
    if chosen is not None:
        verdicts[chosen.id] = "chosen"
    answer: dict[str, Any] = {
        "object": "router.explanation",
        "model": model,
        "estimate": {"prompt_tokens": demand.prompt, "max_output_tokens": demand.output_max},
        "chosen": None if chosen is None else _named(chosen),
        "candidates": [
            _candidate(router, one, verdicts.get(one.id, "cooling down after failures"), demand) for one in candidates
        ],
    }
    if isinstance(choice, Full):
        answer["retry_after_ms"] = wait_ms_of(choice.until, now)
    return BufferedReply(200, orjson.dumps(answer))


def drop_unfit(kept: Kept, proxied: Proxied, call: Call, known_as: str) -> None:
    """Drops what would not be sent the call, as its model does not take it. Raises BadRequest where none takes it."""
    refused: dict[Deployment, BadRequest] = {}
    for one in kept.deployments:
        try:
            body, policy = requested(call.body, one.parameters)
            applied = apply(body, known_as, one.capability, policy, call.model)
            proxied.encode(replace(call, body=applied.body), one)
        except BadRequest as failure:
            refused[one] = failure
    if refused and len(refused) == len(kept.deployments):
        raise next(iter(refused.values()))
    for one in kept.deployments:
        if one in refused:
            kept.dropped.append((one, f"its model does not take `{refused[one].param}`"))
    kept.deployments = [one for one in kept.deployments if one not in refused]


def _named(deployment: Deployment) -> dict[str, Any]:
    return {"deployment": deployment.label, "model_id": deployment.id}


def _candidate(router: Router, deployment: Deployment, verdict: str, demand: Demand) -> dict[str, Any]:
    state = router.state(deployment)
    tokens, minute, burst = state.used()
    return {
        **_named(deployment),
        "order": deployment.order,
        "verdict": verdict,
        "estimated_tokens": state.estimates.tokens(demand.at(deployment)),
        "used": {"tokens_per_minute": tokens, "requests_per_minute": minute, "requests_per_ten_seconds": burst},
        "limits": {"tpm": state.tpm, "rpm": state.rpm},
        "in_flight": state.in_flight,
    }
