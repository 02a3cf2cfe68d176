from __future__ import annotations

from typing import Any

import pytest

from shared.usage.usage import Usage, chat_usage


def test_all_four_figures_are_read() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 12},
    }
    assert chat_usage({"usage": usage}) == Usage(100, 20, cached=64, reasoning=12)


def test_details_may_be_absent() -> None:
    assert chat_usage({"usage": {"prompt_tokens": 1, "completion_tokens": 2}}) == Usage(1, 2)


@pytest.mark.parametrize("details", [None, [], "x", {}, {"cached_tokens": None}, {"cached_tokens": -1}])
def test_details_that_say_nothing_count_nothing(details: Any) -> None:
    assert chat_usage({"usage": {"prompt_tokens": 1, "prompt_tokens_details": details}}) == Usage(1, 0)


def test_a_prompt_that_was_filtered_has_no_completion() -> None:
    assert chat_usage({"usage": {"prompt_tokens": 7, "total_tokens": 7}}) == Usage(7, 0)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"usage": None},
        {"usage": {}},
        {"usage": []},
        {"usage": {"completion_tokens": 3}},
        {"usage": {"prompt_tokens": "7"}},
        {"usage": {"prompt_tokens": -1}},
        {"usage": {"prompt_tokens": 1.5}},
        {"usage": {"prompt_tokens": True}},
        [],
        None,
        "usage",
    ],
)
def test_usage_that_cannot_be_read_is_none(payload: Any) -> None:
    assert chat_usage(payload) is None


def test_usage_comes_from_upstream_unless_it_says_otherwise() -> None:
    assert (Usage(1, 2).source, Usage(1, 2, source="estimated").source) == ("upstream", "estimated")
