"""Which of a call's candidates is asked now, or why none is: limits and cool-downs, then `order`, then the strategy.

Pure: it changes nothing, so it can also explain itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from shared.errors import RateLimited
from shared.routing.estimates import Demand
from shared.routing.limits import Refused
from shared.routing.pool import LOOKED_AT, Pool
from shared.routing.state import DeploymentState
from shared.routing.strategies import Standing, Strategy
from shared.routing.windows import TICKS
from shared.upstream.deployment import LAST, Deployment

States = Callable[[Deployment], DeploymentState]
NAMED_MAX = 10
"""Deployments that an error names."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The deployment that is asked now: its state, and the tokens that the call will take there."""

    deployment: Deployment
    state: DeploymentState
    tokens: int


@dataclass(frozen=True)
class Full:
    """No candidate can be asked now. `full`: those that have no room, each in its state, at the time `now`."""

    full: Sequence[Standing]
    now: float = 0.0

    @cached_property
    def refused(self) -> Sequence[tuple[Deployment, Refused]]:
        """Each with its reason, when first asked for, which is soon: reasons take longer than finding no room."""
        return refusals(self.full, self.now)

    @property
    def until(self) -> float:
        """When the first of them can probably be asked again, in seconds of the clock."""
        return min((refused.until for _, refused in self.refused), default=0.0)

    def error(self, model: str, now: float, until: float | None = None) -> RateLimited:
        """The 429 for the client: which deployments are full, why, and the soonest time at which one is not; `until`
        where another model has room sooner."""
        parts = [f"{one.label} ({refused.why})" for one, refused in self.refused[:NAMED_MAX]]
        if len(self.refused) > NAMED_MAX:
            parts.append(f"{len(self.refused) - NAMED_MAX} more")
        wait_ms = wait_ms_of(self.until if until is None else until, now)
        return RateLimited(
            f"Every deployment of `{model}` is at its limit: {', '.join(parts)}. Try again in {wait_ms} ms.",
            retry_after_ms=wait_ms,
        )


def wait_ms_of(until: float, now: float) -> int:
    """Milliseconds until then, at least one, rounded up: who comes again after them finds room."""
    return max(1, math.ceil((until - now) * 1000 - 1e-6))


def stand(
    candidates: Sequence[Deployment], state_of: States, demand: Demand, now: float
) -> tuple[list[Standing], list[Standing]]:
    """Those that can be asked now, and those that have no room. What failed lately can be asked where nothing else
    can."""
    able, failed, full = sort(candidates, state_of, demand, now)
    if failed and not able:
        soonest = min(state.failed_until for _, state, _ in failed)
        able = [one for one in failed if one[1].failed_until == soonest]
    return able, full


def sort(
    candidates: Sequence[Deployment], state_of: States, demand: Demand, now: float
) -> tuple[list[Standing], list[Standing], list[Standing]]:
    """Those that can be asked now, those that failed lately, and those that have no room."""
    able: list[Standing] = []
    failed: list[Standing] = []
    full: list[Standing] = []
    prompt, most = demand.prompt, demand.output_max if demand.output else 0
    differs = demand.differs
    tick = int(now * TICKS)
    for one in candidates:
        if differs is not None:
            there = differs(one)
            prompt, most = there.prompt, there.output_max if there.output else 0
        state = state_of(one)
        estimates = state.estimates
        tokens = int(prompt * estimates.ratio) + (estimates.output if most is None else most)
        if not state.has_room(now, tick, tokens):
            full.append((one, state, tokens))
        elif now < state.failed_until:
            failed.append((one, state, tokens))
        else:
            able.append((one, state, tokens))
    return able, failed, full


def refusals(full: Sequence[Standing], now: float) -> list[tuple[Deployment, Refused]]:
    """Why each of these has no room."""
    reasons = ((one, state.refusal(now, tokens)) for one, state, tokens in full)
    return [(one, refused) for one, refused in reasons if refused is not None]


def first_tier(able: list[Standing]) -> list[Standing]:
    """Those of the lowest `order`; of these, one of weight 0 only where all are."""
    tiers = [one.tier for one, _, _ in able]
    lowest = min(tiers, default=LAST)
    if tiers.count(lowest) < len(tiers):
        able = [standing for standing, tier in zip(able, tiers, strict=True) if tier == lowest]
    weights = [one.weight for one, _, _ in able]
    if 0 in weights:
        able = [standing for standing, weight in zip(able, weights, strict=True) if weight] or able
    return able


def select(
    candidates: Sequence[Deployment],
    state_of: States,
    demand: Demand,
    now: float,
    strategy: Strategy,
    random: Callable[[], float],
) -> Chosen | Full:
    """The deployment to ask, or why there is none."""
    if len(candidates) > LOOKED_AT and strategy.draws and isinstance(candidates, Pool):
        drawn = _drawn(candidates, state_of, demand, now, strategy, random)
        if drawn is not None:
            return drawn
    able, full = stand(candidates, state_of, demand, now)
    if not able:
        return Full(full, now)
    return _best(first_tier(able), now, strategy, random)


def _drawn(
    pool: Pool, state_of: States, demand: Demand, now: float, strategy: Strategy, random: Callable[[], float]
) -> Chosen | None:
    """The deployment to ask, without a look at all of them; None where that does not tell."""
    for tier in pool.tiers:
        if tier.is_small:
            able, _, _ = sort(tier.members, state_of, demand, now)
            if able:
                return _best(first_tier(able), now, strategy, random)
            continue
        for _ in range(LOOKED_AT // strategy.draws):
            able, _, _ = sort(tier.drawn(strategy.draws, random), state_of, demand, now)
            if able:
                return _best(able, now, strategy, random)
        return None
    return None


def _best(tier: list[Standing], now: float, strategy: Strategy, random: Callable[[], float]) -> Chosen:
    """The one that the strategy ranks lowest, one of several by chance."""
    if len(tier) == 1:
        return Chosen(*tier[0])
    ranked = strategy.ranks(tier, now, random)
    lowest = min(ranked)
    if ranked.count(lowest) == 1:
        return Chosen(*tier[ranked.index(lowest)])
    best = [one for one, rank in zip(tier, ranked, strict=True) if rank == lowest]
    return Chosen(*best[int(random() * len(best))])
