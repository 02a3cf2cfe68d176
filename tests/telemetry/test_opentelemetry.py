"""What OpenTelemetry is told, by a tracer and a meter that remember; and that nothing is told where nobody listens."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, NoOpMeter
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer

from shared.telemetry import CallRecord, Tried
from shared.telemetry.counters import Counters
from shared.telemetry.opentelemetry import OpenTelemetry, wanted
from shared.telemetry.readings import GAUGES, Reading

ROOT = Path(__file__).resolve().parents[2]
NOW_NS = 2_000_000_000
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class KeptSpan(NonRecordingSpan):
    """A span that remembers what it was told."""

    def __init__(self, name: str, context: Context | None, kind: SpanKind, attributes: Any, start: int | None) -> None:
        super().__init__(SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(1)))
        self.name, self.context, self.kind, self.start = name, context, kind, start
        self.attributes: dict[str, Any] = dict(attributes or {})
        self.events: list[tuple[str, Any]] = []
        self.status = StatusCode.UNSET
        self.ended_at: int | None = None

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self.events.append((name, attributes))

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        self.status = status.status_code if isinstance(status, Status) else status

    def end(self, end_time: int | None = None) -> None:
        self.ended_at = end_time


class KeptTracer(Tracer):
    """Remembers its spans."""

    def __init__(self) -> None:
        self.spans: list[KeptSpan] = []

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Any = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        span = KeptSpan(name, context, kind, attributes, start_time)
        self.spans.append(span)
        return span

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a span of a call is made when it has ended")


@dataclass
class KeptHistogram:
    """Remembers its values with their attributes."""

    unit: str
    bounds: Sequence[float]
    values: list[tuple[float, Mapping[str, Any]]] = field(default_factory=list)

    def record(self, amount: float, attributes: Any = None, context: Context | None = None) -> None:
        self.values.append((amount, attributes))


class KeptMeter(NoOpMeter):
    """Remembers its histograms, and the callbacks of its counters and gauges."""

    def __init__(self) -> None:
        super().__init__("test")
        self.histograms: dict[str, KeptHistogram] = {}
        self.observed: dict[str, Callable[[CallbackOptions], Any]] = {}

    def create_histogram(self, name: str, unit: str = "", description: str = "", **more: Any) -> Any:
        self.histograms[name] = KeptHistogram(unit, more["explicit_bucket_boundaries_advisory"])
        return self.histograms[name]

    def create_observable_counter(self, name: str, callbacks: Any = None, *args: Any, **more: Any) -> Any:
        self.observed[name] = callbacks[0]

    def create_observable_gauge(self, name: str, callbacks: Any = None, *args: Any, **more: Any) -> Any:
        self.observed[name] = callbacks[0]

    def read(self, name: str) -> list[tuple[float, Mapping[str, Any]]]:
        """What an exporter would read of a counter or gauge now."""
        return [(one.value, one.attributes or {}) for one in self.observed[name](CallbackOptions())]


@dataclass
class World:
    tracer: KeptTracer
    meter: KeptMeter
    counters: Counters
    told: OpenTelemetry

    def ended(self, **values: Any) -> KeptSpan:
        """Tells of a call; its span."""
        record = chat(**values)
        self.counters.count(record)
        self.told.ended(record, None)
        return self.tracer.spans[-1]


@pytest.fixture
def world() -> World:
    tracer, meter, counters = KeptTracer(), KeptMeter(), Counters()
    readings = [Reading("spillway_calls_under_way", 3)]
    told = OpenTelemetry(counters, lambda: readings, "w1", tracer=tracer, meter=meter, now_ns=lambda: NOW_NS)
    return World(tracer, meter, counters, told)


def chat(**values: Any) -> CallRecord:
    """A good streamed chat of a second and a half."""
    told: dict[str, Any] = {
        "model": "chat",
        "deployment": "gpt-4o",
        "deployment_id": "east",
        "provider": "azure",
        "response_model": "gpt-4o-2024-11-20",
        "stream": True,
        "attempts": 1,
        "status": 200,
        "duration_ms": 1500.0,
        "first_byte_ms": 250.0,
        "prompt_tokens": 10,
        "cached_tokens": 4,
        "completion_tokens": 5,
        "usage_source": "upstream",
        "cost_usd": 0.5,
        "key_alias": "team-a",
        "tried": (Tried("gpt-4o", "east"),),
    }
    return CallRecord("call_1", "chat_completions", "key_1", **(told | values))


def test_a_call_is_a_client_s_span_of_the_genai_conventions(world: World) -> None:
    span = world.ended()
    assert (span.name, span.kind) == ("chat chat", SpanKind.CLIENT)
    assert (span.start, span.ended_at) == (NOW_NS - 1_500_000_000, NOW_NS)
    assert (
        span.attributes
        | {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "azure.ai.openai",
            "gen_ai.request.model": "chat",
            "gen_ai.response.model": "gpt-4o-2024-11-20",
            "gen_ai.request.stream": True,
            "gen_ai.response.time_to_first_chunk": 0.25,
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.cache_read.input_tokens": 4,
            "spillway.cost_usd": 0.5,
            "spillway.key_alias": "team-a",
            "spillway.model_id": "east",
        }
        == span.attributes
    )


def test_a_span_tells_no_address_and_no_content(world: World) -> None:
    attributes = world.ended().attributes
    assert not [name for name in attributes if name.startswith(("server.", "url.", "gen_ai.input", "gen_ai.output"))]


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("completions", "text_completion"),
        ("embeddings", "embeddings"),
        ("responses_create", "chat"),
        ("audio_speech",) * 2,
    ],
)
def test_an_operation_has_the_conventions_name_where_there_is_one(world: World, operation: str, name: str) -> None:
    record = chat()
    record.operation = operation
    world.told.ended(record, None)
    assert world.tracer.spans[-1].attributes["gen_ai.operation.name"] == name


def test_attempts_are_events_of_the_call_s_span(world: World) -> None:
    tried = (Tried("gpt-4o", "west", "rate_limit_exceeded", throttled=True), Tried("gpt-4o", "east"))
    span = world.ended(tried=tried, attempts=2)
    assert [(name, told["spillway.model_id"], told["error.type"]) for name, told in span.events] == [
        ("spillway.attempt", "west", "rate_limit_exceeded"),
        ("spillway.attempt", "east", ""),
    ]


@pytest.mark.parametrize("outcome", ["error", "broken"])
def test_a_call_that_failed_says_so_in_its_status(world: World, outcome: str) -> None:
    span = world.ended(outcome=outcome, code="stream_broken")
    assert (span.status, span.attributes["error.type"]) == (StatusCode.ERROR, "stream_broken")


def test_a_client_that_left_is_no_error(world: World) -> None:
    assert world.ended(outcome="disconnected").status is StatusCode.UNSET


def test_a_call_without_usage_tells_no_tokens(world: World) -> None:
    span = world.ended(usage_source="none", prompt_tokens=0, completion_tokens=0)
    assert not [name for name in span.attributes if name.startswith("gen_ai.usage")]
    assert world.meter.histograms["gen_ai.client.token.usage"].values == []


def test_durations_first_chunks_and_tokens_are_histograms_with_the_conventions_bounds(world: World) -> None:
    world.ended()
    duration = world.meter.histograms["gen_ai.client.operation.duration"]
    assert (duration.unit, duration.bounds[0], duration.bounds[-1]) == ("s", 0.01, 81.92)
    assert [value for value, _ in duration.values] == [1.5]
    assert [value for value, _ in world.meter.histograms["gen_ai.client.operation.time_to_first_chunk"].values] == [
        0.25
    ]
    tokens = world.meter.histograms["gen_ai.client.token.usage"].values
    assert [(value, told["gen_ai.token.type"]) for value, told in tokens] == [(10, "input"), (5, "output")]


def test_metrics_are_not_told_apart_by_what_any_caller_may_write(world: World) -> None:
    world.ended(model="whatever a caller writes", deployment="", deployment_id="", status=404, code="model_not_found")
    _, told = world.meter.histograms["gen_ai.client.operation.duration"].values[0]
    assert "whatever a caller writes" not in told.values()
    assert not [name for name in told if "key" in name]


def test_counters_are_read_when_they_are_exported(world: World) -> None:
    assert world.meter.read("spillway.calls") == []
    world.ended()
    who = {"spillway.deployment": "gpt-4o", "spillway.model_id": "east", "spillway.key": "team-a"}
    assert world.meter.read("spillway.calls") == [(1, {**who, "spillway.outcome": "ok"})]
    assert world.meter.read("spillway.cost") == [(0.5, who)]


def test_every_gauge_is_read_with_the_worker_s_name(world: World) -> None:
    assert {name.replace("_", ".", 1) for name in GAUGES} <= set(world.meter.observed)
    assert world.meter.read("spillway.calls_under_way") == [(3, {"spillway.worker": "w1"})]


def test_usage_that_comes_late_adds_tokens_and_no_span(world: World) -> None:
    world.told.ended(chat(late=True), None)
    assert world.tracer.spans == []
    assert len(world.meter.histograms["gen_ai.client.token.usage"].values) == 2


def test_a_call_belongs_to_the_trace_of_its_request(world: World) -> None:
    from opentelemetry import trace

    context = world.told.context({"traceparent": TRACEPARENT})
    assert trace.get_current_span(context).get_span_context().trace_id == int(TRACEPARENT[3:35], 16)


def test_the_invocation_s_own_trace_wins_over_the_request_s(world: World) -> None:
    from opentelemetry import trace

    invocation = SpanContext(7, 7, is_remote=True, trace_flags=TraceFlags(1))
    with trace.use_span(NonRecordingSpan(invocation)):
        context = world.told.context({"traceparent": TRACEPARENT})
    assert trace.get_current_span(context).get_span_context().trace_id == 7


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, False),
        ({"PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "false"}, False),
        ({"PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "true"}, True),
        ({"PYTHON_ENABLE_OPENTELEMETRY": "1"}, True),
    ],
)
def test_the_worker_s_own_switches_are_obeyed(environ: dict[str, str], told: bool) -> None:
    assert wanted(environ) is told


def test_nothing_deployed_configures_an_exporter() -> None:
    named = {
        name
        for folder in ("shared", "handlers")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [f"{node.module}.{alias.name}" for alias in node.names]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    forbidden = ("azure.monitor", "opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.instrumentation")
    assert not [name for name in named if name.startswith(forbidden)]


def test_a_gateway_that_nobody_listens_to_imports_no_tracing() -> None:
    script = """
import asyncio, sys
from shared import gateway
before = {name for name in sys.modules if name.startswith("opentelemetry")}
gateway.use(gateway.read_plan({"AZURE_API_BASE": "https://r.openai.azure.com", "AZURE_API_KEY": "k",
                               "SPILLWAY_MASTER_KEY": "sk-x"}))
async def main():
    gateway.current()
    await gateway.close_current()
asyncio.run(main())
print({name for name in sys.modules if name.startswith(("opentelemetry", "azure.monitor"))} - before)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout.strip() == "set()"
