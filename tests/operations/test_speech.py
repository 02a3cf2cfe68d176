"""Which speech requests are the same, and speech as events with its audio recorded."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from shared.callers.caller import MASTER
from shared.operations.operation import Call
from shared.operations.speech import RecordedEvents, cache_key
from shared.seal import Seal, Sealer, tag

SEALER = Sealer(["secret"])
HELLO = {"model": "tts", "voice": "alloy", "input": "Hello."}


class Heard:
    """What a recorder is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def feed(self, data: bytes) -> None:
        self.told.append(data)

    def finish(self) -> None:
        self.told.append("finish")

    def close(self) -> None:
        self.told.append("close")


def call(owner: str = "ann", model: str = "tts", **body: Any) -> Call:
    return Call("call", MASTER, model, {**HELLO, **body}, True, Seal(SEALER, tag(owner)))


@pytest.mark.parametrize(
    "same",
    [
        {},
        {"response_format": "mp3"},
        {"response_format": None},
        {"speed": 1},
        {"speed": 1.0},
        {"instructions": ""},
        {"stream_format": "audio"},
        {"user": "u-1"},
    ],
    ids=str,
)
def test_what_changes_no_sound_changes_no_key(same: dict[str, Any]) -> None:
    assert cache_key(call(**same)) == cache_key(call())


@pytest.mark.parametrize(
    "other",
    [
        {"owner": "ben"},
        {"model": "tts-hd"},
        {"voice": "nova"},
        {"voice": {"id": "voice_1"}},
        {"input": "Hello"},
        {"response_format": "wav"},
        {"speed": 1.25},
        {"instructions": "Whisper."},
        {"tomorrow": "a parameter that is not known today"},
    ],
    ids=str,
)
def test_what_may_change_the_sound_changes_the_key(other: dict[str, Any]) -> None:
    assert cache_key(call(**other)) != cache_key(call())


def test_a_key_says_nothing_of_what_was_asked() -> None:
    assert len(cache_key(call())) == 64
    assert "Hello" not in cache_key(call())


def event(**payload: Any) -> bytes:
    return b"data: " + orjson.dumps(payload) + b"\n\n"


def test_the_audio_in_events_is_recorded_and_the_events_pass() -> None:
    heard: Any = Heard()
    events = RecordedEvents(heard)
    first = event(type="speech.audio.delta", audio=base64.b64encode(b"one").decode())
    done = event(type="speech.audio.done", usage={"input_tokens": 3, "output_tokens": 5, "total_tokens": 8})
    assert events.feed(first) == first
    assert events.feed(done) == done
    assert events.finish() == b""
    assert heard.told == [b"one", "finish"]
    assert events.whole
    assert events.usage is not None
    assert (events.usage.prompt, events.usage.completion) == (3, 5)


def test_audio_that_is_no_base64_ends_the_recording_and_still_passes() -> None:
    heard: Any = Heard()
    odd = event(type="speech.audio.delta", audio="?")
    assert RecordedEvents(heard).feed(odd) == odd
    assert heard.told == ["close"]
