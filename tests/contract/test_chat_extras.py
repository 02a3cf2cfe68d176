"""Chat that hears, speaks, sees and looks things up: through the openai package and as the page of 2023 wrote it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from openai import OpenAI

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Running, Spillway

    Client = Callable[[Running], OpenAI]

OPERATIONS = ("chat_completions",)

AUDIO = """
model_list:
  - model_name: audio
    litellm_params:
      model: azure/azure-openai-4o-audio
      api_base: $SIM/east
      api_key: sim-key-east
      api_version: 2025-01-01-preview
    model_info: {id: east}
  - model_name: audio
    litellm_params:
      model: azure/azure-openai-4o-audio
      api_base: $SIM/west
      api_key: sim-key-west
      api_version: 2025-01-01-preview
    model_info: {id: west}
  - model_name: elsewhere
    litellm_params:
      model: azure/azure-openai-4o-audio
      api_base: $SIM/sweden
      api_key: sim-key-sweden
      api_version: 2025-01-01-preview
"""
PLAIN = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east, api_version: "2024-10-21"}
"""
EXTENSIONS = """
model_list:
  - model_name: gpt-4-vision
    litellm_params:
      model: azure/gpt-4o
      base_url: $SIM/east/openai/deployments/gpt-4o/extensions
      api_key: sim-key-east
      api_version: 2023-12-01-preview
"""
SPEECH = [{"role": "user", "content": "I want to try out speech to speech"}]
VOICE = {"voice": "alloy", "format": "wav"}
SEARCH = {
    "type": "AzureCognitiveSearch",
    "parameters": {"endpoint": "https://s.example", "key": "k", "indexName": "dams", "topNDocuments": 5},
}
VISION = {
    "type": "AzureComputerVision",
    "parameters": {"endpoint": "https://v.cognitiveservices.azure.com/", "key": "k"},
}
PICTURE = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Whats in this image?"},
            {"type": "image_url", "image_url": {"url": "https://avatars.example/u/29436595?v=4"}},
        ],
    }
]


def ask(client: OpenAI, **body: Any) -> Any:
    return client.chat.completions.create(
        **{"model": "audio", "messages": SPEECH, "modalities": ["text", "audio"], "audio": VOICE, **body}
    )


def follow_up(audio_id: str) -> list[dict[str, Any]]:
    return [
        *SPEECH,
        {"role": "assistant", "audio": {"id": audio_id}},
        {"role": "user", "content": "Say that again, slower."},
    ]


def test_an_answer_is_spoken_and_written(spillway: Spillway, client: Client) -> None:
    run = spillway(AUDIO)
    spoken = ask(client(run)).choices[0].message.audio
    assert base64.b64decode(spoken.data)[:4] == b"RIFF"
    assert len(spoken.transcript.split()) > 3


def test_a_stream_speaks_in_parts(spillway: Spillway, client: Client) -> None:
    run = spillway(AUDIO)
    chunks = list(ask(client(run), stream=True, audio={"voice": "alloy", "format": "pcm16"}))
    parts = [chunk.choices[0].delta.audio for chunk in chunks if chunk.choices and chunk.choices[0].delta.audio]
    assert len(b"".join(base64.b64decode(part.data or "") for part in parts)) > 100
    assert "".join(part.transcript or "" for part in parts)
    assert len({part.id for part in parts if part.id}) == 1


def test_speech_is_heard(spillway: Spillway, client: Client) -> None:
    run = spillway(AUDIO)
    heard = {"type": "input_audio", "input_audio": {"data": base64.b64encode(b"\0" * 9000).decode(), "format": "wav"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is said?"}, heard]}]
    answer = client(run).chat.completions.create(model="audio", messages=messages, modalities=["text"])  # type: ignore[arg-type]
    assert answer.choices[0].message.content
    assert run.sent()[0]["json"]["messages"] == messages


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_spoken_answer_is_found_again_at_the_resource_that_spoke(spillway: Spillway, stream: bool) -> None:
    run = spillway(AUDIO)
    for _ in range(4):
        voice = {"voice": "alloy", "format": "pcm16"} if stream else VOICE
        with OpenAI(api_key=run.key, base_url=run.url + "/v1", max_retries=0) as client:
            answer = ask(client, stream=stream, audio=voice)
            audio_id = (
                next(
                    chunk.choices[0].delta.audio.id
                    for chunk in answer
                    if chunk.choices and getattr(chunk.choices[0].delta, "audio", None)
                )
                if stream
                else answer.choices[0].message.audio.id
            )
            spoken_at = run.sent()[-1]["resource"]
            for _ in range(3):
                assert ask(client, messages=follow_up(audio_id)).choices[0].message.audio.data
                assert run.sent()[-1]["resource"] == spoken_at


def test_an_id_of_a_spoken_answer_tells_nothing(spillway: Spillway, client: Client) -> None:
    run = spillway(AUDIO)
    audio_id = ask(client(run)).choices[0].message.audio.id
    [sent] = run.sent()
    assert audio_id.startswith("audio_")
    assert len(audio_id) > 80
    ask(client(run), messages=follow_up(audio_id))
    upstream = run.sent()[-1]["json"]["messages"][1]["audio"]["id"]
    assert upstream not in audio_id
    assert sent["resource"] == run.sent()[-1]["resource"]


@pytest.mark.parametrize("audio_id", ["audio_" + "0" * 32, "audio_made-up", "resp_1"])
def test_an_id_that_was_never_given_is_not_found_and_nothing_is_sent(spillway: Spillway, audio_id: str) -> None:
    run = spillway(AUDIO)
    answer = run.chat(model="audio", modalities=["text", "audio"], audio=VOICE, messages=follow_up(audio_id))
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "messages[1].audio.id")
    assert run.sent() == []


def test_an_id_of_a_resource_that_does_not_serve_the_model_is_refused(spillway: Spillway, client: Client) -> None:
    run = spillway(AUDIO)
    audio_id = ask(client(run), model="elsewhere").choices[0].message.audio.id
    answer = run.chat(model="audio", modalities=["text", "audio"], audio=VOICE, messages=follow_up(audio_id))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "model_not_at_resource")


