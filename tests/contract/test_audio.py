"""Transcriptions and translations through the openai package: every format, whole and streamed."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai import OpenAI

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

OPERATIONS = ("audio_transcriptions", "audio_translations")

pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # openai's word on translations
Client = Callable[["Running"], OpenAI]
CONFIG = """
model_list:
  - model_name: whisper
    litellm_params: {model: azure/whisper, api_base: $SIM/east, api_key: sim-key-east, api_version: VERSION}
    model_info: {mode: audio_transcription}
  - model_name: hear
    litellm_params: {model: azure/gpt-4o-transcribe, api_base: $SIM/east, api_key: sim-key-east, api_version: VERSION}
    model_info: {mode: audio_transcription}
  - model_name: who
    litellm_params:
      {model: azure/gpt-4o-transcribe-diarize, api_base: $SIM/east, api_key: sim-key-east, api_version: VERSION}
"""
DATED = CONFIG.replace("VERSION", "2025-04-01-preview")
MB = 1024 * 1024


@pytest.fixture(params=['"2023-05-15"', '"2024-10-21"', "2025-04-01-preview", "v1", "preview"])
def config(request: pytest.FixtureRequest) -> str:
    return CONFIG.replace("VERSION", request.param)


def sound(seconds: float = 2.0) -> bytes:
    """A silent WAV file of 8 kHz, 16 bits."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(int(seconds * 16_000)))
    return out.getvalue()


FILE = ("a.wav", sound(), "audio/wav")


def post(run: Running, files: Any = None, path: str = "/v1/audio/transcriptions", **fields: Any) -> Any:
    return run.http.post(path, data={"model": "whisper", **fields}, files={"file": FILE} if files is None else files)


def test_a_transcription_comes_with_its_seconds(spillway: Spillway, config: str, client: Client) -> None:
    run = spillway(config)
    answer = client(run).audio.transcriptions.create(model="whisper", file=FILE)
    [line], [call] = run.sim.bill(), run.calls()
    assert answer.text
    assert line["seconds"] == 2
    assert (call["operation"], call["outcome"], call["usage_source"]) == ("audio_transcriptions", "ok", "upstream")


def test_tokens_of_a_transcription_are_the_bills(spillway: Spillway, config: str, client: Client) -> None:
    run = spillway(config)
    answer = client(run).audio.transcriptions.create(model="hear", file=FILE)
    [line], [call] = run.sim.bill(), run.calls()
    assert answer.text
    assert (call["prompt_tokens"], call["completion_tokens"]) == (line["prompt_tokens"], line["completion_tokens"])
    assert call["usage_source"] == "upstream"


def test_a_transcription_is_streamed_by_events(spillway: Spillway, config: str, client: Client) -> None:
    run = spillway(config)
    events: Any = client(run).audio.transcriptions.create(model="hear", file=FILE, stream=True)
    *deltas, done = list(events)
    assert {event.type for event in deltas} == {"transcript.text.delta"}
    assert done.type == "transcript.text.done"
    assert "".join(event.delta for event in deltas) == done.text
    [line], [call] = run.sim.bill(), run.calls()
    assert (call["prompt_tokens"], call["completion_tokens"]) == (line["prompt_tokens"], line["completion_tokens"])
    assert (call["stream"], call["outcome"]) == (True, "ok")


@pytest.mark.parametrize(("format", "begins"), [("text", ""), ("srt", "1\n"), ("vtt", "WEBVTT")])
@pytest.mark.parametrize("path", ["transcriptions", "translations"])
def test_plain_formats_come_as_they_are(
    spillway: Spillway, client: Client, format: str, begins: str, path: str
) -> None:
    run = spillway(DATED)
    api: Any = getattr(client(run).audio, path)
    text = api.create(model="whisper", file=FILE, response_format=format)
    assert str(text).startswith(begins)
    raw = post(run, path=f"/v1/audio/{path}", response_format=format)
    assert raw.headers["content-type"].startswith("text/plain")
    assert raw.text.strip()
    assert [call["usage_source"] for call in run.calls(2)] == ["estimated"] * 2


