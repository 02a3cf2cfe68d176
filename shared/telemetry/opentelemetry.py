"""Calls as OpenTelemetry spans and metrics, with the names of its GenAI semantic conventions.

Spillway configures no exporter. The Functions worker does, before the app is imported, when
`PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY` is true (Azure Monitor), or whoever sets `PYTHON_ENABLE_OPENTELEMETRY`
brings one. Without either nothing of OpenTelemetry is imported, and with one this only speaks to its API.

A span holds no content and no address: deployments go by their names in the configuration. Its attempts are events of
it, so that tokens are not counted twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from shared.telemetry.counters import FIRST_SECONDS, SECONDS, Counters
from shared.telemetry.readings import GAUGES, Readings
from shared.telemetry.record import CallRecord

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, Meter, Observation
    from opentelemetry.trace import Tracer

SWITCHES = ("PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY", "PYTHON_ENABLE_OPENTELEMETRY")
"""The worker's own settings (azure-functions-runtime, handle_event.py)."""
NAME = "spillway"
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
OPERATIONS = {
    "chat_completions": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "responses_create": "chat",
    "responses_background": "chat",
}
"""Well-known values of `gen_ai.operation.name`; every other operation has its own name."""
PROVIDERS = {"azure": "azure.ai.openai", "azure_text": "azure.ai.openai", "openai": "openai"}
_COUNTED: tuple[tuple[str, str, str, str], ...] = (
    ("spillway.cost", "cost_usd", "{USD}", "Cost of calls."),
    ("spillway.attempts", "attempts", "{attempt}", "Sends to a deployment."),
    ("spillway.retries", "retries", "{attempt}", "Attempts after the first of their call."),
    ("spillway.spills", "spills", "{call}", "Calls that a deployment served because one before it was full."),
    ("spillway.throttles", "throttles", "{attempt}", "Attempts that were answered with a rate limit."),
)


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether the worker, or whoever runs the app, exports what OpenTelemetry is told."""
    return any(environ.get(name, "").strip().lower() in {"true", "1"} for name in SWITCHES)


class OpenTelemetry:
    """Tells OpenTelemetry of calls. `tracer` and `meter` None are those of whoever configured it."""

    def __init__(
        self,
        counters: Counters,
        readings: Readings,
        worker: str,
        *,
        tracer: Tracer | None = None,
        meter: Meter | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Raises ModuleNotFoundError when OpenTelemetry's API is not installed."""
        from opentelemetry import metrics, trace

        self._now_ns = now_ns
        self._tracer = trace.get_tracer(NAME) if tracer is None else tracer
        meter = metrics.get_meter(NAME) if meter is None else meter
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "GenAI operation duration.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._first_chunk = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            "s",
            "Time to receive the first chunk.",
            explicit_bucket_boundaries_advisory=FIRST_SECONDS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=TOKENS,
        )
        _observe(meter, counters, readings, worker)

    def context(self, headers: Mapping[str, str]) -> Context:
        """What a call's span belongs to: the invocation that the worker tells of, else the request's `traceparent`."""
        from opentelemetry import context, propagate, trace

        if trace.get_current_span().get_span_context().is_valid:
            return context.get_current()
        return propagate.extract(headers)

    def ended(self, record: CallRecord, context: Context | None) -> None:
        """A call has ended."""
        if not record.late:
            self._span(record, context)
            self._duration.record(record.duration_ms / 1000, _error(_metric(record), record), context)
            if record.stream and record.first_byte_ms is not None:
                self._first_chunk.record(record.first_byte_ms / 1000, _metric(record), context)
        if record.usage_source != "none":
            for kind, count in (("input", record.prompt_tokens), ("output", record.completion_tokens)):
                self._tokens.record(count, {**_metric(record), "gen_ai.token.type": kind}, context)

    def _span(self, record: CallRecord, context: Context | None) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        end = self._now_ns()
        start = end - int(record.duration_ms * 1e6)
        operation = _operation(record)
        span = self._tracer.start_span(
            f"{operation} {record.model}" if record.model else operation,
            context,
            SpanKind.CLIENT,
            _attributes(record),
            start_time=start,
        )
        for number, one in enumerate(record.tried, 1):
            span.add_event(
                "spillway.attempt",
                {
                    "spillway.attempt": number,
                    "spillway.deployment": one.deployment,
                    "spillway.model_id": one.deployment_id,
                    "error.type": one.code or "",
                },
                end,
            )
        if record.outcome in {"error", "broken"}:
            span.set_status(Status(StatusCode.ERROR, record.code or ""))
        span.end(end)


