"""What each operation adds to the usage that its upstream tells: what only the request knows."""

from __future__ import annotations

import wave
from io import BytesIO
from typing import Any

import orjson
import pytest

from shared.callers.caller import ANONYMOUS
from shared.operations.audio import SPEECH, TRANSCRIPTION
from shared.operations.chat import CHAT
from shared.operations.images import EDIT, GENERATION
from shared.operations.operation import Call, Proxied
from shared.operations.responses import CREATE
from shared.seal import Seal, Sealer, tag
from shared.upstream.content import FormFile
from shared.upstream.sse import event
from shared.usage.usage import Usage

SEAL = Seal(Sealer(["secret"]), tag("ann"))


def call(files: tuple[FormFile, ...] = (), **body: Any) -> Call:
    return Call("call_1", ANONYMOUS, "m", body, stream=True, seal=SEAL, files=files, resource=tag("east"))


def streamed(operation: Proxied, asked: Call, *events: dict[str, Any]) -> Usage | None:
    """What a stream of these events was told to use."""
    assert operation.translator is not None
    translator = operation.translator(asked)
    for one in events:
        translator.feed(event(orjson.dumps(one)))
    return translator.usage


@pytest.mark.parametrize("operation", [GENERATION, EDIT])
def test_the_size_of_an_image_is_the_requests_where_the_reply_names_none(operation: Proxied) -> None:
    asked = call(size="1792x1024", quality="hd")
    told = operation.usage({"data": [{}]})
    assert told is not None
    assert operation.told(asked, told) == Usage(0, 0, images=1, image_size="1792x1024", image_quality="hd")


def test_the_size_that_the_reply_names_wins() -> None:
    told = GENERATION.usage({"data": [{}], "size": "1024x1536", "quality": "low"})
    assert told is not None
    found = GENERATION.told(call(size="auto", quality="high"), told)
    assert (found.image_size, found.image_quality) == ("1024x1536", "low")


@pytest.mark.parametrize("written", ["auto", None, 5])
def test_a_size_that_says_nothing_is_none(written: Any) -> None:
    found = GENERATION.told(call(size=written, quality=written), Usage(0, 0, images=1))
    assert (found.image_size, found.image_quality) == ("", "")


def test_a_streamed_image_knows_its_size_too() -> None:
    done = {
        "type": "image_generation.completed",
        "b64_json": "QQ==",
        "usage": {"input_tokens": 5, "output_tokens": 40},
    }
    assert streamed(GENERATION, call(size="1024x1024", quality="low"), done) == Usage(
        5, 40, images=1, image_completion=40, image_size="1024x1024", image_quality="low"
    )


def test_an_image_that_never_came_is_estimated_with_its_size() -> None:
    found = GENERATION.estimate(call(prompt="a cat on a mat", n="2", size="1024x1024"))
    assert (found.images, found.image_size, found.source, found.prompt > 0) == (2, "1024x1024", "estimated", True)


def test_speech_is_billed_by_the_characters_that_were_sent() -> None:
    assert SPEECH.translator is not None
    found = SPEECH.translator(call(input="Hello there, 世界")).usage
    assert found is not None
    assert (found.characters, found.spoken_tokens, found.source) == (15, 6, "upstream")


def test_speech_as_events_tells_its_tokens() -> None:
    done = {"type": "speech.audio.done", "usage": {"input_tokens": 3, "output_tokens": 5}}
    assert streamed(SPEECH, call(input="hi", stream_format="sse"), done) == Usage(3, 5, audio_completion=5)


def test_a_streamed_transcription_tells_its_tokens_at_its_end() -> None:
    done = {
        "type": "transcript.text.done",
        "text": "a",
        "usage": {
            "type": "tokens",
            "input_tokens": 9,
            "output_tokens": 1,
            "input_token_details": {"audio_tokens": 8},
        },
    }
    delta = {"type": "transcript.text.delta", "delta": "a"}
    assert streamed(TRANSCRIPTION, call(), delta, done) == Usage(9, 1, audio_prompt=8)


def test_a_transcription_that_tells_nothing_is_estimated_by_its_length() -> None:
    file = BytesIO()
    with wave.open(file, "wb") as audio:
        audio.setparams((1, 2, 16_000, 24_000, "NONE", ""))
        audio.writeframes(b"\0\0" * 24_000)
    size = file.tell()
    found = TRANSCRIPTION.estimate(call((FormFile("file", "a.wav", "audio/wav", size, file),)))
    assert (found.seconds, found.source) == (1.5, "estimated")


@pytest.mark.parametrize(("operation", "body"), [(CHAT, {"messages": []}), (CREATE, {"input": "hi"})])
def test_an_answer_that_never_tells_is_estimated_at_the_tier_that_was_asked_for(
    operation: Proxied, body: dict[str, Any]
) -> None:
    assert operation.estimate(call(service_tier="priority", **body)).tier == "priority"
    assert operation.estimate(call(**body)).tier is None


def test_a_streamed_chat_tells_every_kind_of_token() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 8,
        "prompt_tokens_details": {"audio_tokens": 7, "cached_tokens": 1},
        "completion_tokens_details": {"audio_tokens": 6},
    }
    last = {"id": "c", "choices": [], "usage": usage, "service_tier": "flex"}
    assert streamed(CHAT, call(), last) == Usage(9, 8, audio_prompt=7, cached=1, audio_completion=6, tier="flex")


def test_a_streamed_response_tells_its_tools() -> None:
    response = {
        "id": "resp_1",
        "status": "completed",
        "output": [{"type": "web_search_call", "action": {"type": "search"}}, {"type": "message", "content": []}],
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    asked = call(input="hi")
    found = streamed(CREATE, asked, {"type": "response.completed", "response": response})
    assert found == Usage(1, 2, web_searches=1)
