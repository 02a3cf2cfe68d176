"""An attempt in the ledger: opened before it is sent, closed when its outcome is known. Pure.

Every record of the log is a whole Entry, so that two records of one attempt are folded by taking the greater one:

    settled > unpriced > failed > unknown > open

`settled` has its cost, `unpriced` was used and has no price, `failed` was not billed, `unknown` may have been billed
and carries its estimate. A late settle wins over an unknown. Taking the greater is commutative, associative and
idempotent, whatever comes twice or late.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field, fields, replace
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Literal

from shared.ids import parse_call_id
from shared.usage.usage import Usage
from shared.values import replacer, statically_frozen

Status = Literal["open", "unknown", "failed", "unpriced", "settled"]
STATUSES: tuple[Status, ...] = ("open", "unknown", "failed", "unpriced", "settled")
"""By rank; a record has the index, so a new one goes where its rank is only with a new version of the encoding."""
RANK: Mapping[Status, int] = {status: rank for rank, status in enumerate(STATUSES)}
NOTHING: Mapping[str, Any] = MappingProxyType({})


@statically_frozen
@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt. Money in picodollars (1e-12 USD), times in seconds since 1970, durations in milliseconds.

    `model` is the public name, `deployment` the label of `deployment_id`. `estimate` and `reserved` are what it was
    expected to use and cost when it was sent, `usage` and `cost` what it did; usage is kept as `usage_fields` gives it.
    `reserved` and `cost` are None where there is no price. `continued`: a record of it, still open, is in an earlier
    segment.
    """

    entry_id: str
    operation: str
    key_id: str
    model: str
    started_at: float
    key_alias: str = ""
    tags: tuple[str, ...] = ()
    deployment: str = ""
    deployment_id: str = ""
    base_model: str = ""
    stream: bool = False
    estimate: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    reserved: int | None = None
    status: Status = "open"
    usage: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    cost: int | None = None
    price_source: str = ""
    http_status: int = 0
    code: str = ""
    outcome: str = ""
    ended_at: float = 0.0
    duration_ms: float = 0.0
    first_byte_ms: float | None = None
    request_id: str = ""
    continued: bool = field(default=False, compare=False)

    @property
    def is_open(self) -> bool:
        return self.status == "open"

    @property
    def call_id(self) -> str:
        return self.entry_id.rpartition(".")[0]

    @property
    def attempt(self) -> int:
        """Counted from 1; 1 for a line of a batch, whose id has no number."""
        number = self.entry_id.rpartition(".")[2]
        return int(number) if number.isdecimal() else 1


@dataclass(slots=True)
class Settlement:
    """How an attempt ended. `usage` and `cost` as in Entry; `status` is never `open`."""

    status: Status
    usage: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    cost: int | None = None
    price_source: str = ""
    http_status: int = 0
    code: str = ""
    outcome: str = ""
    first_byte_ms: float | None = None
    request_id: str = ""


_SETTLED = tuple(one.name for one in fields(Settlement))
_settled = attrgetter(*_SETTLED)
_USAGE = tuple((one.name, one.default) for one in fields(Usage) if one.compare)
_usage = attrgetter(*(name for name, _ in _USAGE))


changed = replacer(Entry)
"""The entry with other values."""


def closed(entry: Entry, settlement: Settlement, ended_at: float, *, continued: bool = False) -> Entry:
    """The entry with its end."""
    values = dict(zip(_SETTLED, _settled(settlement), strict=True))
    duration_ms = round(max(ended_at - entry.started_at, 0.0) * 1000, 3)
    return changed(entry, **values, ended_at=ended_at, duration_ms=duration_ms, continued=continued)


def given_up(entry: Entry, at: float) -> Entry:
    """An open entry whose instance is gone: it may have been billed, so it counts with its estimate."""
    end = Settlement(
        "unknown", usage=entry.estimate, cost=entry.reserved, price_source="estimate", code="instance_lost"
    )
    return closed(entry, end, max(at, entry.started_at))


def greater(one: Entry, other: Entry) -> Entry:
    """The one of two records of an attempt that counts."""
    if one.status != other.status:
        return max(one, other, key=lambda entry: RANK[entry.status])
    if one.ended_at != other.ended_at:
        return max(one, other, key=lambda entry: entry.ended_at)
    return max(one, other, key=_rest)


def fold(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Every attempt once, by its id, from records in any order and any number."""
    folded: dict[str, Entry] = {}
    for entry in entries:
        known = folded.get(entry.entry_id)
        folded[entry.entry_id] = entry if known is None else greater(known, entry)
    return folded


def usage_fields(usage: Usage) -> dict[str, Any]:
    """A usage as it is kept: the fields that say something. Fields that Usage gets later are kept as well."""
    return {name: value for (name, default), value in zip(_USAGE, _usage(usage), strict=True) if value != default}


def day_and_instance(entry_id: str) -> tuple[str, str]:
    """The day on which the entry's call started, and the instance that has it. Raises ValueError for a foreign id."""
    parts = parse_call_id(entry_id.rpartition(".")[0])
    if parts is None:
        raise ValueError(f"not an entry of an instance: {entry_id!r}")
    return parts[0], parts[1]


def _rest(entry: Entry) -> str:
    """An order among records of equal rank that were closed at once, so that any order of folding gives the same."""
    return repr(astuple(replace(entry, estimate=dict(entry.estimate), usage=dict(entry.usage), continued=False)))
