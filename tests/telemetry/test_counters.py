"""Counters of calls: who had what, within bounds."""

from __future__ import annotations

from typing import Any

import pytest

from shared.telemetry import CallRecord, Tried, counters
from shared.telemetry.counters import Counters, Histogram, Row, What, Who

EAST = Who("gpt-4o", "east", "team-a")


def record(**values: Any) -> CallRecord:
    """A good chat of one attempt at `east` for team-a."""
    told = {"deployment": "gpt-4o", "deployment_id": "east", "key_alias": "team-a", "attempts": 1, **values}
    return CallRecord("call_1", "chat_completions", "key_1", **told)


def counted(*records: CallRecord) -> Counters:
    found = Counters()
    for one in records:
        found.count(one)
    return found


def test_a_call_is_counted_for_its_deployment_and_key() -> None:
    once = record(
        prompt_tokens=10,
        cached_tokens=4,
        completion_tokens=5,
        reasoning_tokens=2,
        cost_usd=0.5,
        usage_source="upstream",
    )
    found = counted(once, once)
    assert found.rows == {
        EAST: Row({"ok": 2}, prompt=20, cached=8, completion=10, reasoning=4, cost_usd=1.0),
    }


def test_a_key_without_an_alias_goes_by_its_id() -> None:
    assert list(counted(record(key_alias="")).rows) == [Who("gpt-4o", "east", "key_1")]


def test_a_call_with_usage_and_no_price_is_unpriced_and_one_without_usage_is_not() -> None:
    assert counted(record(usage_source="upstream"), record()).rows[EAST].unpriced == 1


def test_outcomes_and_codes_are_told_apart() -> None:
    found = counted(record(outcome="broken", code="stream_broken"), record(outcome="error", code="429"), record())
    assert found.rows[EAST].outcomes == {"broken": 1, "error": 1, "ok": 1}
    assert found.codes == {"stream_broken": 1, "429": 1}


def test_a_throttle_is_the_deployment_s_that_said_so_and_the_retry_is_the_call_s() -> None:
    tried = (Tried("gpt-4o", "west", "rate_limit_exceeded", throttled=True), Tried("gpt-4o", "east"))
    found = counted(record(attempts=2, tried=tried, spilled=True))
    west = found.rows[Who("gpt-4o", "west", "team-a")]
    assert (west.attempts, west.throttles, west.outcomes) == (1, 1, {})
    east = found.rows[EAST]
    assert (east.attempts, east.throttles, east.retries, east.spills) == (1, 0, 1, 1)


def test_usage_that_comes_late_adds_tokens_and_no_call() -> None:
    found = counted(record(), record(late=True, prompt_tokens=7, usage_source="upstream", cost_usd=0.1))
    assert found.rows[EAST] == Row({"ok": 1}, prompt=7, cost_usd=0.1)
    assert sum(found.timings[What("chat_completions", "gpt-4o", "east")].duration.counts) == 1


def test_times_are_counted_up_to_and_with_their_bounds() -> None:
    histogram = Histogram((1.0, 2.0))
    for seconds in (0.5, 1.0, 1.5, 9.0):
        histogram.add(seconds)
    assert histogram.cumulative() == [("1", 2), ("2", 3), ("+Inf", 4)]
    assert histogram.total == 12.0


def test_the_first_byte_is_counted_of_streams_alone() -> None:
    found = counted(record(stream=True, first_byte_ms=20.0), record(stream=False, first_byte_ms=20.0))
    timing = found.timings[What("chat_completions", "gpt-4o", "east")]
    assert (sum(timing.first.counts), sum(timing.duration.counts)) == (1, 2)


def test_more_keys_than_rows_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "ROWS_MAX", 2)
    found = counted(*(record(key_alias=f"k{number}") for number in range(5)), record(key_alias="k0"))
    assert {who.key: sum(row.outcomes.values()) for who, row in found.rows.items()} == {"k0": 2, "k1": 1, "other": 3}


def test_more_codes_and_timings_than_their_bounds_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "CODES_MAX", 1)
    monkeypatch.setattr(counters, "TIMINGS_MAX", 1)
    found = counted(*(record(code=f"c{number}", deployment_id=f"d{number}") for number in range(3)))
    assert found.codes == {"c0": 1, "other": 2}
    assert {what.model_id: sum(one.duration.counts) for what, one in found.timings.items()} == {"d0": 1, "other": 2}