def test_an_error_about_a_spoken_answer_shows_our_id(spillway: Spillway, client: Client) -> None:
    run = spillway(AUDIO)
    audio_id = ask(client(run)).choices[0].message.audio.id
    run.sim.advance(24 * 3600)
    answer = run.chat(model="audio", modalities=["text", "audio"], audio=VOICE, messages=follow_up(audio_id))
    upstream = run.sent()[-1]["json"]["messages"][1]["audio"]["id"]
    assert answer.status_code == 400
    assert upstream not in answer.text
    assert audio_id in answer.text


def test_pictures_are_sent_as_they_came(spillway: Spillway, client: Client) -> None:
    run = spillway(PLAIN)
    answer = client(run).chat.completions.create(model="gpt-4o", messages=PICTURE)  # type: ignore[arg-type]
    assert answer.choices[0].message.content
    assert run.sent()[0]["json"]["messages"] == PICTURE


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_extensions_address_is_sent_the_words_of_2023(spillway: Spillway, client: Client, stream: bool) -> None:
    run = spillway(EXTENSIONS)
    extra = {
        "enhancements": {"ocr": {"enabled": True}, "grounding": {"enabled": True}},
        "dataSources": [VISION],
    }
    answer = client(run).chat.completions.create(
        model="gpt-4-vision",
        messages=PICTURE,  # type: ignore[arg-type]
        stream=stream,
        timeout=5,
        extra_body=extra,
    )
    if stream:
        assert list(answer)
    [sent] = run.sent()
    assert sent["path"] == "/east/openai/deployments/gpt-4o/extensions/chat/completions"
    assert sent["query"]["api-version"] == "2023-12-01-preview"
    assert {name: sent["json"][name] for name in extra} == extra


def test_an_extensions_address_answers_with_its_enhancements(spillway: Spillway) -> None:
    run = spillway(EXTENSIONS)
    body = {"messages": PICTURE, "enhancements": {"grounding": {"enabled": True}}, "dataSources": [VISION]}
    answer = run.http.post("/v1/chat/completions", json={"model": "gpt-4-vision", **body})
    assert answer.json()["choices"][0]["enhancements"]["grounding"]["status"] == "Success"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/openai/deployments/gpt-4o/extensions/chat/completions"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_data_sources_of_2023_reach_todays_address_in_todays_words(spillway: Spillway, path: str, stream: bool) -> None:
    run = spillway(PLAIN)
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "dams?"}], "dataSources": [SEARCH]}
    answer = run.http.post(path, json={**body, "stream": stream})
    assert answer.status_code == 200
    assert "citations" in answer.text
    [sent] = run.sent()
    assert sent["path"] == "/east/openai/deployments/gpt-4o/chat/completions"
    assert "dataSources" not in sent["json"]
    assert sent["json"]["data_sources"] == [
        {
            "type": "azure_search",
            "parameters": {
                "endpoint": "https://s.example",
                "index_name": "dams",
                "top_n_documents": 5,
                "authentication": {"type": "api_key", "key": "k"},
            },
        }
    ]


@pytest.mark.parametrize(
    ("extra", "param"),
    [
        ({"enhancements": {"ocr": {"enabled": True}}}, "enhancements"),
        ({"dataSources": [VISION]}, "dataSources[0].type"),
    ],
)
def test_what_azure_took_away_is_a_clear_400_and_nothing_is_sent(
    spillway: Spillway, extra: dict[str, Any], param: str
) -> None:
    run = spillway(PLAIN)
    answer = run.http.post("/v1/chat/completions", json={"model": "gpt-4o", "messages": PICTURE, **extra})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", param)
    assert "/extensions" in error["message"]
    assert run.sent() == []
