from __future__ import annotations

from typing import Any

import pytest

from shared.usage.usage import (
    Usage,
    chat_usage,
    image_usage,
    response_usage,
    spoken_usage,
    transcription_usage,
    typed_usage,
)


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


def test_every_kind_of_token_of_a_chat_is_read_and_the_tier_that_served_it() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "prompt_tokens_details": {
            "cached_tokens": 40,
            "cache_write_tokens": 5,
            "audio_tokens": 30,
            "image_tokens": 7,
            "cached_tokens_details": {"audio_tokens": 10, "image_tokens": 2},
        },
        "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 20, "rejected_prediction_tokens": 9},
    }
    assert chat_usage({"service_tier": "priority", "usage": usage}) == Usage(
        100,
        50,
        cached=40,
        cache_write=5,
        audio_prompt=30,
        image_prompt=7,
        cached_audio=10,
        cached_image=2,
        reasoning=4,
        audio_completion=20,
        tier="priority",
    )


@pytest.mark.parametrize("tier", [None, 1, {}, []])
def test_a_tier_that_is_no_name_is_none(tier: Any) -> None:
    assert chat_usage({"service_tier": tier, "usage": {"prompt_tokens": 1}}) == Usage(1, 0)


@pytest.mark.parametrize("details", ["input_tokens_details", "input_token_details"])
def test_a_transcription_tells_audio_under_either_name(details: str) -> None:
    usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 45, details: {"text_tokens": 4, "audio_tokens": 10}}
    assert transcription_usage({"text": "a", "usage": usage}) == Usage(14, 45, audio_prompt=10)


def test_a_transcription_may_tell_seconds() -> None:
    assert transcription_usage({"usage": {"type": "duration", "seconds": 9}}) == Usage(0, 0, seconds=9.0)


def test_a_verbose_transcription_tells_its_duration() -> None:
    assert transcription_usage({"duration": 2.25}) == Usage(0, 0, seconds=2.25)


def test_what_is_told_wins_over_the_duration() -> None:
    told = {"duration": 2.25, "usage": {"type": "duration", "seconds": 3}}
    assert transcription_usage(told) == Usage(0, 0, seconds=3.0)


@pytest.mark.parametrize("seconds", [True, -1, "9", None, float("inf"), float("nan")])
def test_seconds_that_are_no_length_of_time_are_not_told(seconds: Any) -> None:
    assert transcription_usage({"usage": {"type": "duration", "seconds": seconds}}) is None
    assert transcription_usage({"duration": seconds}) is None


def test_all_that_a_voice_writes_is_audio() -> None:
    done = {"type": "speech.audio.done", "usage": {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}}
    assert spoken_usage(done) == Usage(3, 5, audio_completion=5)
    assert spoken_usage({"type": "speech.audio.delta", "audio": "QQ=="}) is None


def test_all_that_an_image_model_writes_is_an_image_unless_it_says_otherwise() -> None:
    usage = {"input_tokens": 50, "output_tokens": 40, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}}
    reply = {"data": [{}, {}], "size": "1024x1536", "quality": "high", "usage": usage}
    painted = Usage(
        50, 40, images=2, image_prompt=40, image_completion=40, image_size="1024x1536", image_quality="high"
    )
    assert image_usage(reply) == painted
    usage["output_tokens_details"] = {"text_tokens": 10, "image_tokens": 30}
    assert image_usage(reply) == Usage(
        50, 40, images=2, image_prompt=40, image_completion=30, image_size="1024x1536", image_quality="high"
    )


def test_images_without_tokens_are_counted() -> None:
    assert image_usage({"data": [{"url": "https://x"}] * 3}) == Usage(0, 0, images=3)


def test_the_last_event_of_an_image_is_one() -> None:
    usage = {"input_tokens": 5, "output_tokens": 40}
    event = {"type": "image_generation.completed", "b64_json": "QQ==", "quality": "low", "usage": usage}
    assert image_usage(event) == Usage(5, 40, images=1, image_completion=40, image_quality="low")


@pytest.mark.parametrize("payload", [{"type": "image_generation.partial_image", "b64_json": "QQ=="}, {}, [], None])
def test_what_tells_no_image_and_no_tokens_is_none(payload: Any) -> None:
    assert image_usage(payload) is None


TOLD = {"input_tokens": 10, "output_tokens": 20, "output_tokens_details": {"reasoning_tokens": 3}}
OUTPUT = [
    {"type": "reasoning"},
    {"type": "web_search_call", "action": {"type": "search", "query": "q"}},
    {"type": "web_search_call", "action": {"type": "open_page", "url": "https://x"}},
    {"type": "web_search_call"},
    {"type": "file_search_call", "queries": ["q"]},
    {"type": "code_interpreter_call", "container_id": "cntr_1"},
    {"type": "code_interpreter_call", "container_id": "cntr_1"},
    {"type": "code_interpreter_call", "container_id": "cntr_2"},
    {"type": "function_call"},
    {"type": "message"},
    "odd",
]


def test_the_tools_of_a_response_are_counted() -> None:
    found = response_usage({"service_tier": "flex", "output": OUTPUT, "usage": TOLD})
    assert found == Usage(10, 20, reasoning=3, web_searches=2, file_searches=1, containers=2, tier="flex")


def test_the_last_event_of_a_response_holds_it() -> None:
    response = {"service_tier": "default", "output": OUTPUT[-2:], "usage": TOLD}
    event = {"type": "response.completed", "response": response}
    assert response_usage(event) == Usage(10, 20, reasoning=3, tier="default")


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "response.output_text.delta", "delta": "a"},
        {"type": "response.created", "response": {"output": [], "usage": None}},
        {"output": OUTPUT, "usage": None},
        {"response": []},
        {"usage": []},
        [],
        None,
    ],
)
def test_a_response_without_usage_tells_none(payload: Any) -> None:
    assert response_usage(payload) is None


def test_output_that_is_no_list_has_no_tools() -> None:
    assert response_usage({"output": None, "usage": TOLD}) == Usage(10, 20, reasoning=3)


def test_what_is_typed_is_read_where_it_stands() -> None:
    assert typed_usage({"usage": TOLD}) == Usage(10, 20, reasoning=3)
