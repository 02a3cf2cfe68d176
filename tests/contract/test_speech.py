"""Speech over sockets: streamed as it is made, kept in Azurite on the way, given back to its owner, answered again."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
from openai import OpenAI

from devtools.storage import AZURITE

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

OPERATIONS = ("audio_speech", "audio_speech_retrieve")

Client = Callable[["Running"], OpenAI]
CONFIG = """
general_settings: {disconnect_drain_s: 0.3}
model_list:
  - model_name: tts
    litellm_params: {model: azure/tts, api_base: $SIM/east, api_key: sim-key-east, api_version: VERSION}
    model_info: {mode: audio_speech}
  - model_name: speak
    litellm_params: {model: azure/gpt-4o-mini-tts, api_base: $SIM/east, api_key: sim-key-east, api_version: VERSION}
    model_info: {mode: audio_speech}
"""
DATED = CONFIG.replace("VERSION", "2025-04-01-preview")
CACHED = DATED.replace("general_settings: {", "general_settings: {speech_cache: true, ")
ID, CACHE = "x-spillway-speech-id", "x-spillway-cache"
MB = 1024 * 1024
needs_azurite = pytest.mark.skipif(not AZURITE.exists(), reason="Azurite is not installed: run `npm ci`")


@pytest.fixture
def kept(spillway: Spillway, azurite: str) -> Callable[..., Running]:
    """`kept(config)` is Spillway with a storage account."""
    return lambda config=DATED, **env: spillway(config, AzureWebJobsStorage=azurite, **env)


def say(run: Running, text: str = "Hello.", *, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    made = {"model": "tts", "voice": "alloy", "input": text, **body}
    return run.http.post("/v1/audio/speech", json=made, headers=headers)


def again(run: Running, speech_id: str) -> httpx.Response:
    return run.http.get(f"/v1/audio/speech/{speech_id}")


def kept_say(run: Running, text: str = "Hello.", **options: Any) -> httpx.Response:
    """Speech that is asked for, and waited for until it is kept."""
    answer = say(run, text, **options)
    assert stored(run, answer.headers[ID]).status_code == 200
    run.await_rest()
    return answer


def stored(run: Running, speech_id: str) -> httpx.Response:
    """What was kept; on a busy machine storage may take longer than the end of the answer waits for it."""
    until = time.monotonic() + 10
    while (answer := again(run, speech_id)).status_code == 404 and time.monotonic() < until:
        time.sleep(0.05)
    return answer


@pytest.mark.parametrize("version", ['"2024-10-21"', "2025-04-01-preview", "v1", "preview"])
@pytest.mark.parametrize("model", ["tts", "speak"])
def test_speech_comes_through_the_sdks(spillway: Spillway, client: Client, version: str, model: str) -> None:
    run = spillway(CONFIG.replace("VERSION", version))
    audio = client(run).audio.speech.create(model=model, voice="alloy", input="Hello, world.")
    assert audio.response.headers["content-type"] == "audio/mpeg"
    assert audio.read().startswith(b"\xff\xf3")
    [call], [line] = run.calls(), run.sim.bill()
    assert (call["operation"], call["outcome"], call["status"]) == ("audio_speech", "ok", 200)
    assert line["finished"]


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [("mp3", "audio/mpeg"), ("opus", "audio/opus"), ("aac", "audio/aac"), ("flac", "audio/flac"), ("wav", "audio/wav"),
     ("pcm", "audio/pcm")],
)  # fmt: skip
def test_every_format_has_the_upstreams_type(spillway: Spillway, client: Client, kind: Any, content_type: str) -> None:
    audio = client(spillway(DATED)).audio.speech.create(
        model="tts", voice="nova", input="Hello.", response_format=kind, speed=1.5
    )
    assert audio.response.headers["content-type"].partition(";")[0] == content_type


def test_the_first_audio_leaves_before_the_upstream_has_sent_its_last(kept: Callable[..., Running]) -> None:
    run = kept()
    body = {"model": "tts", "voice": "alloy", "input": "a [[sim bytes=200000 chunk_bytes=10000 delay_ms=50]]"}
    with run.http.stream("POST", "/v1/audio/speech", json=body) as answer:
        chunks = answer.iter_raw()
        started = time.monotonic()
        first = next(chunks)
        assert not run.sim.bill()[0]["finished"]
        rest = b"".join(chunks)
    assert time.monotonic() - started > 0.5
    assert len(first) <= 20_000
    assert len(first) + len(rest) == 200_000
    assert stored(run, answer.headers[ID]).content == first + rest


def test_speech_as_events_is_streamed_and_its_audio_is_kept(kept: Callable[..., Running], client: Client) -> None:
    run = kept()
    answer = say(run, "Hello, world. " * 20, model="speak", stream_format="sse", response_format="wav")
    events = [orjson.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    audio = b"".join(base64.b64decode(event["audio"]) for event in events if event["type"] == "speech.audio.delta")
    assert events[-1]["type"] == "speech.audio.done"
    kept_audio = stored(run, answer.headers[ID])
    assert kept_audio.content == audio
    assert kept_audio.headers["content-type"] == "audio/wav"
    [call], [line] = run.calls(), run.sim.bill()
    assert (call["prompt_tokens"], call["completion_tokens"]) == (line["prompt_tokens"], line["completion_tokens"])


@needs_azurite
@pytest.mark.parametrize("size", [1, 500_000, 3 * MB], ids=["a byte", "one block", "several blocks"])
def test_what_was_heard_is_given_back(kept: Callable[..., Running], size: int) -> None:
    run = kept()
    answer = say(run, f"a [[sim bytes={size} chunk_bytes=65536]]", response_format="wav")
    assert len(answer.content) == size
    for _ in range(2):
        once_more = stored(run, answer.headers[ID])
        assert once_more.content == answer.content
        assert once_more.headers["content-type"] == "audio/wav"
        assert once_more.headers[ID] == answer.headers[ID]
    assert len(run.sim.bill()) == 1
    run.await_rest()


@needs_azurite
def test_a_part_of_what_was_heard_is_given_back(kept: Callable[..., Running]) -> None:
    run = kept()
    answer = kept_say(run, "a [[sim bytes=1500000 chunk_bytes=65536]]", response_format="wav")
    path, whole = f"/v1/audio/speech/{answer.headers[ID]}", answer.content
    assert run.http.get(path).headers["accept-ranges"] == "bytes"
    for written, start, end in (
        ("bytes=0-99", 0, 100),
        ("bytes=600000-1300000", 600_000, 1_300_001),
        ("bytes=1499990-", 1_499_990, 1_500_000),
        ("bytes=1499990-9999999", 1_499_990, 1_500_000),
        ("bytes=-10", 1_499_990, 1_500_000),
        ("bytes=-9999999", 0, 1_500_000),
        ("bytes=0-", 0, 1_500_000),
    ):
        part = run.http.get(path, headers={"range": written})
        assert (part.status_code, part.content) == (206, whole[start:end])
        assert part.headers["content-type"] == "audio/wav"
        assert part.headers[ID] == answer.headers[ID]
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/1500000"
    assert len(run.sim.bill()) == 1
    run.await_rest()


@needs_azurite
def test_a_part_that_there_is_not_is_a_416_that_tells_the_size(kept: Callable[..., Running]) -> None:
    run = kept()
    answer = kept_say(run, "a [[sim bytes=1000]]")
    path = f"/v1/audio/speech/{answer.headers[ID]}"
    beyond = run.http.get(path, headers={"range": "bytes=1000-"})
    assert (beyond.status_code, beyond.json()["error"]["code"]) == (416, "range_not_satisfiable")
    assert beyond.headers["content-range"] == "bytes */1000"
    assert run.http.get(path, headers={"range": "bytes=-0"}).status_code == 416
    for several in ("bytes=0-1,5-9", "bytes=9-1", "items=0-1"):
        everything = run.http.get(path, headers={"range": several})
        assert (everything.status_code, everything.content) == (200, answer.content)
    run.await_rest()


@needs_azurite
def test_a_part_of_somebody_elses_audio_is_not_found(kept: Callable[..., Running]) -> None:
    run = kept()
    speech_id = kept_say(run).headers[ID]
    changed = speech_id[:-1] + ("A" if speech_id[-1] != "A" else "B")
    assert run.http.get(f"/v1/audio/speech/{changed}", headers={"range": "bytes=9999999-"}).status_code == 404


@needs_azurite
def test_the_id_works_in_every_spelling_and_on_another_instance(kept: Callable[..., Running]) -> None:
    run = kept()
    answer = say(run)
    stored(run, answer.headers[ID])
    run = kept()
    for prefix in ("/v1", "", "/openai/v1", "/openai"):
        path = f"{prefix}/audio/speech/{answer.headers[ID]}?api-version=2024-10-21"
        assert run.http.get(path).content == answer.content


@needs_azurite
def test_a_changed_unknown_or_foreign_id_is_not_found(kept: Callable[..., Running]) -> None:
    run = kept()
    speech_id = say(run).headers[ID]
    assert speech_id.startswith("speech_")
    changed = speech_id[:-1] + ("A" if speech_id[-1] != "A" else "B")
    for one in (changed, "speech_x", "x", speech_id.replace("speech_", "resp_"), speech_id + "A"):
        answer = again(run, one)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    theirs = kept(SPILLWAY_ALLOW_ANONYMOUS="true")
    del theirs.http.headers["authorization"]
    try:
        assert again(theirs, speech_id).status_code == 404
        own = say(theirs, "Mine.")
        assert stored(theirs, own.headers[ID]).content == own.content
    finally:
        theirs.http.headers["authorization"] = f"Bearer {theirs.key}"
    assert again(theirs, own.headers[ID]).content == own.content  # the master key sees all owners


@needs_azurite
def test_the_same_request_is_answered_from_storage_at_no_cost(kept: Callable[..., Running]) -> None:
    run = kept(CACHED)
    first, second = kept_say(run), say(run)
    assert (first.headers[CACHE], second.headers[CACHE]) == ("miss", "hit")
    assert second.content == first.content
    assert second.headers["content-type"] == first.headers["content-type"]
    assert second.headers[ID] == first.headers[ID]
    assert len(run.sim.bill()) == 1
    call = run.calls(2)[1]
    assert (call["attempts"], call["prompt_tokens"], call["usage_source"]) == (0, 0, "none")
    assert (call["status"], call["outcome"]) == (200, "ok")
    run.await_rest()


@needs_azurite
@pytest.mark.parametrize(
    "other",
    [{"input": "Hello!"}, {"voice": "nova"}, {"model": "speak"}, {"response_format": "wav"}, {"speed": 1.1}],
    ids=str,
)
def test_any_other_request_is_answered_anew(kept: Callable[..., Running], other: dict[str, Any]) -> None:
    run = kept(CACHED)
    text = f"Hello {time.time()}"
    kept_say(run, text)
    assert say(run, **{"text": other.pop("input", text), **other}).headers[CACHE] == "miss"


@needs_azurite
def test_defaults_written_out_are_the_same_request(kept: Callable[..., Running]) -> None:
    run = kept(CACHED)
    kept_say(run, "Defaults.")
    same = say(run, "Defaults.", response_format="mp3", speed=1, stream_format="audio", user="u-1", timeout=9)
    assert same.headers[CACHE] == "hit"


@needs_azurite
def test_the_header_decides_before_the_configuration(kept: Callable[..., Running]) -> None:
    run = kept()
    on, off = {"x-spillway-speech-cache": "true"}, {"x-spillway-speech-cache": "false"}
    assert CACHE not in say(run, "By header.").headers
    assert [kept_say(run, "By header.", headers=on).headers[CACHE] for _ in range(2)] == ["miss", "hit"]
    run = kept(CACHED)
    assert CACHE not in say(run, "By header.", headers=off).headers
    assert say(run, "By header.").headers[CACHE] == "hit"
    wrong = say(run, headers={"x-spillway-speech-cache": "perhaps"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "invalid_value")
    run.await_rest()


@needs_azurite
def test_an_entry_can_have_a_cache_of_its_own(kept: Callable[..., Running]) -> None:
    run = kept(DATED.replace("model: azure/tts,", "model: azure/tts, speech_cache: true,"))
    assert [kept_say(run, "By entry.").headers[CACHE] for _ in range(2)] == ["miss", "hit"]
    assert CACHE not in say(run, "By entry.", model="speak").headers


@needs_azurite
def test_events_are_never_answered_from_storage(kept: Callable[..., Running]) -> None:
    run = kept(CACHED)
    for _ in range(2):
        answer = say(run, "Events.", model="speak", stream_format="sse")
        assert CACHE not in answer.headers
        assert "speech.audio.done" in answer.text
    assert len(run.sim.bill()) == 2


@needs_azurite
def test_what_broke_off_is_neither_kept_nor_cached(kept: Callable[..., Running]) -> None:
    run = kept(CACHED)
    run.sim.fault(operation="audio/speech", cut_after_bytes=700_000)
    body = {"model": "tts", "voice": "alloy", "input": "b [[sim bytes=1000000 delay_ms=1]]"}
    with run.http.stream("POST", "/v1/audio/speech", json=body) as answer, pytest.raises(httpx.RemoteProtocolError):
        answer.read()
    assert again(run, answer.headers[ID]).status_code == 404
    assert say(run, body["input"]).headers[CACHE] == "miss"
    assert run.calls(2)[0]["outcome"] == "broken"
    run.await_rest()


@needs_azurite
@pytest.mark.parametrize(("delay_ms", "found"), [(1, 200), (200, 404)], ids=["drained whole", "cut off"])
def test_what_the_client_left_is_kept_when_it_was_drained_whole(
    kept: Callable[..., Running], delay_ms: int, found: int
) -> None:
    run = kept()
    body = {"model": "tts", "voice": "alloy", "input": f"[[sim bytes=400000 chunk_bytes=20000 delay_ms={delay_ms}]]"}
    with run.http.stream("POST", "/v1/audio/speech", json=body) as answer:
        next(answer.iter_raw())
    run.calls()
    run.await_rest()
    ask = stored if found == 200 else again
    assert ask(run, answer.headers[ID]).status_code == found


def test_without_storage_speech_works_and_has_no_id(spillway: Spillway) -> None:
    run = spillway(CACHED)
    for _ in range(2):
        answer = say(run)
        assert answer.status_code == 200
        assert ID not in answer.headers
    assert again(run, "speech_x").status_code == 404
    assert len([line for line in run.log.messages if "speech is not kept" in line]) == 1


def test_storage_that_is_down_breaks_no_audio(spillway: Spillway) -> None:
    nowhere = (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=a2V5;"
        "BlobEndpoint=http://127.0.0.1:9/devstoreaccount1;"
    )
    run = spillway(CACHED, AzureWebJobsStorage=nowhere)
    say(run)  # loads the storage library
    started = time.monotonic()
    answer = say(run, "a [[sim bytes=2000000]]")
    assert time.monotonic() - started < 2
    assert len(answer.content) == 2_000_000
    assert again(run, answer.headers[ID]).status_code == 503
    run.assert_discreet(again(run, answer.headers[ID]).text)


@needs_azurite
def test_no_retention_keeps_nothing(kept: Callable[..., Running]) -> None:
    run = kept(CACHED.replace("general_settings: {", "general_settings: {speech_retention_days: 0, "))
    assert ID not in say(run).headers


@needs_azurite
def test_a_failover_keeps_the_audio_of_the_deployment_that_spoke(kept: Callable[..., Running]) -> None:
    west = "{model: azure/tts, api_base: $SIM/west, api_key: sim-key-west}"
    config = f"{DATED}  - {{model_name: tts, litellm_params: {west}}}"
    run = kept(config)
    run.sim.fault(resource="east", operation="audio/speech", status=429, times=None)
    for _ in range(3):
        answer = say(run, "Over.")
        assert stored(run, answer.headers[ID]).content == answer.content
    assert {line["resource"] for line in run.sim.bill()} == {"west"}


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": ""}, "input", "invalid_value"),
        ({"input": ["a"]}, "input", "invalid_type"),
        ({"input": "a" * 4097}, "input", "string_above_max_length"),
        ({"voice": None}, "voice", "missing_required_parameter"),
        ({"voice": 7}, "voice", "invalid_type"),
        ({"voice": "ghost"}, "voice", "invalid_value"),
        ({"voice": "marin"}, "voice", "invalid_value"),  # not one of tts
        ({"response_format": "ogg"}, "response_format", "invalid_value"),
        ({"response_format": 3}, "response_format", "invalid_type"),
        ({"speed": "fast"}, "speed", "invalid_type"),
        ({"speed": 5}, "speed", "invalid_value"),
        ({"speed": True}, "speed", "invalid_type"),
        ({"stream_format": "chunks", "model": "speak"}, "stream_format", "invalid_value"),
        ({"stream_format": "sse"}, "stream_format", "unsupported_parameter"),
        ({"instructions": "Whisper."}, "instructions", "unsupported_parameter"),
        ({"instructions": 3, "model": "speak"}, "instructions", "invalid_type"),
        ({"model": "gpt-9"}, "model", "model_not_found"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_billed(
    kept: Callable[..., Running], body: dict[str, Any], param: str, code: str
) -> None:
    run = kept(CACHED)
    answer = run.http.post("/v1/audio/speech", json={"model": "tts", "voice": "alloy", "input": "a", **body})
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (param, code)
    assert answer.status_code in (400, 404)
    assert run.sim.requests() == []
    run.assert_discreet(answer.text)
    run.await_rest()
