from __future__ import annotations

import base64
import io
import wave
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.usage.estimate import (
    BULK_CHARS_MIN,
    chat_completion_tokens,
    chat_prompt_tokens,
    message_weight,
    response_output_tokens,
    response_prompt_tokens,
    text_weight,
    tokens_of,
)

IMAGE_TOKENS = 765  # of 1024 by 1024, by the rule of gpt-4o
ENGLISH = "The quick brown fox jumps over the lazy dog near the river bank. " * 20
CHINESE = "泄洪道是满溢的水库安全排水的地方，当一个部署无法承载时，由下一个部署来承担。" * 20
NAMES = ["content", "type", "image_url", "input_audio", "data", "text", "message", "tool_calls", "function"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=20,
)
OBJECTS = st.dictionaries(
    st.sampled_from(["messages", "tools", "functions", "response_format", "choices", "content", "tool_calls"]), JSON
)


def asking(content: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}]}


def test_english_is_about_four_characters_a_token() -> None:
    assert tokens_of(ENGLISH) == len(ENGLISH) / 4


def test_chinese_is_about_a_token_a_character() -> None:
    assert 0.7 * len(CHINESE) < tokens_of(CHINESE) <= len(CHINESE)


def test_chinese_is_not_counted_as_english() -> None:
    assert tokens_of(CHINESE) > 3 * len(CHINESE) / 4


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("ééé", 1), ("привет", 2), ("नमस्ते", 3), ("안녕", 2), ("🙂", 2)],
)
def test_each_script_has_its_figure_and_the_sum_is_rounded_up(text: str, tokens: int) -> None:
    assert tokens_of(text) == tokens


@given(st.text(), st.text())
def test_weights_add_up(one: str, other: str) -> None:
    assert text_weight(one + other) == pytest.approx(text_weight(one) + text_weight(other))


@given(st.text(alphabet=st.characters(), min_size=1))
def test_a_long_text_weighs_what_its_characters_weigh(text: str) -> None:
    long = text * BULK_CHARS_MIN
    assert text_weight(long) == pytest.approx(sum(text_weight(character) for character in long))


def test_an_image_counts_as_an_image_not_as_its_base64() -> None:
    url = "data:image/png;base64," + "iVBORw0KGgo" * 100_000
    with_image = chat_prompt_tokens(asking([{"type": "image_url", "image_url": {"url": url, "detail": "high"}}]))
    assert IMAGE_TOKENS < with_image < IMAGE_TOKENS + 20


def test_two_images_count_twice() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    assert chat_prompt_tokens(asking([image, image])) - chat_prompt_tokens(asking([image])) == IMAGE_TOKENS


def heard(data: str) -> int:
    sound = {"type": "input_audio", "input_audio": {"data": data, "format": "x"}}
    return chat_prompt_tokens(asking([sound])) - chat_prompt_tokens(asking([]))


def test_audio_counts_by_its_length_not_as_text() -> None:
    assert 980 <= heard("A" * 2_100_000) < 1010


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_ten_seconds_of_sound_are_a_hundred_tokens_at_any_rate(rate: int) -> None:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * rate * 10))
    assert heard(base64.b64encode(sound.getvalue()).decode()) == pytest.approx(100, abs=8)


@pytest.mark.parametrize("data", ["", "A", "é", "UklGR", "====", "UklGRgAAAABXQVZFZm10IA=="])
def test_sound_that_cannot_be_read_counts_by_its_length(data: str) -> None:
    assert heard(data) < 10


def test_text_beside_an_image_counts() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    both = chat_prompt_tokens(asking([image, {"type": "text", "text": ENGLISH}]))
    assert both > chat_prompt_tokens(asking([image])) + tokens_of(ENGLISH)


def test_every_message_costs_beyond_its_text() -> None:
    one = asking("")["messages"][0]
    assert chat_prompt_tokens({"messages": [one] * 2}) > chat_prompt_tokens({"messages": [one]})


@pytest.mark.parametrize("field", ["tools", "functions", "response_format"])
def test_what_describes_a_tool_or_format_is_part_of_the_prompt(field: str) -> None:
    described = {"description": ENGLISH}
    assert chat_prompt_tokens({**asking("hi"), field: [described]}) > tokens_of(ENGLISH)


def test_what_is_not_in_the_prompt_does_not_count() -> None:
    assert chat_prompt_tokens({**asking("hi"), "user": ENGLISH, "metadata": {"a": ENGLISH}}) == (
        chat_prompt_tokens(asking("hi"))
    )


def test_json_nested_as_deep_as_it_is_read_does_not_raise() -> None:
    deep: Any = "end"
    for _ in range(1024):
        deep = {"x": [deep]}
    assert chat_prompt_tokens(asking(deep)) > 1024


@given(OBJECTS)
def test_no_json_makes_the_prompt_estimate_fail(body: dict[str, Any]) -> None:
    assert chat_prompt_tokens(body) >= 3


@given(OBJECTS)
def test_no_json_makes_the_reply_estimate_fail(payload: dict[str, Any]) -> None:
    assert chat_completion_tokens(payload) >= 0


@given(OBJECTS)
def test_no_json_makes_the_estimate_of_a_delta_fail(delta: dict[str, Any]) -> None:
    assert message_weight(delta) >= 0


def test_a_reply_counts_every_choice() -> None:
    choice = {"message": {"role": "assistant", "content": "x" * 40}}
    assert chat_completion_tokens({"choices": [choice, choice]}) == 20


@pytest.mark.parametrize("name", ["content", "refusal", "reasoning_content"])
def test_all_that_a_model_writes_counts(name: str) -> None:
    assert message_weight({name: "x" * 40}) == 10


def test_tool_calls_count_with_name_and_arguments() -> None:
    calls = [{"id": "call_1", "type": "function", "function": {"name": "f" * 8, "arguments": "x" * 40}}]
    assert message_weight({"content": None, "tool_calls": calls}) == 12


def test_a_response_counts_its_input_instructions_and_tools() -> None:
    text = response_prompt_tokens({"input": "one two three four"})
    items = response_prompt_tokens({"input": [{"role": "user", "content": "one two three four"}]})
    assert 0 < text <= items
    assert response_prompt_tokens({"input": "x", "instructions": "y" * 400}) > 100
    assert response_prompt_tokens({"input": "x", "tools": [{"description": "y" * 400}]}) > 100


def test_an_image_in_a_response_counts_as_an_image() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 100_000}
    assert response_prompt_tokens({"input": [{"role": "user", "content": [image]}]}) < 1000


def test_all_that_a_response_writes_counts() -> None:
    message = {"type": "message", "content": [{"text": "x" * 40}, {"refusal": "y" * 40}]}
    call = {"type": "function_call", "arguments": "z" * 40}
    assert response_output_tokens({"output": [message, call]}) == 30


@given(OBJECTS)
def test_no_json_makes_the_estimates_of_a_response_fail(body: dict[str, Any]) -> None:
    assert response_prompt_tokens({"input": body, **body}) >= 0
    assert response_output_tokens({"output": [body], **body}) >= 0
