"""Which of a call's candidates is asked now, or why none is: limits and cool-downs, then `order`, then the strategy.

Pure: it changes nothing, so it can also explain itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.errors import RateLimited
from shared.routing.estimates import Demand
from shared.routing.state import DeploymentState, Refused
from shared.routing.strategies import Ranks, Standing
from shared.upstream.deployment import Deployment

LAST = 1 << 30
NAMED_MAX = 10
"""Deployments that an error names."""


@dataclass(frozen=True, slots=True)
class Full:
    """No candidate can be asked now. `refused`: each with its reason."""

    refused: Sequence[tuple[Deployment, Refused]]

    @property
    def until(self) -> float:
        """When the first of them can probably be asked again, in seconds of the clock; in a second without any."""
        return min((refused.until for _, refused in self.refused), default=0.0)

    def error(self, model: str, now: float) -> RateLimited:
        """The 429 for the client: which deployments are full, why, and the soonest time at which one is not."""
        parts = [f"{one.label} ({refused.why})" for one, refused in self.refused[:NAMED_MAX]]
        if len(self.refused) > NAMED_MAX:
            parts.append(f"{len(self.refused) - NAMED_MAX} more")
        wait_ms = max(1, round((self.until - now) * 1000))
        return RateLimited(
            f"Every deployment of `{model}` is at its limit: {', '.join(parts)}. Try again in {wait_ms} ms.",
            retry_after_ms=wait_ms,
        )


def order_of(deployment: Deployment) -> int:
    """`order`, lowest first; without one, provisioned throughput is used before what is paid as it goes."""
    if deployment.order is not None:
        return deployment.order
    return LAST - 1 if deployment.provisioned else LAST


def stand(
    candidates: Sequence[Deployment],
    state_of: Callable[[Deployment], DeploymentState],
    demand: Demand,
    now: float,
) -> tuple[list[Standing], list[tuple[Deployment, Refused]]]:
    """Those that can be asked now, and the others. What failed lately can be asked where nothing else can."""
    able: list[Standing] = []
    failed: list[Standing] = []
    refused: list[tuple[Deployment, Refused]] = []
    for one in candidates:
        state = state_of(one)
        tokens = state.estimates.tokens(demand)
        refusal = state.refusal(now, tokens)
        if refusal is not None:
            refused.append((one, refusal))
        elif now < state.failed_until:
            failed.append(Standing(one, state, tokens))
        else:
            able.append(Standing(one, state, tokens))
    if not able and failed:
        soonest = min(one.state.failed_until for one in failed)
        able = [one for one in failed if one.state.failed_until == soonest]
    return able, refused


def first_tier(able: list[Standing]) -> list[Standing]:
    """Those of the lowest `order`; of these, one of weight 0 only where all are."""
    if len(able) > 1:
        lowest = min(order_of(one.deployment) for one in able)
        able = [one for one in able if order_of(one.deployment) == lowest]
        if len(able) > 1:
            able = [one for one in able if one.deployment.weight] or able
    return able


def select(
    candidates: Sequence[Deployment],
    state_of: Callable[[Deployment], DeploymentState],
    demand: Demand,
    now: float,
    ranks: Ranks,
    random: Callable[[], float],
) -> Standing | Full:
    """The deployment to ask, or why there is none."""
    able, refused = stand(candidates, state_of, demand, now)
    if not able:
        return Full(refused)
    tier = first_tier(able)
    if len(tier) == 1:
        return tier[0]
    ranked = ranks(tier, now, random)
    lowest = min(ranked)
    best = [one for one, rank in zip(tier, ranked, strict=True) if rank == lowest]
    return best[int(random() * len(best))] if len(best) > 1 else best[0]
