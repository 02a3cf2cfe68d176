"""What a query asks for, and what is said of one that means nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.admin.asking import DATES, known, number, span
from shared.errors import BadRequest

NOON = 1_782_907_200.0
"""2026-07-01 12:00 UTC."""


def test_thirty_days_end_today() -> None:
    assert span({}, NOON).days == ("20260602", "20260701")


def test_a_first_day_alone_lasts_until_today() -> None:
    assert span({"start_date": "2026-06-30"}, NOON).days == ("20260630", "20260701")


def test_a_first_day_that_is_still_to_come_is_the_last_too() -> None:
    assert span({"start_date": "2026-08-01"}, NOON).days == ("20260801", "20260801")


def test_a_last_day_alone_has_as_many_before_it() -> None:
    assert span({"end_date": "2026-05-10"}, NOON, 10).days == ("20260501", "20260510")


@pytest.mark.parametrize(
    ("query", "param", "says"),
    [
        ({"start_date": "2026-7-1"}, "start_date", "`2026-7-1` is not a date such as 2026-07-31"),
        ({"end_date": "20260701"}, "end_date", "`20260701` is not a date"),
        ({"end_date": "2026-02-30"}, "end_date", "is not a date"),
        ({"end_date": "2026-07-01T00:00:00"}, "end_date", "is not a date"),
        ({"start_date": "0001-01-01"}, "start_date", "is not a date"),
        ({"start_date": "2026-07-02", "end_date": "2026-07-01"}, "start_date", "is after `end_date`"),
        ({"start_date": "2020-01-01", "end_date": "2026-07-01"}, "start_date", "more than the 400 of one report"),
    ],
)
def test_days_that_mean_nothing_are_refused(query: dict[str, str], param: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as refused:
        span(query, NOON)
    assert refused.value.param == param


@given(st.dictionaries(st.sampled_from(DATES), st.text(max_size=12)))
def test_no_text_as_a_date_breaks_anything(query: dict[str, str]) -> None:
    try:
        found = span(query, NOON)
    except BadRequest as refused:
        param = refused.param
    else:
        param, _ = "start_date", found.days
    assert param in DATES


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "ten", "101", "9" * 40, "\u0661", ""])
def test_a_number_out_of_its_bounds_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="whole number from 1 to 100"):
        number({"limit": text}, "limit", 10, 100)


def test_a_number_that_is_not_there_is_the_default() -> None:
    assert number({}, "limit", 10, 100) == 10


def test_a_parameter_of_no_report_is_refused_by_name() -> None:
    with pytest.raises(BadRequest, match="`user_id` is no parameter of this report; it has `model`, `tag`") as refused:
        known({"user_id": "u1"}, ("model", "tag"))
    assert refused.value.param == "user_id"


def test_an_api_version_and_an_empty_value_say_nothing() -> None:
    assert known({"api-version": "2024-10-21", "model": "", "tag": "t"}, ("model", "tag")) == {"tag": "t"}
