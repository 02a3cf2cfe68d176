"""What a call asks for in tokens, before it is sent: the estimate of its prompt, and the most that it may answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shared.operations.operation import Call, Proxied
from shared.routing.estimates import Demand
from shared.upstream.deployment import Deployment
from shared.usage.estimate import no_tokens
from shared.usage.pictures import Rule, rule_of
from shared.usage.usage import Usage

MAXIMA = ("max_completion_tokens", "max_tokens", "max_output_tokens")
TIMES = ("n", "best_of")
"""So many answers are written, each up to the maximum."""


def demand_of(operation: Proxied, call: Call, estimated: Usage) -> Demand:
    """The demand of one call whose usage, before its answer, is estimated to be this."""
    output = operation.completion_tokens is not no_tokens
    most = output_max(call.body) if output else 0
    if operation.tokens_at is not None:
        return Demand(estimated.prompt, most, output, _by_model(operation.tokens_at, call, estimated))
    return Demand(
        estimated.prompt, most, output, _by_rule(call, estimated.prompt, most) if call.pictures.seen else None
    )


def _by_model(
    tokens_at: Callable[[Call, Usage, Any], tuple[int, int | None]], call: Call, estimated: Usage
) -> Callable[[Deployment], Demand]:
    """What each model counts of the call, by its row in the catalog."""
    known: dict[str, Demand] = {}

    def differs(deployment: Deployment) -> Demand:
        row = deployment.capability
        found = known.get(row.name)
        if found is None:
            prompt, most = tokens_at(call, estimated, row)
            found = known[row.name] = Demand(prompt, most, output=most != 0)
        return found

    return differs


def _by_rule(call: Call, prompt: int, most: int | None) -> Callable[[Deployment], Demand]:
    """The same call with its images by each model's own rule."""
    known: dict[Rule, Demand] = {}

    def differs(deployment: Deployment) -> Demand:
        rule = rule_of(deployment.known_model)
        found = known.get(rule)
        if found is None:
            found = known[rule] = Demand(prompt + call.pictures.more(rule), most)
        return found

    return differs


def output_max(body: Mapping[str, Any]) -> int | None:
    """The most tokens that all answers to this body may have, None where it sets no maximum."""
    most = next((value for name in MAXIMA if (value := _count(body.get(name))) is not None), None)
    if most is None:
        return None
    return most * max(_count(body.get(name)) or 1 for name in TIMES)


def _count(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None
