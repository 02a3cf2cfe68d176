"""The text that Prometheus scrapes, read back with its own parser."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from shared.telemetry import CallRecord, Tried
from shared.telemetry.counters import Counters
from shared.telemetry.prometheus import exposition
from shared.telemetry.readings import GAUGES, Reading

ROOT = Path(__file__).resolve().parents[2]

READINGS = [Reading("spillway_calls_under_way", 3), Reading("spillway_in_flight", 2, {"model_id": "east"})]


def samples(counters: Counters) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by its name and labels, the worker's left out."""
    body, _ = exposition(counters, READINGS, "w1", "")
    return {
        (sample.name, tuple((name, value) for name, value in sorted(sample.labels.items()) if name != "worker")): (
            sample.value
        )
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def counters() -> Counters:
    """One throttled and retried chat for a key whose alias has a quote in it."""
    found = Counters()
    tried = (Tried("gpt-4o", "west", "429", throttled=True), Tried("gpt-4o", "east"))
    found.count(
        CallRecord(
            "call_1",
            "chat_completions",
            "key_1",
            deployment="gpt-4o",
            deployment_id="east",
            key_alias='the "A" team',
            attempts=2,
            spilled=True,
            tried=tried,
            prompt_tokens=10,
            completion_tokens=5,
            usage_source="upstream",
            cost_usd=0.25,
            duration_ms=1500.0,
        )
    )
    return found


def test_every_counter_has_its_deployment_and_key() -> None:
    found = samples(counters())
    east = (("deployment", "gpt-4o"), ("key", 'the "A" team'), ("model_id", "east"))
    west = (*east[:2], ("model_id", "west"))
    assert found["spillway_calls_total", (*east, ("outcome", "ok"))] == 1
    assert found["spillway_tokens_total", (*east, ("type", "input"))] == 10
    assert found["spillway_tokens_total", (*east, ("type", "output"))] == 5
    assert found["spillway_cost_usd_total", east] == 0.25
    assert found["spillway_retries_total", east] == 1
    assert found["spillway_spills_total", east] == 1
    assert (found["spillway_throttles_total", west], found["spillway_throttles_total", east]) == (1, 0)


def test_a_duration_is_a_histogram_in_seconds() -> None:
    what = (("deployment", "gpt-4o"), ("model_id", "east"), ("operation", "chat_completions"))
    found = samples(counters())
    assert found["spillway_call_duration_seconds_bucket", tuple(sorted((*what, ("le", "1.28"))))] == 0
    assert found["spillway_call_duration_seconds_bucket", tuple(sorted((*what, ("le", "2.56"))))] == 1
    assert found["spillway_call_duration_seconds_sum", what] == 1.5
    assert found["spillway_call_duration_seconds_count", what] == 1


def test_readings_are_gauges_with_their_labels() -> None:
    found = samples(Counters())
    assert found["spillway_calls_under_way", ()] == 3
    assert found["spillway_in_flight", (("model_id", "east"),)] == 2


def test_every_sample_names_its_worker_so_that_instances_do_not_mix() -> None:
    body, _ = exposition(counters(), READINGS, "w1", "")
    lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
    assert all('worker="w1"' in line for line in lines)


def test_openmetrics_is_given_to_who_accepts_it() -> None:
    body, media_type = exposition(counters(), READINGS, "w1", "application/openmetrics-text; version=1.0.0")
    assert media_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_nothing_of_the_library_s_own_process_is_told() -> None:
    body, _ = exposition(Counters(), READINGS, "w1", "")
    names = {line.split()[2] for line in body.decode().splitlines() if line.startswith("# TYPE")}
    assert all(name.startswith("spillway_") for name in names)


def test_every_metric_is_documented() -> None:
    body, _ = exposition(Counters(), [Reading(name, 0) for name in GAUGES], "w1", "")
    kinds = [line.split()[2:] for line in body.decode().splitlines() if line.startswith("# TYPE")]
    page = (ROOT / "docs/telemetry.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(spillway_\w+)` \|", page, re.MULTILINE))
    assert {name for name, _ in kinds} == documented
