"""What a call asks for in tokens, before it is sent: the estimate of its prompt, and the most that it may answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.operations.operation import Call, Proxied
from shared.routing.estimates import Demand
from shared.usage.estimate import no_tokens

MAXIMA = ("max_completion_tokens", "max_tokens", "max_output_tokens")
TIMES = ("n", "best_of")
"""So many answers are written, each up to the maximum."""


def demand_of(operation: Proxied, call: Call, prompt: int) -> Demand:
    """The demand of one call whose prompt is estimated to be of so many tokens."""
    if operation.completion_tokens is no_tokens:
        return Demand(prompt, 0, output=False)
    return Demand(prompt, output_max(call.body))


def output_max(body: Mapping[str, Any]) -> int | None:
    """The most tokens that all answers to this body may have, None where it sets no maximum."""
    most = next((value for name in MAXIMA if (value := _count(body.get(name))) is not None), None)
    if most is None:
        return None
    return most * max(_count(body.get(name)) or 1 for name in TIMES)


def _count(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None