def test_a_verbose_transcription_has_words_and_segments(spillway: Spillway, client: Client) -> None:
    run = spillway(DATED)
    answer: Any = client(run).audio.transcriptions.create(
        model="whisper", file=FILE, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert answer.words
    assert answer.segments
    assert answer.duration == pytest.approx(2.0)


def test_speakers_are_told_apart(spillway: Spillway, client: Client) -> None:
    run = spillway(DATED)
    answer: Any = client(run).audio.transcriptions.create(
        model="who", file=FILE, response_format="diarized_json", chunking_strategy="auto"
    )
    assert answer.segments[0].speaker
    assert run.calls()[0]["usage_source"] == "upstream"


def test_a_translation_comes_whole(spillway: Spillway, config: str, client: Client) -> None:
    run = spillway(config)
    answer = client(run).audio.translations.create(model="whisper", file=FILE, prompt="a", temperature=0.2)
    assert answer.text
    assert run.sim.bill()[0]["operation"] == "audio/translations"


def test_every_field_and_the_file_reach_the_model(spillway: Spillway) -> None:
    run = spillway(DATED)
    fields = {"language": "de", "prompt": "für", "temperature": "0.5", "response_format": "json"}
    assert post(run, **fields).status_code == 200
    [sent] = run.sim.requests()
    assert f'filename="{FILE[0]}"' in sent["body"]
    for name, value in {**fields, "model": "whisper"}.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n' in sent["body"]


def test_a_file_of_25_mib_passes_and_is_not_kept_in_memory(spillway: Spillway) -> None:
    run = spillway(DATED)
    whole = ("a.mp3", bytes(25 * MB), "audio/mpeg")
    assert post(run, {"file": whole}).status_code == 200
    assert run.sim.bill()[0]["seconds"] > 1000


def test_a_full_deployment_fails_over_with_the_whole_file(spillway: Spillway) -> None:
    config = (
        DATED
        + """
  - model_name: whisper
    litellm_params: {model: azure/whisper, api_base: $SIM/west, api_key: sim-key-west}
"""
    )
    run = spillway(config)
    run.sim.fault(resource="east", operation="audio/transcriptions", status=429, times=None)
    for _ in range(4):
        assert post(run, {"file": ("a.mp3", bytes(3 * MB))}).status_code == 200
    assert {line["resource"] for line in run.sim.bill()} == {"west"}
    assert {line["seconds"] for line in run.sim.bill()} == {197}


@pytest.mark.parametrize(
    ("files", "fields", "param", "code", "status"),
    [
        ({"audio": FILE}, {}, "file", "missing_required_parameter", 400),
        ({"file": ("a.wav", b"")}, {}, "file", "invalid_value", 400),
        ({"file": ("a.wav", bytes(25 * MB + 1))}, {}, "file", "request_too_large", 413),
        ({"file": ("a.wav", bytes(27 * MB))}, {}, None, "request_too_large", 413),
        (None, {"response_format": "mp3"}, "response_format", "invalid_value", 400),
        (None, {"response_format": ["json", "text"]}, "response_format", "invalid_type", 400),
        (None, {"response_format": "diarized_json"}, "response_format", "invalid_value", 400),
        (None, {"model": "hear", "response_format": "srt"}, "response_format", "unsupported_value", 400),
        (None, {"stream": "7"}, "stream", "invalid_type", 400),
        (None, {"timeout": "soon"}, "timeout", "invalid_type", 400),
        (None, {"model": ["whisper", "hear"]}, "model", "invalid_type", 400),
        (None, {"model": "gpt-9"}, "model", "model_not_found", 404),
        (None, {"api_key": "k"}, "api_key", "unsupported_parameter", 400),
    ],
)
def test_a_mistake_is_named_and_nothing_is_sent(
    spillway: Spillway, files: Any, fields: dict[str, Any], param: str | None, code: str, status: int
) -> None:
    run = spillway(DATED)
    answer = post(run, files, **fields)
    error = answer.json()["error"]
    assert answer.status_code == status
    assert (error["param"], error["code"]) == (param, code)
    assert run.sim.requests() == []
    run.assert_discreet(answer.text)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=b", b"x"),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="file"'),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n--b--\r\n"),
        ("multipart/form-data; boundary=\xff".encode("latin-1").decode("latin-1"), b"--b--"),
        ("multipart/form-data; boundary=b", b""),
        ("text/plain", b"hello"),
        ("", b""),
    ],
)
def test_a_form_that_is_none_is_told_so(spillway: Spillway, content_type: str, body: bytes) -> None:
    run = spillway(DATED)
    headers = {"content-type": content_type.encode("latin-1")}
    answer = run.http.post("/v1/audio/transcriptions", content=body, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert run.sent() == []


def test_translations_are_checked_alike(spillway: Spillway) -> None:
    run = spillway(DATED)
    answer = post(run, {"file": ("a.wav", b"")}, "/v1/audio/translations")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")
    assert run.sim.requests() == []


def test_what_azure_refuses_is_its_own_400_and_not_billed(spillway: Spillway) -> None:
    run = spillway(DATED)
    answer = post(run, {"file": ("a.txt", b"no sound", "text/plain")})
    assert answer.status_code == 400
    assert "format" in answer.json()["error"]["message"]
    assert run.sim.bill() == []


def test_a_chat_model_does_not_hear(spillway: Spillway) -> None:
    run = spillway(DATED.replace("azure/gpt-4o-transcribe-diarize", "azure/gpt-4o"))
    assert post(run, model="who").status_code == 400
    assert run.sim.bill() == []


def test_a_stream_that_breaks_off_is_told_and_counted(spillway: Spillway, client: Client) -> None:
    run = spillway(DATED)
    run.sim.fault(operation="audio/transcriptions", cut_after_events=5)
    # Paced: what arrives in one burst with the end of a connection may be lost with it.
    events: Any = client(run).audio.transcriptions.create(
        model="hear", file=FILE, stream=True, prompt="[[sim delay_ms=20]]"
    )
    with pytest.raises(openai.APIError):
        list(events)
    [call] = run.calls()
    assert (call["outcome"], call["code"]) == ("broken", "stream_broken")
    assert call["completion_tokens"] > 0
    run.await_rest()
