from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from openai import AzureOpenAI, OpenAI

from devtools.simulator import ControlClient


@pytest.fixture(scope="module")
def azure(url: str) -> Iterator[AzureOpenAI]:
    with AzureOpenAI(
        azure_endpoint=url + "/east", api_key="sim-key-east", api_version="2024-10-21", max_retries=0
    ) as client:
        yield client


PATH = "/east/openai/deployments/whisper/audio/transcriptions?api-version=2024-10-21"
NEWER = PATH.replace("whisper", "gpt-4o-transcribe").replace("2024-10-21", "2025-04-01-preview")
DIARIZE = NEWER.replace("gpt-4o-transcribe", "gpt-4o-transcribe-diarize")
MP3 = b"\xff\xf3" + bytes(159_998)
"""Ten seconds, as the simulator counts what is no WAV file."""


def wav(seconds: float) -> bytes:
    """Silence at 8 kHz, 16 bits, mono."""
    size = int(seconds * 16_000)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16_000, 2, 16)
    junk = struct.pack("<4sI", b"LIST", 3) + b"abc\0"
    head = struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE")
    return head + form + junk + struct.pack("<4sI", b"data", size) + bytes(size)


def transcribe(http: httpx.Client, data: bytes = MP3, path: str = PATH, name: str = "a.mp3", **fields: Any) -> Any:
    return http.post(path, files={"file": (name, data)}, data=fields)


def events(raw: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(block.removeprefix(b"data: ")) for block in raw.removesuffix(b"\n\n").split(b"\n\n")]


@pytest.mark.usefixtures("sim")
def test_the_sdk_transcribes(azure: AzureOpenAI) -> None:
    heard = azure.audio.transcriptions.create(model="whisper", file=("a.wav", wav(4)))
    assert len(heard.text.split()) == 10


def test_whisper_translates_into_english(http: httpx.Client, sim: ControlClient) -> None:
    path = PATH.replace("transcriptions", "translations")
    body = transcribe(http, path=path, response_format="verbose_json").json()
    assert (body["task"], body["language"], len(body["text"].split())) == ("translate", "english", 25)
    assert transcribe(http, path=path, language="de").status_code == 400
    assert [(line["operation"], line["seconds"]) for line in sim.bill()] == [("audio/translations", 10.0)]


def test_a_transcript_depends_on_the_recording(http: httpx.Client) -> None:
    first, again, other = (transcribe(http, data).json()["text"] for data in (MP3, MP3, MP3 + b"x"))
    assert first == again != other


def test_whisper_is_billed_by_seconds(http: httpx.Client, sim: ControlClient) -> None:
    assert transcribe(http, wav(3.5), name="a.wav").json()["usage"] == {"type": "duration", "seconds": 4}
    assert transcribe(http).json()["usage"] == {"type": "duration", "seconds": 10}
    assert [(line["seconds"], line["prompt_tokens"], line["finished"]) for line in sim.bill()] == [
        (4.0, 0, True), (10.0, 0, True),
    ]  # fmt: skip


def test_the_newer_models_are_billed_by_tokens(http: httpx.Client, sim: ControlClient) -> None:
    usage = transcribe(http, path=NEWER, prompt="Names: Ann").json()["usage"]
    assert usage == {
        "type": "tokens", "input_tokens": 103, "input_token_details": {"text_tokens": 3, "audio_tokens": 100},
        "output_tokens": 25, "total_tokens": 128,
    }  # fmt: skip
    [line] = sim.bill()
    assert (line["prompt_tokens"], line["input_audio_tokens"], line["completion_tokens"]) == (103, 100, 25)
    assert (line["seconds"], line["operation"]) == (0.0, "audio/transcriptions")


def test_plain_formats_are_texts(http: httpx.Client) -> None:
    text, srt, vtt = (transcribe(http, response_format=kind) for kind in ("text", "srt", "vtt"))
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.text.endswith("\n")
    assert srt.text.startswith("1\n00:00:00,000 --> 00:00:03,200\n")
    assert vtt.text.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:03.200\n")


def test_verbose_json_has_segments_and_words_as_asked(http: httpx.Client) -> None:
    plain = transcribe(http, response_format="verbose_json", language="de").json()
    assert (plain["task"], plain["language"], plain["duration"]) == ("transcribe", "german", 10.0)
    assert " ".join(segment["text"] for segment in plain["segments"]) == plain["text"]
    assert "words" not in plain
    asked: dict[str, Any] = {"response_format": "verbose_json", "timestamp_granularities[]": ["word"]}
    words = transcribe(http, **asked).json()
    assert "segments" not in words
    assert (words["words"][0]["start"], words["words"][-1]["end"]) == (0.0, 10.0)
    both = transcribe(http, **asked | {"timestamp_granularities[]": ["word", "segment"]}).json()
    assert both["words"]
    assert both["segments"]


@pytest.mark.usefixtures("sim")
def test_the_sdk_streams_a_transcript(url: str) -> None:
    client = AzureOpenAI(azure_endpoint=url + "/east", api_key="sim-key-east", api_version="2025-04-01-preview")
    with client:
        stream = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.mp3", MP3), stream=True)
        found = list(stream)
    assert found[-1].type == "transcript.text.done"
    assert "".join(event.delta for event in found if event.type == "transcript.text.delta") == found[-1].text


