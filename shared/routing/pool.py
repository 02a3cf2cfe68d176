"""The deployments that a call may go to, with what is the same for every call that has them.

A call looks at a few of a large pool, drawn by weight, not at all of them: what choosing costs does not grow with the
pool, and the best of LOOKED_AT that were drawn by chance is hardly worse than the best of all. All are looked at where
none of those that were drawn can be asked. Pure.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from shared.upstream.deployment import Deployment

LOOKED_AT = 16
"""Deployments of one `order` that a call looks at; all, where there are no more."""


class Pool(tuple[Deployment, ...]):
    """Deployments in the file's order; never changed."""

    @cached_property
    def tiers(self) -> tuple[Tier, ...]:
        """Those of each `order`, the lowest first."""
        by_tier: dict[int, list[Deployment]] = {}
        for one in self:
            by_tier.setdefault(one.tier, []).append(one)
        return tuple(Tier.of(by_tier[tier]) for tier in sorted(by_tier))

    @cached_property
    def order_min(self) -> float:
        """The lowest `order` that is written, infinite without one."""
        return min((math.inf if one.order is None else one.order for one in self), default=math.inf)

    @cached_property
    def total_s(self) -> float:
        """The longest time that any of them may take for a whole answer, in seconds."""
        return max(one.timeouts.total_s for one in self)


def pool_of(deployments: Iterable[Deployment]) -> Pool:
    """The pool of these; one that is a pool already stays what it is."""
    return deployments if isinstance(deployments, Pool) else Pool(deployments)


@dataclass(frozen=True, slots=True)
class Tier:
    """The deployments of one `order`; those that `weigh` anything, and their weights, each added to those before it."""

    members: Sequence[Deployment]
    weigh: Sequence[Deployment]
    sums: Sequence[float]

    @classmethod
    def of(cls, members: Sequence[Deployment]) -> Tier:
        weigh = [one for one in members if one.weight > 0]
        return cls(members, weigh, list(accumulate(one.weight for one in weigh)))

    @property
    def is_small(self) -> bool:
        """Whether a call looks at all of it."""
        return len(self.members) <= LOOKED_AT

    def drawn(self, count: int, random: Callable[[], float]) -> list[Deployment]:
        """So many by chance, each as often as its weight says, perhaps one more than once; none where none weighs."""
        weigh, sums = self.weigh, self.sums
        if not weigh:
            return []
        whole, last = sums[-1], len(weigh) - 1
        return [weigh[bisect(sums, random() * whole, 0, last)] for _ in range(count)]
