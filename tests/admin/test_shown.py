"""JSON or CSV, and what a cell may hold."""

from __future__ import annotations

import csv as reader
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.admin.shown import csv, usage_shown, wants_csv


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("text/csv", True),
        ("Text/CSV; charset=utf-8", True),
        ("text/csv, */*;q=0.1", True),
        ("application/json;q=0.5, text/csv", True),
        ("text/csv, application/json", True),
        ("text/csv;q=0.5, application/json", False),
        ("text/csv;q=0", False),
        ("text/csv;q=much", False),
        ("application/json", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_csv_is_given_to_who_prefers_it(accept: str, wanted: bool) -> None:
    assert wants_csv(accept) is wanted


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1"])
def test_a_formula_stands_behind_an_apostrophe(text: str) -> None:
    lines = csv(("name",), [[text]]).decode()
    assert next(reader.reader(io.StringIO(lines.split("\r\n", 1)[1], newline="")))[0] == f"'{text}"


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2)))
def test_any_text_comes_back_and_none_begins_as_a_formula(rows: list[list[str]]) -> None:
    told = csv(("one", "two"), rows).decode()
    read = list(reader.reader(io.StringIO(told, newline=""), strict=True))
    assert read[0] == ["one", "two"]
    for row, back in zip(rows, read[1:], strict=True):
        assert [cell in (text, f"'{text}") for text, cell in zip(row, back, strict=True)] == [True, True]
        assert not any(cell.lstrip()[:1] in tuple("=+-@") for cell in back)


def test_lines_end_as_the_rfc_has_it() -> None:
    assert csv(("a", "b"), [['say "no"', None], [7, "x,y"]]) == b'a,b\r\n"say ""no""",\r\n7,"x,y"\r\n'


def test_usage_has_the_names_of_openai() -> None:
    usage = {"prompt": 7, "completion": 5, "cached": 3, "reasoning": 2, "audio_prompt": 1, "seconds_milli": 1500}
    assert usage_shown({**usage, "images": 2, "tier": "flex", "source": "upstream"}) == {
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 2},
        "seconds": 1.5,
        "images": 2,
        "service_tier": "flex",
        "source": "upstream",
    }
