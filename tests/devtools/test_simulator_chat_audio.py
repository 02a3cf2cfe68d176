"""Chat that hears and speaks, and chat over data."""

from __future__ import annotations

import base64
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
        azure_endpoint=url + "/east", api_key="sim-key-east", api_version="2025-01-01-preview", max_retries=0
    ) as client:
        yield client


PATH = "/east/openai/deployments/azure-openai-4o-audio/chat/completions?api-version=2025-01-01-preview"
SPOKEN: dict[str, Any] = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}
STREAMED = SPOKEN | {"audio": {"voice": "alloy", "format": "pcm16"}, "stream": True,
                     "stream_options": {"include_usage": True}}  # fmt: skip
HELLO = [{"role": "user", "content": "[[sim chunks=10]]"}]
SEARCH = {"type": "azure_search", "parameters": {"endpoint": "https://search.example", "index_name": "dams"}}
SEARCH_2023 = {"type": "AzureCognitiveSearch", "parameters": {"endpoint": "https://search.example"}}


def ask(http: httpx.Client, messages: Any = HELLO, path: str = PATH, **more: Any) -> Any:
    return http.post(path, json={"messages": messages, **more}).json()


def chunks(http: httpx.Client, path: str = PATH, **more: Any) -> list[dict[str, Any]]:
    raw = http.post(path, json={"messages": HELLO, "stream": True, **more}).content
    blocks = raw.removesuffix(b"data: [DONE]\n\n").removesuffix(b"\n\n").split(b"\n\n")
    return [orjson.loads(block.removeprefix(b"data: ")) for block in blocks]


