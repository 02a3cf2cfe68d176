"""shared/catalog/values.py and media.py: which values models of images and audio take."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.catalog.capabilities import UNKNOWN, Capability, resolve, rows
from shared.catalog.parameters import FOUND_CHARS_MAX, apply
from shared.catalog.policy import ParameterPolicy
from shared.catalog.values import Between, OneOf, SizeRule, Sizes, UpTo
from shared.errors import BadRequest

RULE = SizeRule(multiple_of=16, edge_max=3840, ratio_max=3, pixels_min=655_360, pixels_max=8_294_400)
BODIES: dict[str, dict[str, Any]] = {
    "images_generations": {"prompt": "a cat"},
    "images_edits": {"prompt": "a cat"},
    "audio_speech": {"input": "Hello.", "voice": "alloy"},
    "audio_transcriptions": {},
    "audio_translations": {},
    "chat_completions": {"messages": [{"role": "user", "content": "Hello."}], "modalities": ["text", "audio"]},
}


def row(model: str) -> Capability:
    return resolve(model, "any", None).capability


def refused(
    model: Capability | str, operation: str, policy: ParameterPolicy | None = None, **fields: Any
) -> BadRequest | None:
    """The error for a good body with these fields, None when it is taken."""
    capability = row(model) if isinstance(model, str) else model
    try:
        apply({**BODIES[operation], **fields}, operation, capability, policy or ParameterPolicy(), "mine")
    except BadRequest as error:
        return error
    return None


@given(st.integers(1, 240), st.integers(1, 240))
def test_a_size_by_the_rule_is_one_that_the_arithmetic_allows(across: int, down: int) -> None:
    width, height = across * 16, down * 16
    allowed = max(width, height) <= 3 * min(width, height) and 655_360 <= width * height <= 8_294_400
    assert Sizes((), RULE).has(f"{width}x{height}") is allowed


@pytest.mark.parametrize("size", ["auto", "1024x1024", "3840x2160", "2160x3840", "1024x640", "640x1024", "1920x1088"])
def test_sizes_of_the_newest_image_model(size: str) -> None:
    assert refused("gpt-image-2", "images_generations", size=size) is None


@pytest.mark.parametrize(
    "size",
    ["1024x1023", "1008x648", "3856x2048", "2048x3856", "1008x640", "3072x1008", "3840x2176", "16x16", "0x0", "-16x16",
     "1024", "1024x", "1024x1024x1024", "1024X1024", " 1024x1024", "１０２４x1024", "999999x16", "", 1024, [], True],
)  # fmt: skip
def test_sizes_that_the_newest_image_model_cannot_make(size: Any) -> None:
    error = refused("gpt-image-2", "images_generations", size=size)
    assert error is not None
    assert (error.param, error.code) == ("size", "invalid_value")


@pytest.mark.parametrize("low", [1, 0, -3])
def test_both_ends_of_a_range_are_taken(low: int) -> None:
    assert [Between(low, low + 2).has(value) for value in range(low - 1, low + 4)] == [False, True, True, True, False]


@pytest.mark.parametrize(
    ("value", "taken"), [("2", True), ("11", False), ("two", False), ("2.0", False), (2.0, False), (True, False)]
)
def test_a_whole_number_may_be_a_forms_text(value: Any, taken: bool) -> None:
    assert Between(1, 10).has(value) is taken


def test_a_speed_may_be_a_fraction_and_is_no_truth() -> None:
    speed = Between(0.25, 4, fractions=True)
    assert [speed.has(value) for value in (0.25, 1, 4.0, 0.2, 4.1, True)] == [True, True, True, False, False, False]


def test_a_text_is_counted_by_characters() -> None:
    assert UpTo(4).has("äöü水")
    assert not UpTo(4).has("äöü水!")


def test_an_object_names_a_voice_of_the_callers_own() -> None:
    assert OneOf(("alloy",), objects=True).has({"id": "voice_1"})
    assert not OneOf(("alloy",)).has({"id": "voice_1"})


@pytest.mark.parametrize(
    ("model", "operation", "fields", "param"),
    [
        ("tts-1", "audio_speech", {"voice": "marin"}, "voice"),
        ("gpt-4o-mini-tts", "audio_speech", {"voice": "ghost"}, "voice"),
        ("tts-hd", "audio_speech", {"response_format": "ogg"}, "response_format"),
        ("tts", "audio_speech", {"speed": 4.01}, "speed"),
        ("gpt-4o-mini-tts", "audio_speech", {"stream_format": "chunks"}, "stream_format"),
        ("tts", "audio_speech", {"input": "a" * 4097}, "input"),
        ("gpt-image-1", "images_generations", {"size": "1024x1792"}, "size"),
        ("gpt-image-1", "images_edits", {"size": "512x512"}, "size"),
        ("gpt-image-1-mini", "images_generations", {"quality": "hd"}, "quality"),
        ("gpt-image-1.5", "images_generations", {"n": 11}, "n"),
        ("gpt-image-1", "images_edits", {"n": "11"}, "n"),
        ("gpt-image-1", "images_generations", {"output_format": "webp"}, "output_format"),
        ("gpt-image-1", "images_generations", {"output_compression": 101}, "output_compression"),
        ("gpt-image-1", "images_generations", {"partial_images": 4, "stream": True}, "partial_images"),
        ("gpt-image-1", "images_generations", {"prompt": "a" * 32_001}, "prompt"),
        ("dall-e-3", "images_generations", {"size": "1024x1536"}, "size"),
        ("dall-e-3", "images_generations", {"quality": "high"}, "quality"),
        ("dall-e-2", "images_generations", {"size": "1792x1024"}, "size"),
        ("whisper", "audio_transcriptions", {"response_format": "diarized_json"}, "response_format"),
        ("whisper", "audio_translations", {"response_format": "mp3"}, "response_format"),
        ("gpt-4o-transcribe-diarize", "audio_transcriptions", {"response_format": "srt"}, "response_format"),
        ("gpt-4o-audio-preview", "chat_completions", {"audio": {"voice": "ghost", "format": "wav"}}, "audio.voice"),
        ("gpt-audio", "chat_completions", {"audio": {"voice": "alloy", "format": "ogg"}}, "audio.format"),
        ("gpt-audio", "chat_completions", {"audio": {"format": "mp3"}, "stream": True}, "audio.format"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_taken_is_named(model: str, operation: str, fields: dict[str, Any], param: str) -> None:
    error = refused(model, operation, **fields)
    assert error is not None
    assert error.param == param
    assert "mine" in error.message


@pytest.mark.parametrize(
    ("model", "operation", "fields"),
    [
        ("tts", "audio_speech", {"voice": {"id": "voice_1"}, "speed": 0.25, "response_format": "pcm"}),
        ("gpt-4o-mini-tts", "audio_speech", {"voice": "cedar", "stream_format": "sse", "speed": 4}),
        ("gpt-image-1", "images_generations", {"n": 10, "partial_images": 3, "stream": True, "size": "1536x1024"}),
        ("gpt-image-1", "images_edits", {"n": "10", "output_compression": "0", "output_format": "jpeg"}),
        ("gpt-image-1", "images_generations", {"size": None, "quality": None, "n": None}),
        ("dall-e-3", "images_generations", {"size": "1792x1024", "quality": "hd"}),
        ("whisper", "audio_transcriptions", {"response_format": "vtt"}),
        ("gpt-transcribe", "audio_transcriptions", {"response_format": "srt"}),
        ("gpt-audio", "chat_completions", {"audio": {"voice": {"id": "voice_1"}, "format": "mp3"}}),
        ("gpt-audio", "chat_completions", {"audio": {"voice": "verse", "format": "pcm16"}, "stream": True}),
        ("gpt-audio", "chat_completions", {"audio": "loud"}),
    ],
)
def test_a_value_that_is_taken_passes(model: str, operation: str, fields: dict[str, Any]) -> None:
    assert refused(model, operation, **fields) is None


def test_the_message_names_what_was_found_what_is_taken_and_the_way_out() -> None:
    error = refused("tts", "audio_speech", voice="ghost")
    assert error is not None
    assert error.message == (
        "Invalid 'voice': found `ghost`. Model `mine` takes `alloy`, `echo`, `fable`, `onyx`, `nova`, `shimmer`. "
        "`allowed_openai_params: [voice]` has it sent all the same."
    )


@given(st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1), st.lists(st.text())))
def test_a_message_is_short_and_clean_whatever_was_found(value: Any) -> None:
    error = refused("gpt-image-2", "images_generations", quality=value)
    assert error is None or (error.message.isprintable() and len(error.message) < 250 + FOUND_CHARS_MAX)


@pytest.mark.parametrize("name", ["audio", "audio.voice"])
def test_a_parameter_that_is_allowed_is_not_judged(name: str) -> None:
    policy = ParameterPolicy(allowed=frozenset({name}))
    audio = {"voice": "ghost", "format": "wav"}
    assert refused("gpt-audio", "chat_completions", policy, audio=audio) is None
    assert refused("gpt-audio", "chat_completions", audio=audio) is not None


def test_a_value_is_refused_and_not_dropped_where_parameters_are() -> None:
    error = refused("gpt-image-1", "images_generations", ParameterPolicy(drop=True), size="7x7")
    assert error is not None
    assert error.param == "size"


@pytest.mark.parametrize("operation", sorted(BODIES))
def test_a_model_that_is_not_known_is_not_judged(operation: str) -> None:
    odd: dict[str, Any] = {
        "voice": "ghost",
        "size": "7x7",
        "response_format": "ogg",
        "n": 99,
        "audio": {"voice": "ghost"},
    }
    assert refused(UNKNOWN, operation, **odd) is None


def test_openai_itself_makes_webp_and_has_more_voices() -> None:
    paint, voice = row("gpt-image-1"), row("tts-1")
    assert refused(paint, "images_generations", output_format="webp") is not None
    assert refused(paint.at_openai(), "images_generations", output_format="webp") is None
    assert refused(voice, "audio_speech", voice="sage") is not None
    assert refused(voice.at_openai(), "audio_speech", voice="sage") is None


@pytest.mark.parametrize("name", sorted(rows()))
def test_what_is_known_of_values_is_about_operations_that_the_model_has(name: str) -> None:
    found = rows()[name]
    known = {operation for operation, _ in found._values}
    assert known - {"images_edits", "audio_translations"} <= (found.operations or set())
