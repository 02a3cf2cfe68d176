"""What attempts come to, by day, key, model and deployment: sums that may be built and added in any order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NamedTuple

from shared.spend.entry import Entry

GROUPS_MAX = 5000
"""Of one source and day; what is beyond them is counted under `other`, so that invented model names fill no memory."""
OTHER = "other"
_THOUSANDTHS = "_milli"


class Group(NamedTuple):
    """What is counted together. `deployment` is its id."""

    day: str
    key_id: str
    model: str
    deployment: str


@dataclass(slots=True)
class Totals:
    """Sums of one group; money in picodollars. `calls` are first attempts, `attempts` all that are closed.

    `usage` sums every number of the entries' usage; fractions are counted in thousandths, under `…_milli`, so that no
    order of adding gives another sum. `key_alias` and `label` are names as they were last seen.
    """

    calls: int = 0
    attempts: int = 0
    settled: int = 0
    failed: int = 0
    unknown: int = 0
    unpriced: int = 0
    cost: int = 0
    duration_ms: int = 0
    usage: dict[str, int] = field(default_factory=dict)
    key_alias: str = ""
    label: str = ""

    def count(self, entry: Entry) -> None:
        """Adds a closed entry. One without a price is counted as `unpriced`, whatever else it is."""
        self.calls += entry.attempt == 1
        self.attempts += 1
        self.settled += entry.status == "settled"
        self.failed += entry.status == "failed"
        self.unknown += entry.status == "unknown"
        self.unpriced += entry.status == "unpriced" or (entry.cost is None and entry.status != "failed")
        self.cost += entry.cost or 0
        self.duration_ms += round(entry.duration_ms)
        for name, value in entry.usage.items():
            if isinstance(value, float) and isfinite(value):
                name, value = name + _THOUSANDTHS, round(value * 1000)
            if isinstance(value, int) and not isinstance(value, bool):
                self.usage[name] = self.usage.get(name, 0) + value
        self._name(entry.key_alias, entry.deployment)

    def add(self, other: Totals) -> None:
        """Adds what another has summed."""
        self.calls += other.calls
        self.attempts += other.attempts
        self.settled += other.settled
        self.failed += other.failed
        self.unknown += other.unknown
        self.unpriced += other.unpriced
        self.cost += other.cost
        self.duration_ms += other.duration_ms
        for name, value in other.usage.items():
            self.usage[name] = self.usage.get(name, 0) + value
        self._name(other.key_alias, other.label)

    def _name(self, key_alias: str, label: str) -> None:
        self.key_alias = max(self.key_alias, key_alias)  # the greater, so that the order does not matter
        self.label = max(self.label, label)

    def written(self) -> dict[str, Any]:
        """As JSON."""
        kept = {name: getattr(self, name) for name in SUMMED if getattr(self, name)}
        return {**kept, "usage": self.usage, "key_alias": self.key_alias, "label": self.label}

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Totals:
        """From JSON, also of a version that sums something else as well."""
        told = written.get
        return cls(
            calls=told("calls", 0),
            attempts=told("attempts", 0),
            settled=told("settled", 0),
            failed=told("failed", 0),
            unknown=told("unknown", 0),
            unpriced=told("unpriced", 0),
            cost=told("cost", 0),
            duration_ms=told("duration_ms", 0),
            usage=dict(told("usage") or {}),
            key_alias=told("key_alias", ""),
            label=told("label", ""),
        )


SUMMED = ("calls", "attempts", "settled", "failed", "unknown", "unpriced", "cost", "duration_ms")


class Sums:
    """Totals by group. `groups_max` bounds the groups; a group beyond them goes into `other` of its key."""

    def __init__(self, groups_max: int | None = GROUPS_MAX) -> None:
        self.groups: dict[Group, Totals] = {}
        self._max = groups_max

    def __iter__(self) -> Iterator[tuple[Group, Totals]]:
        return iter(self.groups.items())

    def __len__(self) -> int:
        return len(self.groups)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sums) and self.groups == other.groups

    __hash__ = None  # type: ignore[assignment]

    def count(self, day: str, entries: Iterable[Entry]) -> None:
        """Adds the closed entries among these."""
        for entry in entries:
            if not entry.is_open:
                group = Group(day, entry.key_id, entry.model, entry.deployment_id)
                self._totals(group).count(entry)

    def add(self, other: Sums) -> None:
        """Adds what another has summed."""
        for group, totals in other:
            self.add_one(group, totals)

    def take(self, other: Sums) -> None:
        """Adds what another has summed, which is given up for it: what was not known here is not copied."""
        for group, totals in other:
            self.take_one(group, totals)

    def take_one(self, group: Group, totals: Totals) -> None:
        """Adds one group's totals, which are given up for it."""
        known = self.groups.setdefault(self.placed(group), totals)
        if known is not totals:
            known.add(totals)

    def add_one(self, group: Group, totals: Totals) -> Group:
        """Adds one group's totals; the group that has them now."""
        known = self.groups.get(group)
        if known is None:
            group = self.placed(group)
            known = self._totals(group)
        known.add(totals)
        return group

    def placed(self, group: Group) -> Group:
        """The group as which this one is counted."""
        if group in self.groups or self._max is None or len(self.groups) < self._max:
            return group
        return Group(group.day, group.key_id, OTHER, OTHER)

    def written(self) -> list[Any]:
        """As JSON, in an order that does not depend on that of adding."""
        return [[*group, self.groups[group].written()] for group in sorted(self.groups)]

    def read(self, written: Iterable[Any]) -> None:
        """Adds what was written."""
        for day, key_id, model, deployment, totals in written:
            self.take_one(Group(day, key_id, model, deployment), Totals.read(totals))

    def _totals(self, group: Group) -> Totals:
        totals = self.groups.get(group)
        if totals is None:
            totals = self.groups.setdefault(self.placed(group), Totals())
        return totals
