"""What a key's limits have left, shared out to the instances that serve it: one row a key. Pure.

Each limit is a pot: money in a budget's period, requests and tokens in a minute, calls at once. An instance takes a
share of it before it lets a call have any, so that at every moment, whatever is written late, twice or never,

    spent in the pot's window + held by the instances ≤ limit

and an instance never sets aside or spends more than it holds. What it spends is counted in buckets of time, as sums
since it came: writing them twice changes nothing. What it holds and does not need goes back.

Beside the instances, tasks hold money: batches and fine-tuning jobs, which go on without any (tasks.py).

An instance that is gone holds its share of a budget until its attempts have been entered as spent (`folded`); its
share of what passes within a minute, or ends with it, lapses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import orjson

from shared.callers.virtual_key import VirtualKey

BUDGET, REQUESTS, TOKENS, PARALLEL = "budget", "requests", "tokens", "parallel"
MINUTE_S = 60
BUCKET_S = 5
LAPSE_S = 90.0
"""A share that passes within a minute is not held any more by who has not renewed it for so long."""
HOLDERS_MAX = 400
PAST = -1
"""The bucket of what a task spent in periods that are over."""
PART = 4
"""Beyond what it needs now, an instance takes no more than this part of what is left, divided by the instances."""
Amounts = Mapping[str, int]
Buckets = Mapping[str, Mapping[int, int]]
_NONE: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Pot:
    """One limit as it is now; `limit` None: everything is only counted. What is spent goes into `bucket`, what was
    spent in buckets from `first` on counts, with `base` beside it. `lapses`: see LAPSE_S."""

    limit: int | None
    bucket: int
    first: int
    base: int = 0
    lapses: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """What one instance has: `held` and not spent, `spent` by bucket since `since`; renewed `at`. Times are seconds
    since 1970 by the instance's own clock."""

    since: float
    at: float
    held: Amounts = field(default_factory=lambda: _NONE)
    spent: Buckets = field(default_factory=lambda: _NONE)


@dataclass(frozen=True, slots=True)
class Task:
    """What goes on without an instance: `amount` was set aside, of which so much is `spent`, by bucket."""

    amount: int
    spent: Mapping[int, int] = field(default_factory=lambda: _NONE)

    @property
    def held(self) -> int:
        """What is still set aside for it."""
        return max(0, self.amount - sum(self.spent.values()))


@dataclass(frozen=True, slots=True)
class Shares:
    """The row: what instances that are gone and tasks that are over have spent, the leases of the other instances, and
    the other tasks, which hold money alone."""

    closed: Buckets = field(default_factory=lambda: _NONE)
    leases: Mapping[str, Lease] = field(default_factory=lambda: _NONE)
    tasks: Mapping[str, Task] = field(default_factory=lambda: _NONE)

    def spent(self, name: str, pot: Pot) -> int:
        """What counts as spent."""
        books = [self.closed, *(lease.spent for lease in self.leases.values())]
        mine = sum(_counted(task.spent, pot) for task in self.tasks.values()) if name == BUDGET else 0
        return pot.base + mine + sum(_counted(book.get(name, _NONE), pot) for book in books)

    @property
    def kept(self) -> int:
        """The money that tasks hold."""
        return sum(task.held for task in self.tasks.values())

    def held(self, name: str, pot: Pot, now: float) -> int:
        """What is held beside it."""
        mine = self.kept if name == BUDGET else 0
        return mine + sum(lease.held.get(name, 0) for lease in self._living(pot, now))

    def holders(self, pot: Pot, now: float) -> int:
        """How many instances share the pot."""
        return len(self._living(pot, now))

    def without(self, instance: str) -> Shares:
        """The row without an instance's lease."""
        return replace(self, leases={one: lease for one, lease in self.leases.items() if one != instance})

    def renewed(self, instance: str, lease: Lease, pots: Mapping[str, Pot]) -> Shares:
        """The row with an instance's lease, and without what does not count any more."""
        return replace(self, closed=_recent(self.closed, pots), leases={**self.leases, instance: lease})

    def folded(self, instance: str, pots: Mapping[str, Pot], spent: Buckets | None = None) -> Shares:
        """The row when the instance holds nothing any more: what it spent (`spent`, where that is known better) is
        closed. Changes nothing when it is."""
        lease = self.leases.get(instance)
        if lease is None:
            return self
        closed = {name: dict(buckets) for name, buckets in self.closed.items()}
        for name, buckets in (lease.spent if spent is None else spent).items():
            mine = closed.setdefault(name, {})
            for bucket, amount in buckets.items():
                mine[bucket] = mine.get(bucket, 0) + amount
        return replace(self.without(instance), closed=_recent(closed, pots))

    def begun(self, task: str, amount: int) -> Shares:
        """The row with so much set aside for a task."""
        return replace(self, tasks={**self.tasks, task: Task(amount)})

    def booked(self, task: str, pot: Pot, cost: int, whole: bool) -> Shares:
        """The row when a task has cost so much in all; `whole`: nothing more is held for it. Changes nothing when that
        is known, or the task is over."""
        known = self.tasks.get(task)
        if known is None:
            return self
        spent = dict(known.spent)
        gone = [bucket for bucket in spent if bucket < pot.first]
        more = max(0, cost - sum(spent.values()))
        for bucket, amount in ((PAST, sum(spent.pop(one) for one in gone)), (pot.bucket, more)):
            if amount:
                spent[bucket] = spent.get(bucket, 0) + amount
        return replace(self, tasks={**self.tasks, task: Task(0 if whole else known.amount, spent)})

    def ended(self, task: str, pots: Mapping[str, Pot]) -> Shares:
        """The row when a task is over: what it spent is closed."""
        known = self.tasks.get(task)
        if known is None:
            return self
        mine = dict(self.closed.get(BUDGET, _NONE))
        for bucket, amount in known.spent.items():
            mine[bucket] = mine.get(bucket, 0) + amount
        tasks = {one: other for one, other in self.tasks.items() if one != task}
        return replace(self, closed=_recent({**self.closed, BUDGET: mine}, pots), tasks=tasks)

    def _living(self, pot: Pot, now: float) -> list[Lease]:
        return [one for one in self.leases.values() if not pot.lapses or now - one.at < LAPSE_S]