def hearing(seconds: int = 10, kind: str = "mp3", data: str | None = None) -> list[dict[str, Any]]:
    """A user message with a recording, as the simulator counts its seconds."""
    if data is None:
        data = base64.b64encode(bytes(16_000 * seconds)).decode()
    return [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": data, "format": kind}}]}]


def test_an_answer_is_spoken(http: httpx.Client) -> None:
    message = ask(http, **SPOKEN)["choices"][0]["message"]
    audio = message["audio"]
    assert message["content"] is None
    assert len(audio["transcript"].split()) == 10
    assert base64.b64decode(audio["data"]).startswith(b"RIFF")
    assert audio["id"].startswith("audio_")


@pytest.mark.usefixtures("sim")
def test_both_sdks_get_a_spoken_answer(azure: AzureOpenAI, v1: OpenAI) -> None:
    for client in (azure, v1):
        answer = client.chat.completions.create(
            model="azure-openai-4o-audio", messages=[{"role": "user", "content": "hello"}],
            modalities=["text", "audio"], audio={"voice": "alloy", "format": "mp3"},
        )  # fmt: skip
        assert answer.choices[0].message.audio is not None
        assert base64.b64decode(answer.choices[0].message.audio.data)[:2] == b"\xff\xf3"


def test_sound_is_counted_and_billed_apart(http: httpx.Client, sim: ControlClient) -> None:
    usage = ask(http, hearing(), **SPOKEN)["usage"]
    [line] = sim.bill()
    assert usage["prompt_tokens_details"]["audio_tokens"] == line["input_audio_tokens"] == 100
    assert usage["completion_tokens_details"]["audio_tokens"] == line["output_audio_tokens"] > 0
    assert line["completion_tokens"] == usage["completion_tokens"] > line["output_audio_tokens"]
    assert line["prompt_tokens"] == usage["prompt_tokens"] > 100


def test_a_spoken_stream_has_transcript_sound_and_expiry(http: httpx.Client) -> None:
    deltas = [choice["delta"] for chunk in chunks(http, **STREAMED) for choice in chunk["choices"]]
    parts = [delta["audio"] for delta in deltas if "audio" in delta]
    assert len({part["id"] for part in parts}) == 1
    buffered = ask(http, **SPOKEN | {"audio": STREAMED["audio"]})["choices"][0]["message"]["audio"]
    assert "".join(part.get("transcript", "") for part in parts) == buffered["transcript"]
    sound = b"".join(base64.b64decode(part.get("data", "")) for part in parts)
    assert sound == base64.b64decode(buffered["data"])
    assert parts[-1]["expires_at"] > 0


def test_the_bill_of_a_spoken_stream_agrees_with_its_usage(http: httpx.Client, sim: ControlClient) -> None:
    usage = chunks(http, **STREAMED)[-1]["usage"]
    [line] = sim.bill()
    assert line["completion_tokens"] == usage["completion_tokens"]
    assert line["output_audio_tokens"] == usage["completion_tokens_details"]["audio_tokens"]


def test_a_stream_speaks_pcm16_only(http: httpx.Client) -> None:
    error = ask(http, **SPOKEN, stream=True)["error"]
    assert (error["param"], error["code"]) == ("audio.format", "unsupported_value")


def test_an_earlier_spoken_answer_is_known_at_its_resource_for_an_hour(http: httpx.Client, sim: ControlClient) -> None:
    first = ask(http, **SPOKEN)
    audio_id = first["choices"][0]["message"]["audio"]["id"]
    turn = [*HELLO, {"role": "assistant", "audio": {"id": audio_id}}, {"role": "user", "content": "and then?"}]
    heard = ask(http, turn, **SPOKEN)["usage"]["prompt_tokens_details"]["audio_tokens"]
    assert heard == first["usage"]["completion_tokens_details"]["audio_tokens"]
    with httpx.Client(base_url=http.base_url, headers={"api-key": "sim-key-west"}) as west:
        assert ask(west, turn, PATH.replace("east", "west"), **SPOKEN)["error"]["param"] == "messages.[1].audio.id"
    sim.advance(3600)
    assert "not found or has expired" in ask(http, turn, **SPOKEN)["error"]["message"]


def test_an_audio_model_must_hear_or_speak(http: httpx.Client) -> None:
    assert ask(http)["error"]["param"] == "model"
    assert ask(http, modalities=["text"])["error"]["param"] == "model"
    assert ask(http, hearing())["choices"][0]["message"]["content"]


@pytest.mark.parametrize(("more", "param"), [
    ({"modalities": ["text", "audio"]}, "audio.voice"), ({"modalities": ["smell"]}, "modalities[0]"),
    (SPOKEN | {"audio": {"voice": "alloy"}}, "audio.format"), ({"audio": {"voice": "alloy"}}, "audio"),
    (SPOKEN | {"audio": {"voice": "bob", "format": "wav"}}, "audio.voice"),
    (SPOKEN | {"audio": {"voice": "alloy", "format": "ogg"}}, "audio.format"),
    ({"messages": hearing(kind="ogg")}, "messages.[0].content.[0].input_audio.format"),
    ({"messages": hearing(data="@@@")}, "messages.[0].content.[0].input_audio.data"),
    ({"messages": hearing(data="")}, "messages.[0].content.[0].input_audio.data"),
])  # fmt: skip
def test_a_wrong_value_is_refused(http: httpx.Client, sim: ControlClient, more: dict[str, Any], param: str) -> None:
    response = http.post(PATH, json={"messages": HELLO, **more})
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    assert sim.bill() == []


def test_other_models_neither_hear_nor_speak(http: httpx.Client) -> None:
    path = PATH.replace("azure-openai-4o-audio", "gpt-4o")
    assert ask(http, path=path, **SPOKEN)["error"]["param"] == "modalities"
    assert "Supported values are: 'text' and 'image_url'." in ask(http, hearing(), path)["error"]["message"]


def test_audio_came_with_2025_01_01_preview(http: httpx.Client) -> None:
    error = ask(http, path=PATH.replace("2025-01-01", "2024-12-01"), **SPOKEN)["error"]
    assert error["message"] == "Unrecognized request arguments supplied: modalities, audio"


def test_data_sources_give_a_context_with_citations(http: httpx.Client) -> None:
    path = "/east/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    message = ask(http, path=path, data_sources=[SEARCH])["choices"][0]["message"]
    assert message["context"]["citations"][0]["url"] == "https://data.example/dams.html"
    assert orjson.loads(message["context"]["intent"]) == ["[[sim chunks=10]]"]
    streamed = chunks(http, path, data_sources=[SEARCH])
    assert streamed[1]["choices"][0]["delta"]["context"] == message["context"]


def test_the_extensions_of_2023_give_the_context_as_a_tools_message(http: httpx.Client) -> None:
    path = "/east/openai/deployments/gpt-4o/extensions/chat/completions?api-version=2023-12-01-preview"
    message = ask(http, path=path, dataSources=[SEARCH_2023])["choices"][0]["message"]
    [tool] = message["context"]["messages"]
    assert (tool["role"], tool["end_turn"]) == ("tool", False)
    assert orjson.loads(tool["content"])["citations"][0]["title"] == "Dams"


def test_enhancements_give_a_grounding(http: httpx.Client) -> None:
    path = "/east/openai/deployments/gpt-4-vision/extensions/chat/completions?api-version=2023-12-01-preview"
    vision = {"type": "AzureComputerVision", "parameters": {"endpoint": "https://vision.example", "key": "k"}}
    more = {"enhancements": {"ocr": {"enabled": True}, "grounding": {"enabled": True}}, "dataSources": [vision]}
    choice = ask(http, path=path, **more)["choices"][0]
    assert choice["enhancements"]["grounding"]["status"] == "Success"
    assert "context" not in choice["message"]


@pytest.mark.parametrize(("version", "known"), [
    ("2024-02-15-preview", True), ("2024-03-01-preview", True), ("2024-04-01-preview", False), ("2024-02-01", False),
    ("2023-12-01-preview", False),
])  # fmt: skip
def test_enhancements_left_with_2024_04_01_preview(http: httpx.Client, version: str, known: bool) -> None:
    path = f"/east/openai/deployments/gpt-4-vision/chat/completions?api-version={version}"
    answer = ask(http, path=path, enhancements={"ocr": {"enabled": True}})
    assert ("error" not in answer) is known


@pytest.mark.parametrize(("sources", "param"), [
    ([{"type": "shelf"}], "data_sources[0].type"), ([{"type": "azure_search"}], "data_sources[0].parameters"),
    ({"type": "azure_search"}, "data_sources"), (["azure_search"], "data_sources[0].type"),
])  # fmt: skip
def test_a_wrong_data_source_is_refused(http: httpx.Client, sources: Any, param: str) -> None:
    path = "/east/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    assert ask(http, path=path, data_sources=sources)["error"]["param"] == param
