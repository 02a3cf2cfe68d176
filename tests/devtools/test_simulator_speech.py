from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest
from openai import AzureOpenAI, OpenAI

from devtools.simulator import ControlClient

VERSION = "?api-version=2025-04-01-preview"
PATH = "/east/openai/deployments/tts/audio/speech" + VERSION
MINI = PATH.replace("/tts/", "/gpt-4o-mini-tts/")


def speak(http: httpx.Client, text: str = "hello", path: str = PATH, **more: Any) -> httpx.Response:
    return http.post(path, json={"input": text, "voice": "alloy", **more})


def events(raw: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(block.removeprefix(b"data: ")) for block in raw.removesuffix(b"\n\n").split(b"\n\n")]


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits up to two seconds for what another thread does."""
    deadline = time.monotonic() + 2
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.usefixtures("sim")
def test_the_sdk_speaks(azure: AzureOpenAI) -> None:
    speech = azure.audio.speech.create(model="tts", input="hello", voice="alloy")
    assert speech.content == azure.audio.speech.create(model="tts", input="hello", voice="alloy").content
    assert speech.content[:4] == b"\xff\xf3\xe4\xc4"
    assert speech.content != azure.audio.speech.create(model="tts", input="hallo", voice="alloy").content


def test_speech_needs_a_preview_version(http: httpx.Client) -> None:
    versions = ("2024-10-21", "2024-02-01", "2024-02-15-preview", "2025-04-01-preview")
    path = PATH.partition("?")[0] + "?api-version="
    assert [speak(http, path=path + version).status_code for version in versions] == [404, 404, 200, 200]
    v1 = "/east/openai/v1/audio/speech"
    statuses = [speak(http, path=v1 + query, model="tts").status_code for query in ("", "?api-version=preview")]
    assert statuses == [404, 200]


@pytest.mark.parametrize(("kind", "content_type", "magic"), [
    ("mp3", "audio/mpeg", b"\xff\xf3"), ("opus", "audio/opus", b"OggS"), ("aac", "audio/aac", b"\xff\xf1"),
    ("flac", "audio/flac", b"fLaC"), ("wav", "audio/wav", b"RIFF"), ("pcm", "audio/pcm", b""),
])  # fmt: skip
def test_each_format_has_its_type_and_header(http: httpx.Client, kind: str, content_type: str, magic: bytes) -> None:
    response = speak(http, response_format=kind)
    assert response.headers["content-type"] == content_type
    assert response.content.startswith(magic)


def test_longer_text_is_longer_speech_and_faster_speech_is_shorter(http: httpx.Client) -> None:
    sizes = [len(response.content) for response in (speak(http), speak(http, "hello" * 3), speak(http, speed=2))]
    assert sizes == [6000, 18000, 3000]


def test_a_directive_sets_size_and_pieces(http: httpx.Client) -> None:
    text = "[[sim bytes=2000000 chunk_bytes=16384]]"
    with http.stream("POST", PATH, json={"input": text, "voice": "alloy"}) as response:
        assert "content-length" not in response.headers
        assert sum(len(part) for part in response.iter_raw()) == 2_000_000


def test_wav_came_with_2024_04_01_preview(http: httpx.Client) -> None:
    early = PATH.replace("2025-04-01", "2024-02-15")
    assert speak(http, path=early, response_format="wav").status_code == 400


@pytest.mark.parametrize(("more", "param"), [
    ({"voice": "marin"}, "voice"), ({"voice": None}, "voice"), ({"speed": 5}, "speed"), ({"speed": 0.1}, "speed"),
    ({"input": "x" * 4097}, "input"), ({"input": ""}, "input"), ({"input": 5}, "input"), ({"input": None}, "input"),
    ({"response_format": "ogg"}, "response_format"), ({"stream_format": "sse"}, "stream_format"),
    ({"instructions": "Whisper."}, "instructions"), ({"colour": "blue"}, None),
])  # fmt: skip
def test_a_wrong_value_is_refused(
    http: httpx.Client, sim: ControlClient, more: dict[str, Any], param: str | None
) -> None:
    response = http.post(PATH, json={"input": "hello", "voice": "alloy", **more})
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    assert sim.bill() == []


def test_tts_is_billed_by_characters(http: httpx.Client, sim: ControlClient) -> None:
    speak(http, "hello there")
    [line] = sim.bill()
    assert (line["characters"], line["prompt_tokens"], line["completion_tokens"]) == (11, 0, 0)
    assert (line["operation"], line["finished"]) == ("audio/speech", True)


def test_the_newer_model_is_billed_by_tokens(http: httpx.Client, sim: ControlClient) -> None:
    raw = speak(http, "hello there", MINI, voice="marin", instructions="Be kind.", stream_format="sse").content
    [*deltas, done] = events(raw)
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    usage = done["usage"]
    [line] = sim.bill()
    assert (line["prompt_tokens"], line["completion_tokens"]) == (usage["input_tokens"], usage["output_tokens"])
    assert (line["output_audio_tokens"], line["characters"]) == (usage["output_tokens"], 0)


def test_events_carry_the_same_sound(http: httpx.Client) -> None:
    text = "hello " * 50
    [*deltas, _] = events(speak(http, text, MINI, stream_format="sse").content)
    assert b"".join(base64.b64decode(event["audio"]) for event in deltas) == speak(http, text, MINI).content


def test_generation_stops_when_the_listener_leaves(http: httpx.Client, sim: ControlClient) -> None:
    asked = {"input": "[[sim bytes=1000000 chunk_bytes=10000 delay_ms=5]]", "voice": "alloy"}
    with http.stream("POST", MINI, json=asked) as response:
        next(response.iter_raw())
    wait_until(lambda: bool(sim.requests()[-1]["disconnected"]))
    [line] = sim.bill()
    assert 0 < line["completion_tokens"] < 900
    assert line["finished"] is False


def test_the_v1_sdk_streams_speech(url: str, sim: ControlClient) -> None:
    client = OpenAI(base_url=url + "/east/openai/v1", api_key="sim-key-east", default_query={"api-version": "preview"})
    with client, client.audio.speech.with_streaming_response.create(model="tts-1", input="hi", voice="nova") as speech:
        assert len(speech.read()) == 2400
    assert sim.bill()[0]["model"] == "tts"


def test_a_chat_model_does_not_speak(http: httpx.Client) -> None:
    response = speak(http, path=PATH.replace("/tts/", "/gpt-4o/"))
    assert response.json()["error"]["code"] == "OperationNotSupported"


def test_speech_has_limits_and_faults(http: httpx.Client, sim: ControlClient) -> None:
    sim.deployment("east", "tts", rpm=6)
    assert [speak(http).status_code for _ in range(2)] == [200, 429]
    sim.deployment("east", "tts", rpm=None)
    sim.fault(operation="audio/speech", cut_after_bytes=1000)
    with pytest.raises(httpx.RemoteProtocolError):
        speak(http)