EMPTY = Shares()


def pots_of(key: VirtualKey, now: float) -> dict[str, Pot]:
    """The pots of a key. That of its money is always there, so that what it spends is known."""
    period = key.period(now)
    bucket = round(period.starts_at * 1000)
    base = key.spent if period.starts_at == key.budget_from else 0
    pots = {BUDGET: Pot(key.max_budget, bucket, bucket, base)}
    second = int(now // BUCKET_S)
    first = second - MINUTE_S // BUCKET_S
    for name, limit in ((REQUESTS, key.rpm_limit), (TOKENS, key.tpm_limit)):
        if limit is not None:
            pots[name] = Pot(limit, second, first, lapses=True)
    if key.max_parallel_requests is not None:
        pots[PARALLEL] = Pot(key.max_parallel_requests, 0, 1, lapses=True)
    return pots


@dataclass(slots=True)
class CurrentPots:
    """The pots of a key, looked up again when it, or a bucket of its limits, is another."""

    _key: VirtualKey | None = None
    _pots: Mapping[str, Pot] = field(default_factory=lambda: _NONE)
    _from: float = 0.0
    _until: float = 0.0

    def of(self, key: VirtualKey, now: float) -> Mapping[str, Pot]:
        """The limits of the key as they are now."""
        if key is not self._key or not self._from <= now < self._until:
            ends_at = key.period(now).ends_at
            self._key, self._pots, self._from = key, pots_of(key, now), now
            self._until = min((now // BUCKET_S + 1) * BUCKET_S, ends_at or float("inf"))
        return self._pots


def grant(left: int, need: int, more: int, holders: int) -> int:
    """How much of what is left an instance takes: what it needs, and `more` of it for soon, within its part."""
    needed = min(max(left, 0), need)
    return needed + min(max(more, 0), max(left - needed, 0) // (PART * max(holders, 1)))


def room_at(shares: Shares, name: str, pot: Pot, amount: int) -> float | None:
    """When so much of what was spent will count no more, in seconds since 1970; None when that is not to be told."""
    if pot.limit is None:
        return None
    sums: dict[int, int] = {}
    for book in (shares.closed, *(lease.spent for lease in shares.leases.values())):
        for bucket, spent in book.get(name, _NONE).items():
            if bucket >= pot.first:
                sums[bucket] = sums.get(bucket, 0) + spent
    over = sum(sums.values()) + min(amount, pot.limit) - pot.limit
    for bucket in sorted(sums):
        over -= sums[bucket]
        if over <= 0:
            return float((bucket + pot.bucket - pot.first + 1) * BUCKET_S)
    return None


def packed(shares: Shares) -> bytes:
    """As the row keeps it."""
    leases = {
        instance: [lease.since, lease.at, dict(lease.held), _named(lease.spent)]
        for instance, lease in shares.leases.items()
    }
    tasks = {name: [task.amount, _texts(task.spent)] for name, task in shares.tasks.items()}
    return orjson.dumps({"closed": _named(shares.closed), "leases": leases, **({"tasks": tasks} if tasks else {})})


def unpacked(raw: bytes) -> Shares:
    """From the row."""
    read = orjson.loads(raw)
    return Shares(
        _numbered(read["closed"]),
        {
            instance: Lease(since, at, held, _numbered(spent))
            for instance, (since, at, held, spent) in read["leases"].items()
        },
        {name: Task(amount, _numbers(spent)) for name, (amount, spent) in read.get("tasks", _NONE).items()},
    )


def _counted(buckets: Mapping[int, int], pot: Pot) -> int:
    return sum(amount for bucket, amount in buckets.items() if bucket >= pot.first)


def _recent(books: Buckets, pots: Mapping[str, Pot]) -> Buckets:
    """The buckets that count, of pots that there are."""
    kept = {
        name: {bucket: amount for bucket, amount in buckets.items() if bucket >= pots[name].first}
        for name, buckets in books.items()
        if name in pots
    }
    return {name: buckets for name, buckets in kept.items() if buckets}


def _named(books: Buckets) -> dict[str, dict[str, int]]:
    return {name: _texts(one) for name, one in books.items() if one}


def _numbered(books: Mapping[str, Mapping[str, int]]) -> dict[str, dict[int, int]]:
    return {name: _numbers(one) for name, one in books.items()}


def _texts(buckets: Mapping[int, int]) -> dict[str, int]:
    return {str(bucket): amount for bucket, amount in buckets.items()}


def _numbers(buckets: Mapping[str, int]) -> dict[int, int]:
    return {int(bucket): amount for bucket, amount in buckets.items()}
