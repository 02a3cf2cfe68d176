"""Counters and readings as Prometheus reads them. Only who asks for them pays for the library's import."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from shared.telemetry.counters import Counters, Histogram, Row, Who
from shared.telemetry.readings import GAUGES, Reading

if TYPE_CHECKING:
    from prometheus_client import Metric

_WHO = (*Who._fields, "worker")
_WHAT = ("operation", "deployment", "model_id", "worker")
_ROWS: dict[str, tuple[str, str]] = {
    "spillway_cost_usd": ("Cost of calls in USD.", "cost_usd"),
    "spillway_calls_unpriced": ("Calls with usage whose cost is not known.", "unpriced"),
    "spillway_attempts": ("Sends to a deployment; a call may need several.", "attempts"),
    "spillway_retries": ("Attempts after the first of their call.", "retries"),
    "spillway_spills": ("Calls that a deployment served because one before it was full.", "spills"),
    "spillway_throttles": ("Attempts that a deployment answered with a rate limit.", "throttles"),
}
"""Name without `_total`, help, and the field of a row."""
_TOKENS = {"input": "prompt", "cached": "cached", "output": "completion", "reasoning": "reasoning"}
"""`type` of tokens and the field of a row; cached ones are among the input, reasoning among the output."""


def exposition(counters: Counters, readings: Iterable[Reading], worker: str, accept: str) -> tuple[bytes, str]:
    """The text in the format that `accept` asks for, and its content type. `worker` names this instance.

    Takes a tenth of a second the first time: call it in a thread.
    """
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    class Collector:
        def collect(self) -> Iterator[Metric]:
            yield from _counted(counters, worker)
            yield from _timed(counters, worker)
            yield from _read(readings, worker)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _counted(counters: Counters, worker: str) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily

    rows = list(counters.rows.items())
    calls = CounterMetricFamily("spillway_calls", "Calls that have ended.", labels=(*_WHO, "outcome"))
    tokens = CounterMetricFamily("spillway_tokens", "Tokens, as the deployments counted them.", labels=(*_WHO, "type"))
    for who, row in rows:
        for outcome, count in list(row.outcomes.items()):
            calls.add_metric((*who, worker, outcome), count)
        for kind, name in _TOKENS.items():
            tokens.add_metric((*who, worker, kind), getattr(row, name))
    yield calls
    yield tokens
    for name, (told, field) in _ROWS.items():
        yield _family(name, told, field, rows, worker)
    codes = CounterMetricFamily("spillway_errors", "Calls that ended with an error.", labels=("code", "worker"))
    for code, count in list(counters.codes.items()):
        codes.add_metric((code, worker), count)
    yield codes


def _family(name: str, told: str, field: str, rows: list[tuple[Who, Row]], worker: str) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, told, labels=_WHO)
    for who, row in rows:
        family.add_metric((*who, worker), getattr(row, field))
    return family


def _timed(counters: Counters, worker: str) -> Iterator[Metric]:
    from prometheus_client.core import HistogramMetricFamily

    whole = HistogramMetricFamily("spillway_call_duration_seconds", "Time of whole calls.", labels=_WHAT)
    first = HistogramMetricFamily("spillway_first_byte_seconds", "Time to a stream's first data.", labels=_WHAT)
    for what, timing in list(counters.timings.items()):
        _add(whole, (*what, worker), timing.duration)
        if any(timing.first.counts):
            _add(first, (*what, worker), timing.first)
    yield whole
    yield first


def _add(family: Metric, labels: tuple[str, ...], histogram: Histogram) -> None:
    family.add_metric(labels, histogram.cumulative(), histogram.total)  # type: ignore[attr-defined]


def _read(readings: Iterable[Reading], worker: str) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    for name, of_name in groupby(readings, key=lambda one: one.name):
        some = list(of_name)
        family = GaugeMetricFamily(name, GAUGES[name], labels=(*some[0].labels, "worker"))
        for one in some:
            family.add_metric((*one.labels.values(), worker), one.value)
        yield family
