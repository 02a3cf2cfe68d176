"""What one instance holds of a key's limits, and what it has set aside and spent of that. Pure.

    free       held, and nothing is set aside from it; below 0 when a call came to more than was set aside for it
    set_aside  for calls under way
    spent      by bucket, since `since`

`propose` and `accept` are before and after a write of the row. Between the two calls go on: they have what was held
before or what is about to be held, whichever is less, so that no answer of storage, nor none, can make it too much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.callers.shares import Amounts, Buckets, Lease, Pot, Shares, grant

USABLE_S = 240.0
"""A lease that was not renewed for so long is not used: an instance that is silent for long is taken for dead."""
USABLE_MINUTE_S = 60.0
"""The same for what lapses after shares.LAPSE_S."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A row to be written, and how much more will be `free` with it. `leaves`: with nothing held any more."""

    shares: Shares
    more: Amounts
    at: float
    leaves: bool = False


@dataclass(slots=True)
class Holding:
    """`leased`: the row has a lease of it, as far as is known. `leaving`: what it spent, when a row without the lease
    was written that nobody acknowledged yet."""

    instance: str
    since: float
    free: dict[str, int] = field(default_factory=dict)
    set_aside: dict[str, int] = field(default_factory=dict)
    spent: dict[str, dict[int, int]] = field(default_factory=dict)
    leased: bool = False
    renewed_at: float = float("-inf")
    leaving: Buckets | None = None

    def fits(self, pots: Mapping[str, Pot], needs: Amounts, now: float) -> bool:
        """Whether all of it can be had; what is in no pot always can."""
        return all(
            name not in pots or pots[name].limit is None or amount <= self.usable(name, pots[name], now)
            for name, amount in needs.items()
        )

    def usable(self, name: str, pot: Pot, now: float) -> int:
        """What is free there, if the lease was renewed lately enough that nobody takes it for given up."""
        age = now - self.renewed_at
        return self.free.get(name, 0) if age < (USABLE_MINUTE_S if pot.lapses else USABLE_S) else 0

    def take(self, name: str, amount: int) -> None:
        """Sets it aside."""
        self.free[name] = self.free.get(name, 0) - amount
        self.set_aside[name] = self.set_aside.get(name, 0) + amount

    def settle(self, name: str, amount: int, spent: int, bucket: int) -> None:
        """Of what was set aside so much was spent, or more."""
        self.set_aside[name] -= amount
        self.free[name] = self.free.get(name, 0) + amount - spent
        self._spend(name, spent, bucket)

    def correct(self, name: str, by: int, bucket: int) -> None:
        """What was spent, and still counts, comes to so much more, or less."""
        self.free[name] = self.free.get(name, 0) - by
        self._spend(name, by, bucket)

    @property
    def busy(self) -> bool:
        """Whether anything is set aside."""
        return any(self.set_aside.values())

    @property
    def empty(self) -> bool:
        """Whether there is nothing that the row should know."""
        return not (self.busy or self.leased or self.spent)

    def propose(self, shares: Shares, pots: Mapping[str, Pot], needs: Amounts, more: Amounts, now: float) -> Proposal:
        """The row with this instance's lease renewed: with what it `needs` free, and `more` for soon.

        From here on no more is free than what is held both ways.
        """
        self._notice(shares, now)
        others = shares.without(self.instance)
        held: dict[str, int] = {}
        beyond: dict[str, int] = {}
        spent = self._counting(pots)
        self.free = {name: free for name, free in self.free.items() if name in pots}
        for name, pot in pots.items():
            aside = self.set_aside.get(name, 0)
            if pot.limit is None:
                held[name] = aside
                continue
            mine = sum(spent.get(name, {}).values())
            left = pot.limit - others.spent(name, pot) - others.held(name, pot, now) - mine - aside
            free = grant(left, needs.get(name, 0), more.get(name, 0), others.holders(pot, now) + 1)
            known = self.free.get(name, 0)
            self.free[name] = min(known, free)
            beyond[name] = free - self.free[name]
            held[name] = aside + free
        lease = Lease(self.since, now, {name: amount for name, amount in held.items() if amount}, spent)
        return Proposal(shares.renewed(self.instance, lease, pots), beyond, now)

    def propose_leaving(self, shares: Shares, pots: Mapping[str, Pot], now: float) -> Proposal:
        """The row without this instance's lease, and with what it spent; nothing is free from here on.

        It must be `leased`: what the row has no lease of could be counted twice.
        """
        self._notice(shares, now)
        self.free = {name: min(free, 0) for name, free in self.free.items()}
        if not self.leased:
            return Proposal(shares, {}, now, leaves=True)
        self.leaving = self._counting(pots)
        return Proposal(shares.folded(self.instance, pots, self.leaving), {}, now, leaves=True)

    def accept(self, proposal: Proposal, now: float) -> None:
        """The row is written."""
        if proposal.leaves:
            if self.leased:
                self._gone(now)
            return
        self.leased, self.leaving, self.renewed_at = True, None, proposal.at
        for name, amount in proposal.more.items():
            self.free[name] = self.free.get(name, 0) + amount

    def _notice(self, shares: Shares, now: float) -> None:
        """The lease is not there any more: it was given up here, or this instance was taken for dead."""
        if self.leased and self.instance not in shares.leases:
            self._gone(now)

    def _gone(self, now: float) -> None:
        """The row has no lease, and what it spent is closed there."""
        if self.leaving is None:
            self.spent = {}
        for name, buckets in (self.leaving or {}).items():
            for bucket, amount in buckets.items():
                self._spend(name, -amount, bucket)
        self.free = {name: min(free, 0) for name, free in self.free.items()}
        self.leased, self.leaving, self.since = False, None, now

    def _spend(self, name: str, amount: int, bucket: int) -> None:
        buckets = self.spent.setdefault(name, {})
        buckets[bucket] = buckets.get(bucket, 0) + amount
        if not buckets[bucket]:
            del buckets[bucket]
        if not buckets:
            del self.spent[name]

    def _counting(self, pots: Mapping[str, Pot]) -> dict[str, dict[int, int]]:
        """What it spent that counts; the rest is forgotten."""
        kept = {
            name: {bucket: amount for bucket, amount in buckets.items() if bucket >= pots[name].first}
            for name, buckets in self.spent.items()
            if name in pots
        }
        self.spent = {name: buckets for name, buckets in kept.items() if buckets}
        return {name: dict(buckets) for name, buckets in self.spent.items()}
