from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.upstream.ratelimit import RETRY_AFTER_MS_MAX, Told, retry_after_ms, route_headers, told

NOW = 1_767_225_600.0  # Thu, 01 Jan 2026 00:00:00 GMT


@pytest.mark.parametrize(
    ("written", "wait_ms"),
    [("1", 1000), ("0.5", 500), ("45", 45_000), (" 2 ", 2000), ("60", 60_000), ("86400", 60_000), ("0.0001", 1)],
)
def test_seconds_become_milliseconds(written: str, wait_ms: int) -> None:
    assert retry_after_ms({"retry-after": written}, NOW) == wait_ms


@pytest.mark.parametrize("written", ["-1", "0", "", " ", "soon", "nan", "inf", "-inf", "1e400", "1e13", "1,5", "--"])
def test_a_wait_that_says_nothing_is_ignored(written: str) -> None:
    assert retry_after_ms({"retry-after": written}, NOW) is None


@pytest.mark.parametrize("written", ["-1", "0", "", "soon", "nan"])
def test_milliseconds_that_say_nothing_leave_it_to_the_seconds(written: str) -> None:
    assert retry_after_ms({"retry-after-ms": written, "retry-after": "3"}, NOW) == 3000


def test_milliseconds_beat_seconds() -> None:
    assert retry_after_ms({"retry-after-ms": "250", "retry-after": "1"}, NOW) == 250


def test_more_than_a_window_is_not_believed_in_milliseconds_either() -> None:
    assert retry_after_ms({"retry-after-ms": "86400000"}, NOW) == RETRY_AFTER_MS_MAX


def test_no_header_no_wait() -> None:
    assert retry_after_ms({}, NOW) is None


@pytest.mark.parametrize(
    ("written", "wait_ms"),
    [
        ("Thu, 01 Jan 2026 00:00:05 GMT", 5000),
        ("Thu, 01 Jan 2026 00:00:05", 5000),
        ("Thu, 01 Jan 2026 01:00:05 +0100", 5000),
        ("Fri, 02 Jan 2026 00:00:00 GMT", 60_000),
        ("Thu, 01 Jan 2026 00:00:00 GMT", None),
        ("Wed, 31 Dec 2025 00:00:00 GMT", None),
        ("Thu, 32 Jan 2026 00:00:00 GMT", None),
    ],
)
def test_a_date_is_compared_with_the_clock(written: str, wait_ms: int | None) -> None:
    assert retry_after_ms({"retry-after": written}, NOW) == wait_ms


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms"]), st.text()))
@example({"retry-after": "Thu, 01 Jan 2026 00:00:05 +99999999999999999999"})
@example({"retry-after": "Thu, 01 Jan 99999 00:00:05 GMT"})
@example({"retry-after": "Mon, 01 Jan 0001 00:00:00 +2300"})
def test_whatever_is_written_the_wait_is_none_or_sane(headers: dict[str, str]) -> None:
    found = retry_after_ms(headers, NOW)
    assert found is None or 1 <= found <= RETRY_AFTER_MS_MAX


def test_the_headers_of_a_route_are_passed_on() -> None:
    said = {
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": "99",
        "x-ratelimit-reset-requests": "10",
        "x-ratelimit-limit-tokens": "10000",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "0.5",
    }
    assert route_headers(said) == said


@pytest.mark.parametrize("written", ["-1", "", "n/a", "6m0s", "nan"])
def test_a_limit_that_says_nothing_is_left_out(written: str) -> None:
    assert route_headers({"x-ratelimit-remaining-tokens": written}) == {}


def test_no_other_header_is_one_of_the_route() -> None:
    assert route_headers({"x-ratelimit-owner": "1", "apim-request-id": "2"}) == {}


LIMITS = {"x-ratelimit-limit-tokens": "1000", "x-ratelimit-limit-requests": "10"}


def test_what_remains_is_told_with_its_limit_and_its_reset() -> None:
    left = {"x-ratelimit-remaining-tokens": "900", "x-ratelimit-remaining-requests": "9"}
    reset = {"x-ratelimit-reset-tokens": "30", "x-ratelimit-reset-requests": "0.5"}
    assert told(LIMITS | left | reset) == Told(1000, 10, 900, 9, 30.0, 0.5)


@pytest.mark.parametrize("written", ["-1", "1001", "", "many", "nan", "1e400"])
def test_what_cannot_remain_is_not_believed(written: str) -> None:
    assert told(LIMITS | {"x-ratelimit-remaining-tokens": written}).remaining_tokens is None


@pytest.mark.parametrize("limit", [None, "0", "-1", ""])
def test_without_a_limit_nothing_remains_to_be_believed(limit: str | None) -> None:
    headers = {"x-ratelimit-remaining-tokens": "0"} | ({} if limit is None else {"x-ratelimit-limit-tokens": limit})
    assert told(headers) == Told()


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("12", 12.0), ("6m0s", 60.0), ("20ms", 0.02), ("1m2.5s", 60.0), ("1s", 1.0), ("-1", 1.0), ("0", 1.0), ("x", 1.0)],
)
def test_a_reset_is_read_in_seconds_or_in_openais_words_and_is_a_minute_at_most(written: str, seconds: float) -> None:
    assert told(LIMITS | {"x-ratelimit-reset-tokens": written}).reset_tokens_s == seconds


@pytest.mark.parametrize(
    ("written", "percent"),
    [("12.3%", 12.3), ("100%", 100.0), (" 0 % ", 0.0), ("104.5", 104.5), ("-1", None), ("full", None), ("86400", None)],
)
def test_utilization_is_read_in_percent(written: str, percent: float | None) -> None:
    assert told({"azure-openai-deployment-utilization": written}).utilization == percent


@given(
    st.dictionaries(st.sampled_from([*LIMITS, "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]), st.text())
)
def test_whatever_is_written_what_is_told_is_sane(headers: dict[str, str]) -> None:
    found = told(headers)
    assert found.limit_tokens is None or found.limit_tokens >= 1
    assert found.remaining_tokens is None or 0 <= found.remaining_tokens <= (found.limit_tokens or 0)
    assert 0 < found.reset_tokens_s <= 60