def test_the_bill_of_a_stream_agrees_with_its_usage(http: httpx.Client, sim: ControlClient) -> None:
    usage = events(transcribe(http, path=NEWER, stream="true").content)[-1]["usage"]
    [line] = sim.bill()
    assert (line["prompt_tokens"], line["completion_tokens"]) == (usage["input_tokens"], usage["output_tokens"])
    assert (line["stream"], line["finished"]) == (True, True)


def test_whisper_does_not_stream(http: httpx.Client) -> None:
    response = transcribe(http, path=PATH.replace("2024-10-21", "2025-04-01-preview"), stream="true")
    assert response.headers["content-type"] == "application/json"


def test_a_diarized_transcript_tells_speakers_apart(http: httpx.Client) -> None:
    body = transcribe(http, path=DIARIZE, response_format="diarized_json", chunking_strategy="auto").json()
    assert [segment["speaker"] for segment in body["segments"]] == ["A", "B", "A", "B"]
    streamed = events(transcribe(http, path=DIARIZE, response_format="diarized_json", stream="true").content)
    assert sum(event["type"] == "transcript.text.segment" for event in streamed) == 4


def test_a_long_diarized_recording_must_be_chunked(http: httpx.Client) -> None:
    long = bytes(16_000 * 31)
    statuses = [transcribe(http, long, DIARIZE, **more).status_code for more in ({}, {"chunking_strategy": "auto"})]
    assert statuses == [400, 200]


def test_a_recording_over_25_mib_is_a_413(http: httpx.Client, sim: ControlClient) -> None:
    assert transcribe(http, bytes(26_214_400)).status_code == 200
    response = transcribe(http, bytes(26_214_401))
    assert response.status_code == 413
    assert response.json()["error"]["message"] == "Maximum content size limit (26214400) exceeded (26214401 bytes read)"
    assert len(sim.bill()) == 1


@pytest.mark.parametrize(("more", "param"), [
    ({"data": b""}, "file"), ({"data": b"short"}, "file"), ({"name": "a.txt"}, "file"), ({"name": "nothing"}, "file"),
    ({"response_format": "xml"}, "response_format"), ({"response_format": "diarized_json"}, "response_format"),
    ({"timestamp_granularities[]": "word"}, "timestamp_granularities"),
    ({"timestamp_granularities[]": "line", "response_format": "verbose_json"}, "timestamp_granularities"),
    ({"temperature": "2"}, "temperature"), ({"temperature": "hot"}, "temperature"), ({"colour": "blue"}, None),
    ({"path": NEWER, "response_format": "srt"}, "response_format"), ({"path": DIARIZE, "prompt": "Ann"}, "prompt"),
])  # fmt: skip
def test_a_wrong_form_is_refused(
    http: httpx.Client, sim: ControlClient, more: dict[str, Any], param: str | None
) -> None:
    response = transcribe(http, **more)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    assert sim.bill() == []


@pytest.mark.parametrize(("content_type", "content"), [
    ("multipart/form-data; boundary=x", b"no boundary at all"), ("multipart/form-data", b"--x\r\n\r\n--x--"),
    ("multipart/form-data; boundary=x", b"--x\r\nbroken"), ("application/json", b"{}"),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n"),
])  # fmt: skip
def test_a_malformed_form_is_a_400(http: httpx.Client, content_type: str, content: bytes) -> None:
    response = http.post(PATH, content=content, headers={"content-type": content_type})
    assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")


def test_a_form_without_a_file_is_refused(http: httpx.Client) -> None:
    response = http.post(PATH, files={"language": (None, "en")})
    assert response.json()["error"]["message"] == "Missing required parameter: 'file'."


def test_the_file_may_be_named_in_a_field(http: httpx.Client) -> None:
    boundary = b'--x\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n' + MP3
    content = boundary + b'\r\n--x\r\nContent-Disposition: form-data; name="filename"\r\n\r\na.mp3\r\n--x--\r\n'
    response = http.post(PATH, content=content, headers={"content-type": "multipart/form-data; boundary=x"})
    assert response.status_code == 200


def test_the_classic_path_names_the_deployment_and_v1_the_form(http: httpx.Client) -> None:
    assert transcribe(http, model="nonsense").status_code == 200
    v1 = "/east/openai/v1/audio/transcriptions"
    assert transcribe(http, path=v1, model="whisper").status_code == 404
    preview = v1 + "?api-version=preview"
    assert transcribe(http, path=preview, model="whisper").status_code == 200
    assert transcribe(http, path=preview, model="nonsense").json()["error"]["code"] == "DeploymentNotFound"
    assert transcribe(http, path=preview).json()["error"]["param"] == "model"


@pytest.mark.usefixtures("sim")
def test_the_v1_sdk_transcribes(url: str) -> None:
    client = OpenAI(base_url=url + "/east/openai/v1", api_key="sim-key-east", default_query={"api-version": "preview"})
    with client:
        assert client.audio.transcriptions.create(model="whisper", file=("a.mp3", MP3)).text


def test_only_whisper_translates(http: httpx.Client) -> None:
    response = transcribe(http, path=NEWER.replace("transcriptions", "translations"))
    assert response.json()["error"]["code"] == "OperationNotSupported"


def test_a_directive_sets_the_number_of_words(http: httpx.Client) -> None:
    assert len(transcribe(http, prompt="[[sim chunks=70]]").json()["text"].split()) == 70


def test_the_record_names_the_deployment_of_a_form(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(deployment="whisper", operation="audio/transcriptions", status=503)
    path = "/east/openai/v1/audio/transcriptions?api-version=preview"
    assert transcribe(http, path=path, model="whisper").status_code == 503
    assert sim.requests()[-1]["deployment"] == "whisper"
