"""Plain counters of one instance, fed once per call when it has ended; whoever exports them reads them then.

    rows      per deployment and key      calls by outcome, tokens, cost, retries, spills, throttles
    timings   per operation and deployment  how long calls took, and their first byte
    codes     per error code

Everything has a named maximum: what comes after it is counted under `other`. Adding runs on the event loop; reading may
run on another thread, which sees each figure as it is at the moment.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from shared.telemetry.record import CallRecord

ROWS_MAX = 5000
TIMINGS_MAX = 1000
CODES_MAX = 200
OTHER = "other"
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Bounds of `gen_ai.client.operation.duration` in OpenTelemetry's GenAI conventions."""
FIRST_SECONDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Bounds of the time to the first chunk there."""


class Who(NamedTuple):
    """A deployment, by its name and id, and the key that asked: its alias where it has one."""

    deployment: str
    model_id: str
    key: str


class What(NamedTuple):
    """An operation at a deployment."""

    operation: str
    deployment: str
    model_id: str


@dataclass(slots=True)
class Row:
    """What one key had of one deployment. `outcomes` is calls by outcome; `unpriced` are those without a cost."""

    outcomes: dict[str, int] = field(default_factory=dict)
    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    attempts: int = 0
    retries: int = 0
    spills: int = 0
    throttles: int = 0


@dataclass(slots=True)
class Histogram:
    """Times in seconds. `counts` has one more place than `bounds`, for what is longer than the last."""

    bounds: Sequence[float]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, seconds: float) -> None:
        """Counts one."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[str, int]]:
        """Upper bounds and how many are not above them, as Prometheus wants them."""
        names = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        return list(zip(names, accumulate(self.counts), strict=True))


@dataclass(slots=True)
class Timing:
    """How long the calls of one operation took at one deployment; `first` only those that were streamed."""

    duration: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    first: Histogram = field(default_factory=lambda: Histogram(FIRST_SECONDS))


class Counters:
    """What this instance has counted since it started."""

    def __init__(self) -> None:
        self.rows: dict[Who, Row] = {}
        self.timings: dict[What, Timing] = {}
        self.codes: dict[str, int] = {}

    def count(self, record: CallRecord) -> None:
        """Counts a call that has ended."""
        key = record.key_alias or record.caller
        row = self._row(Who(record.deployment, record.deployment_id, key))
        row.prompt += record.prompt_tokens
        row.cached += record.cached_tokens
        row.completion += record.completion_tokens
        row.reasoning += record.reasoning_tokens
        if record.cost_usd is not None:
            row.cost_usd += record.cost_usd
        elif record.usage_source != "none":
            row.unpriced += 1
        if record.late:
            return
        row.outcomes[record.outcome] = row.outcomes.get(record.outcome, 0) + 1
        row.retries += max(0, record.attempts - 1)
        row.spills += record.spilled
        for one in record.tried:
            at = (
                row
                if one.deployment_id == record.deployment_id
                else self._row(Who(one.deployment, one.deployment_id, key))
            )
            at.attempts += 1
            at.throttles += one.throttled
        if record.code is not None:
            code = record.code if record.code in self.codes or len(self.codes) < CODES_MAX else OTHER
            self.codes[code] = self.codes.get(code, 0) + 1
        self._time(record)

    def _time(self, record: CallRecord) -> None:
        what = What(record.operation, record.deployment, record.deployment_id)
        timing = self.timings.get(what)
        if timing is None:
            if len(self.timings) >= TIMINGS_MAX:
                what = What(record.operation, OTHER, OTHER)
            timing = self.timings.setdefault(what, Timing())
        timing.duration.add(record.duration_ms / 1000)
        if record.stream and record.first_byte_ms is not None:
            timing.first.add(record.first_byte_ms / 1000)

    def _row(self, who: Who) -> Row:
        row = self.rows.get(who)
        if row is None:
            if len(self.rows) >= ROWS_MAX:
                who = Who(OTHER, OTHER, OTHER)
            row = self.rows.setdefault(who, Row())
        return row
