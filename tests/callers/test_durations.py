from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.callers.durations import Duration, after, parse, period


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("24h", 86_400), ("30d", 2_592_000), ("2w", 1_209_600), (" 7D ", 604_800)],
)
def test_litellms_durations_are_read(text: str, seconds: int) -> None:
    assert parse(text) == Duration(seconds=seconds)


def test_a_month_is_a_calendar_month() -> None:
    assert parse("1mo") == Duration(months=1)


@pytest.mark.parametrize("text", ["", "0d", "-1d", "1", "d", "1y", "1.5h", "1 d", "9999999999d", "99999w", "1201mo"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a duration such as"):
        parse(text)


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2025-01-15T10:00:00", 1, "2025-02-15T10:00:00"),
        ("2025-01-31T00:00:00", 1, "2025-02-28T00:00:00"),
        ("2024-01-31T00:00:00", 1, "2024-02-29T00:00:00"),
        ("2025-11-30T00:00:00", 3, "2026-02-28T00:00:00"),
    ],
)
def test_a_month_ends_on_the_same_day_or_the_last(start: str, months: int, end: str) -> None:
    assert after(at(start), Duration(months=months)) == at(end)


def test_a_shorter_month_does_not_shorten_those_after_it() -> None:
    assert after(at("2025-01-31T00:00:00"), Duration(months=1), 2) == at("2025-03-31T00:00:00")


def test_without_a_duration_the_period_never_ends() -> None:
    assert period(5.0, None, 10.0).ends_at is None


def test_a_period_begins_where_the_last_one_ends() -> None:
    assert period(100.0, Duration(seconds=60), 219.0).starts_at == 160.0
    assert period(100.0, Duration(seconds=60), 220.0).starts_at == 220.0


@given(
    anchor=st.floats(0, 4e9).map(lambda at: round(at, 3)),
    passed=st.floats(0, 4e8).map(lambda at: round(at, 3)),
    duration=st.one_of(
        st.integers(1, 10**8).map(lambda seconds: Duration(seconds=seconds)),
        st.integers(1, 40).map(lambda months: Duration(months=months)),
    ),
)
def test_every_moment_is_in_its_period(anchor: float, passed: float, duration: Duration) -> None:
    now = round(anchor + passed, 3)
    found = period(anchor, duration, now)
    assert found.ends_at is not None
    assert found.starts_at <= now < found.ends_at
    assert period(anchor, duration, found.starts_at).starts_at == found.starts_at


def test_before_its_beginning_the_first_period_counts() -> None:
    assert period(100.0, Duration(seconds=60), 50.0).starts_at == 100.0
