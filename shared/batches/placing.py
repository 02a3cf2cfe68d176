"""Which deployment takes a shard, and how much of it: the one with most room below its enqueued-token quota. Pure.

A quota counts what all callers of a deployment have enqueued there. We know what we have enqueued ourselves, and the
quota once Azure has told it; when Azure refuses a batch all the same, others are there too, and that deployment is left
alone for a while.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BYTES_PER_TOKEN = 4
"""Azure estimates the tokens of an input from its characters (its batch page)."""
LIMIT_UNKNOWN = 200_000_000
"""What a quota is taken for in comparisons until Azure tells it: its default for gpt-4o."""
CUT_SHARE = 4
"""A shard is cut only where there is room for a quarter of the quota, or waits: slivers help nobody."""
WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Seat:
    """A deployment that may take a shard. `limit` is its quota, None while unknown; `enqueued` what we have there. The
    lowest `order` comes first."""

    deployment: str
    label: str
    limit: int | None = None
    enqueued: int = 0
    order: int = 0

    @property
    def room(self) -> int:
        """For comparisons, where the quota is unknown."""
        return (LIMIT_UNKNOWN if self.limit is None else self.limit) - self.enqueued


@dataclass(frozen=True, slots=True)
class Taken:
    """The shard goes to this seat: `tokens` of it, all when None."""

    seat: Seat
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Later:
    """No deployment has room now."""

    until: float


@dataclass(frozen=True, slots=True)
class Never:
    """No deployment will ever take it whole, and it may not be cut."""

    message: str


def place(
    need: int, seats: Sequence[Seat], avoid: Mapping[str, float], now: float, *, split: bool
) -> Taken | Later | Never:
    """Where `need` tokens go. `avoid`: deployments and until when they are left alone."""
    if not seats:
        return Never("No deployment of this model takes batches.")
    free: list[Seat] = []
    times: list[float] = []
    for seat in seats:
        until = avoid.get(seat.deployment, 0.0)
        times.append(until)
        if until <= now:
            free.append(seat)
    if not free:
        return Later(min(times))
    whole = [seat for seat in free if seat.limit is None or seat.room >= need]
    if whole:
        return Taken(min(whole, key=_rank))
    if split:
        part = [seat for seat in free if seat.limit is not None and seat.room * CUT_SHARE >= max(seat.limit, 1)]
        if part:
            best = min(part, key=_rank)
            return Taken(best, best.room)
    elif all(seat.limit is not None and need > seat.limit for seat in seats):
        most = max(seat.limit or 0 for seat in seats)
        return Never(
            f"The batch needs about {need:,} enqueued tokens, and no deployment takes more than {most:,} at once. Set "
            "enable_loadbalancing_on_batch_endpoints: true to have batches split, or send smaller ones."
        )
    return Later(now + WAIT_S)


def _rank(seat: Seat) -> tuple[int, int, int, str]:
    return seat.order, -seat.room, seat.enqueued, seat.deployment