def _operation(record: CallRecord) -> str:
    return OPERATIONS.get(record.operation, record.operation)


def _metric(record: CallRecord) -> dict[str, str]:
    """What every metric of a call is told apart by; a bounded number of values."""
    return {
        "gen_ai.operation.name": _operation(record),
        "gen_ai.provider.name": PROVIDERS.get(record.provider, NAME),
        # A model that no deployment has served may be any text of a caller's.
        **(
            {"gen_ai.request.model": record.model, "spillway.deployment": record.deployment}
            if record.deployment
            else {}
        ),
        **({"gen_ai.response.model": record.response_model} if record.response_model else {}),
    }


def _error(attributes: dict[str, str], record: CallRecord) -> dict[str, str]:
    return attributes if record.code is None else {**attributes, "error.type": record.code}


def _attributes(record: CallRecord) -> dict[str, str | int | float | bool]:
    """The attributes of a call's span."""
    found: dict[str, str | int | float | bool | None] = {
        "gen_ai.operation.name": _operation(record),
        "gen_ai.provider.name": PROVIDERS.get(record.provider, NAME),
        "gen_ai.request.model": record.model or None,
        "gen_ai.response.model": record.response_model or None,
        "gen_ai.request.stream": record.stream,
        "http.response.status_code": record.status,
        "error.type": record.code,
        "spillway.call_id": record.call_id,
        "spillway.outcome": record.outcome,
        "spillway.attempts": record.attempts,
        "spillway.spilled": record.spilled,
        "spillway.deployment": record.deployment or None,
        "spillway.model_id": record.deployment_id or None,
        "spillway.key": record.caller,
        "spillway.key_alias": record.key_alias or None,
        "spillway.cost_usd": record.cost_usd,
    }
    if record.stream and record.first_byte_ms is not None:
        found["gen_ai.response.time_to_first_chunk"] = record.first_byte_ms / 1000
    if record.usage_source != "none":
        found |= {
            "gen_ai.usage.input_tokens": record.prompt_tokens,
            "gen_ai.usage.output_tokens": record.completion_tokens,
            "gen_ai.usage.cache_read.input_tokens": record.cached_tokens,
            "gen_ai.usage.reasoning.output_tokens": record.reasoning_tokens,
            "spillway.usage_source": record.usage_source,
        }
    return {name: value for name, value in found.items() if value is not None}


def _observe(meter: Meter, counters: Counters, readings: Readings, worker: str) -> None:
    """Counters and gauges that are read when they are exported, so that a call pays nothing for them."""
    from opentelemetry.metrics import Observation

    def counter(field: str) -> Callable[[CallbackOptions], Iterator[Observation]]:
        def observe(options: CallbackOptions) -> Iterator[Observation]:
            for who, row in list(counters.rows.items()):
                yield Observation(getattr(row, field), _labels(who._asdict()))

        return observe

    def calls(options: CallbackOptions) -> Iterator[Observation]:
        for who, row in list(counters.rows.items()):
            for outcome, count in list(row.outcomes.items()):
                yield Observation(count, {**_labels(who._asdict()), "spillway.outcome": outcome})

    meter.create_observable_counter("spillway.calls", [calls], "{call}", "Calls that have ended.")
    for name, field, unit, told in _COUNTED:
        meter.create_observable_counter(name, [counter(field)], unit, told)
    for name, told in GAUGES.items():
        meter.create_observable_gauge(name.replace("_", ".", 1), [_gauge(name, readings, worker)], description=told)


def _gauge(name: str, readings: Readings, worker: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    from opentelemetry.metrics import Observation

    def observe(options: CallbackOptions) -> Iterator[Observation]:
        for one in readings():
            if one.name == name:
                yield Observation(one.value, {**_labels(one.labels), "spillway.worker": worker})

    return observe


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    return {f"{NAME}.{name}": value for name, value in labels.items()}
