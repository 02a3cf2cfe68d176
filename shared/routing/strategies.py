"""Which of the deployments that have room is asked: `router_settings.routing_strategy`, as ranks.

A rank is a number, the lowest is asked. Limits, cool-downs and `order` were looked at before, whatever the strategy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.routing.pool import LOOKED_AT
from shared.routing.state import DeploymentState
from shared.upstream.deployment import Deployment

LATENCY_BUFFER = 0.0
"""LiteLLM's `lowest_latency_buffer`: within so much of the fastest (0.5 is half as long again) the choice is random."""


Standing = tuple[Deployment, DeploymentState, int]
"""One deployment that has room: its state, and the tokens that the call would take there."""
Ranks = Callable[[list[Standing], float, Callable[[], float]], list[float]]
"""Ranks of the standings, in their order, at a time (seconds); `random` gives [0, 1)."""


def usage_based(standings: list[Standing], now: float, random: Callable[[], float]) -> list[float]:
    """The least used share of its limit: deployments differ in size, so the fewest tokens would favour the largest.

    Where a deployment has no limit that is known, all are compared by what is under way for their weight.
    """
    ranks: list[float] = []
    for _, state, tokens in standings:
        share = state.share(tokens)
        if state.utilization:
            share = max(share or 0.0, state.fullness(now))
        if share is None:
            return by_weight(standings, now, random)
        ranks.append(share)
    return ranks


def by_weight(standings: list[Standing], now: float, random: Callable[[], float]) -> list[float]:
    """The fewest calls under way for its weight; among equals the fewest of the last minute."""
    ranks: list[float] = []
    for one, state, _ in standings:
        lately = state.all.minute.used
        ranks.append((state.in_flight + 1 + lately * 1e-6) / one.weight if one.weight else math.inf)
    return ranks


def simple_shuffle(standings: list[Standing], now: float, random: Callable[[], float]) -> list[float]:
    """By chance, each as often as its weight says (Efraimidis and Spirakis: the smallest of exponential draws)."""
    weights = [one.weight for one, _, _ in standings]
    return [-math.log(1.0 - random()) / weight if weight else math.inf for weight in weights]


def least_busy(standings: list[Standing], now: float, random: Callable[[], float]) -> list[float]:
    """The fewest calls under way, on all instances."""
    return [float(state.in_flight + state.peers_in_flight) for _, state, _ in standings]


def lowest_cost(standings: list[Standing], now: float, random: Callable[[], float]) -> list[float]:
    """The cheapest for input and output together; one without a price comes last."""
    return [math.inf if (rate := one.token_rate) is None else rate for one, _, _ in standings]


def lowest_latency(buffer: float) -> Ranks:
    """The fastest per token lately, or one within `buffer` of it; one that was not seen yet is tried first."""

    def ranks(standings: list[Standing], now: float, random: Callable[[], float]) -> list[float]:
        seen = [state.latency_s or 0.0 for _, state, _ in standings]
        limit = min(seen) * (1 + buffer)
        return [0.0 if one <= limit else one for one in seen]

    return ranks


@dataclass(frozen=True, slots=True)
class Strategy:
    """`draws`: of a large pool so many are drawn by weight, and ranked, until one of them can be asked; 0 for a
    strategy that means the best of all, which must look at all."""

    ranks: Ranks
    draws: int = 0


def strategy(name: str, args: Mapping[str, float]) -> Strategy:
    """The strategy of this name; `args` is router_settings.routing_strategy_args."""
    if name == "latency-based-routing":
        return Strategy(lowest_latency(args.get("lowest_latency_buffer", LATENCY_BUFFER)))
    return _STRATEGIES[name]


_STRATEGIES: dict[str, Strategy] = {
    "usage-based-routing": Strategy(usage_based, LOOKED_AT),
    "usage-based-routing-v2": Strategy(usage_based, LOOKED_AT),
    "simple-shuffle": Strategy(simple_shuffle, 1),
    "least-busy": Strategy(least_busy, LOOKED_AT),
    "cost-based-routing": Strategy(lowest_cost),
}
