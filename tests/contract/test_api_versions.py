"""An old api-version in the configuration, and requests that need a later one: through the openai package."""

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

OPERATIONS = ("chat_completions", "embeddings", "audio_speech", "audio_transcriptions")

Client = Callable[["Running"], OpenAI]
CONFIG = """
model_list:
  - model_name: chat
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: $KEY, api_version: VERSION}
  - model_name: audio
    litellm_params: {model: azure/azure-openai-4o-audio, api_base: $SIM/east, api_key: $KEY, api_version: VERSION}
  - model_name: think
    litellm_params: {model: azure/o3-mini, api_base: $SIM/east, api_key: $KEY, api_version: VERSION}
  - model_name: embed
    litellm_params: {model: azure/text-embedding-3-small, api_base: $SIM/east, api_key: $KEY, api_version: VERSION}
  - model_name: whisper
    litellm_params: {model: azure/whisper, api_base: $SIM/east, api_key: $KEY, api_version: VERSION}
  - model_name: tts
    litellm_params: {model: azure/tts, api_base: $SIM/east, api_key: $KEY, api_version: VERSION}
"""
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": True}}
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
# What a chat carries, and the version that it is sent with by an entry that has 2024-10-21.
CARRIED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "2024-10-21"),
    "tools": ({"tools": TOOLS, "parallel_tool_calls": False}, "2024-10-21"),
    "json_schema": ({"response_format": SCHEMA}, "2024-10-21"),
    "max_completion_tokens": ({"max_completion_tokens": 9}, "2024-10-21"),
    "reasoning_effort": ({"model": "think", "reasoning_effort": "low"}, "2024-12-01-preview"),
    "store": ({"store": True, "metadata": {"a": "b"}}, "2024-12-01-preview"),
    "user_security_context": (
        {"extra_body": {"user_security_context": {"end_user_id": "u"}}}, "2024-12-01-preview",
    ),
    "prediction": ({"prediction": {"type": "content", "content": "hello"}}, "2025-01-01-preview"),
    "audio": (
        {"model": "audio", "modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "pcm16"}},
        "2025-01-01-preview",
    ),
    "service_tier": ({"service_tier": "auto"}, "2025-04-01-preview"),
    "safety_identifier": ({"safety_identifier": "u", "prompt_cache_key": "k"}, "2025-04-01-preview"),
}  # fmt: skip


def served(spillway: Spillway, version: str, more: str = "") -> Running:
    return spillway(CONFIG.replace("VERSION", f'"{version}"{more}').replace("$KEY", "sim-key-east"))


def sent_with(run: Running) -> str:
    [sent] = run.sent()
    return str(sent["query"]["api-version"])


def ask(client: OpenAI, **fields: Any) -> Any:
    asked: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": "hello"}], **fields}
    return client.chat.completions.create(**asked)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("fields", "version"), CARRIED.values(), ids=CARRIED)
def test_a_chat_is_sent_with_the_version_that_has_what_it_carries(
    spillway: Spillway, client: Client, fields: dict[str, Any], version: str, stream: bool
) -> None:
    run = served(spillway, "2024-10-21")
    answer = ask(client(run), **fields, stream=stream)
    assert list(answer) if stream else answer.choices
    assert sent_with(run) == version


@pytest.mark.parametrize("version", ["2023-05-15", "2023-03-15-preview", "2024-02-01", "2024-06-01"])
def test_versions_of_2023_answer_requests_of_today(spillway: Spillway, client: Client, version: str) -> None:
    run = served(spillway, version)
    for fields, _ in CARRIED.values():
        assert ask(client(run), **fields).choices


def test_exact_sends_what_is_written_and_azure_refuses(spillway: Spillway, client: Client) -> None:
    run = served(spillway, "2024-10-21", ", api_version_policy: exact")
    with pytest.raises(openai.BadRequestError):
        ask(client(run), store=True)
    assert sent_with(run) == "2024-10-21"


def test_the_v1_surface_stays_as_it_is(spillway: Spillway, client: Client) -> None:
    run = served(spillway, "v1")
    assert ask(client(run), store=True).choices
    assert run.sent()[0]["path"].endswith("/openai/v1/chat/completions")


def test_a_raised_version_is_said_once_and_not_by_every_call(spillway: Spillway, client: Client) -> None:
    run = served(spillway, "2024-10-21")
    for _ in range(3):
        ask(client(run), store=True)
    [line] = [line for line in run.log.messages if "lacks store" in line]
    assert "chat (deployment gpt-4o): api_version 2024-10-21 lacks store" in line
    run.assert_discreet()


def test_embeddings_of_chosen_length_need_a_version_that_has_it(spillway: Spillway, client: Client) -> None:
    run = served(spillway, "2023-05-15")
    answer = client(run).embeddings.create(model="embed", input="a", dimensions=8)
    assert len(answer.data[0].embedding) == 8
    assert sent_with(run) == "2024-03-01-preview"


def test_embeddings_of_the_usual_length_do_not(spillway: Spillway, client: Client) -> None:
    run = served(spillway, "2023-05-15")
    assert client(run).embeddings.create(model="embed", input="a").data
    assert sent_with(run) == "2023-05-15"


@pytest.mark.parametrize(("format", "version"), [("mp3", "2024-02-15-preview"), ("wav", "2024-04-01-preview")])
def test_speech_as_wav_needs_a_version_that_has_it(
    spillway: Spillway, client: Client, format: Any, version: str
) -> None:
    run = served(spillway, "2024-02-15-preview")
    assert client(run).audio.speech.create(model="tts", voice="alloy", input="a", response_format=format).read()
    assert sent_with(run) == version


def test_times_of_words_need_a_version_that_has_them(spillway: Spillway, client: Client) -> None:
    run = served(spillway, "2024-02-01")
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16_000))
    answer: Any = client(run).audio.transcriptions.create(
        model="whisper",
        file=("a.wav", out.getvalue()),
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    assert answer.words
    [sent] = run.sim.requests()
    assert sent["query"] == {"api-version": "2024-04-01-preview"}
