"""What LiteLLM 1.109 gets wrong with Azure OpenAI, one fact each, where no other module is its home."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
from openai import OpenAI

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

OPERATIONS = (
    "chat_completions",
    "responses_create",
    "images_generations",
    "images_edits",
    "audio_transcriptions",
    "audio_translations",
)
pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # openai's word on translations

Client = Callable[["Running"], OpenAI]
ENTRY = """
model_list:
  - model_name: %s
    litellm_params: {model: azure/%s, api_base: $SIM/east, %s}
    model_info: {%s}
"""
KEY = "api_key: sim-key-east"
HELLO: list[Any] = [{"role": "user", "content": "Say json hello."}]
# A schema that LiteLLM flattens, and a pattern that Python's re does not know.
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "look",
        "parameters": {
            "type": "object",
            "properties": {"at": {"anyOf": [{"type": "string", "pattern": "^\\p{L}+$"}, {"type": "null"}]}},
            "required": ["at"],
        },
    },
}
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)


def entry(name: str, *, model: str = "", params: str = KEY, info: str = "") -> str:
    return ENTRY % (name, model or name, params, info)


def ask(client: OpenAI, model: str, **fields: Any) -> Any:
    return client.chat.completions.create(**{"model": model, "messages": HELLO, **fields})


def sound() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16_000))
    return out.getvalue()


def token(run: Running) -> str:
    """A token as the identity endpoint gives one."""
    answer = httpx.get(
        run.sim_url + "/_sim/identity/token",
        params={"resource": "https://cognitiveservices.azure.com", "api-version": "2019-08-01"},
        headers={"x-identity-header": "sim-identity-header"},
    )
    return str(answer.json()["access_token"])


# --- api-versions


@pytest.mark.parametrize("version", ["2024-02-01", "2024-10-21", "2024-12-01-preview"])
@pytest.mark.parametrize("path", ["transcriptions", "translations"])
def test_speech_is_heard_with_the_entrys_own_api_version(
    spillway: Spillway, client: Client, path: str, version: str
) -> None:
    run = spillway(entry("whisper", params=f'{KEY}, api_version: "{version}"'))
    api: Any = getattr(client(run).audio, path)
    assert api.create(model="whisper", file=("a.wav", sound())).text
    [sent] = run.sim.requests()
    assert sent["query"] == {"api-version": version}
    assert sent["path"] == f"/east/openai/deployments/whisper/audio/{path}"


@pytest.mark.parametrize("version", ["2023-05-15", "2024-02-01", "2024-06-01", "2024-10-21", "v1"])
@pytest.mark.parametrize(
    "fields",
    [
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}},
        {"tools": [TOOL], "tool_choice": "required"},
        {"tools": [TOOL], "tool_choice": "auto"},
    ],
    ids=["json_object", "json_schema", "required", "auto"],
)
@pytest.mark.parametrize("model", ["gpt-4o", "chatgpt-functioncalling"])
def test_a_format_and_a_tool_choice_are_sent_as_asked_for_with_any_api_version(
    spillway: Spillway, client: Client, model: str, fields: dict[str, Any], version: str
) -> None:
    info = "base_model: gpt-35-turbo-1106" if model != "gpt-4o" else ""
    run = spillway(entry(model, params=f'{KEY}, api_version: "{version}"', info=info))
    assert ask(client(run), model, **fields).choices
    sent = run.sent()[0]["json"]
    assert {name: sent[name] for name in fields} == fields


# --- what a model is, by its name


@pytest.mark.parametrize(
    ("deployment", "model"),
    [
        ("o4-mini", "o4-mini"),
        ("o3-mini", "o3-mini"),
        ("my-o3-deployment", "my-o3-deployment"),
        ("o4-mini", "o_series/o4-mini"),
        ("demo1-gpt4o", "demo1-gpt4o"),
        ("gpt-5", "gpt5_series/gpt-5"),
    ],
)
def test_a_model_that_can_stream_streams_itself(
    spillway: Spillway, client: Client, deployment: str, model: str
) -> None:
    run = spillway(entry("m", model=model))
    chunks = list(ask(client(run), "m", stream=True))
    assert run.sent()[0]["deployment"] == deployment
    assert run.sent()[0]["json"]["stream"] is True
    assert len([chunk for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]) > 1


def test_a_stream_of_the_one_model_that_cannot_is_made_of_its_whole_answer(spillway: Spillway, client: Client) -> None:
    run = spillway(entry("o1"))
    chunks = list(ask(client(run), "o1", stream=True))
    assert "stream" not in run.sent()[0]["json"]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert ["prompt_filter_results" in chunk.model_dump() for chunk in chunks] == [True, False]


def test_a_name_with_o1_inside_a_word_is_no_reasoning_model(spillway: Spillway, client: Client) -> None:
    run = spillway(entry("demo1-gpt4o"))
    messages = [{"role": "system", "content": "Be short."}, *HELLO]
    fields = {"messages": messages, "temperature": 0.3, "top_p": 0.5, "max_tokens": 9}
    assert ask(client(run), "demo1-gpt4o", **fields).choices
    assert run.sent()[0]["json"] == {"model": "demo1-gpt4o", **fields}


@pytest.mark.parametrize("model", ["o3-mini", "o4-mini", "o1", "my-o3-deployment", "o_series/o4-mini"])
def test_a_system_message_stays_one(spillway: Spillway, client: Client, model: str) -> None:
    run = spillway(entry("m", model=model))
    messages = [{"role": "system", "content": "Be short."}, *HELLO]
    assert ask(client(run), "m", messages=messages).choices
    assert run.sent()[0]["json"]["messages"] == messages


def test_gpt5_is_known_without_its_hyphen(spillway: Spillway, client: Client) -> None:
    run = spillway(entry("m", model="my-gpt5"))
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client(run), "m", temperature=0.3)
    assert refused.value.param == "temperature"
    with pytest.raises(openai.NotFoundError):  # the simulator has no such deployment; what counts is what it was asked
        ask(client(run), "m", max_tokens=9)
    [sent] = run.sim.requests()
    assert '"max_completion_tokens":9' in sent["body"]
    assert '"max_tokens"' not in sent["body"]


# --- requests that are rewritten


def test_tools_and_pictures_of_tools_are_sent_as_they_are(spillway: Spillway, client: Client) -> None:
    run = spillway(entry("gpt-4o"))
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages: list[Any] = [
        *HELLO,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]},
    ]
    assert ask(client(run), "gpt-4o", messages=messages, tools=[TOOL]).choices
    assert run.sent()[0]["json"] == {"model": "gpt-4o", "messages": messages, "tools": [TOOL]}


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_with_tools_that_reasons_stays_a_chat(spillway: Spillway, client: Client, stream: bool) -> None:
    run = spillway(entry("new", model="gpt-5", info="base_model: gpt-5.4"))
    answer = ask(client(run), "new", tools=[TOOL], reasoning_effort="low", stream=stream)
    assert list(answer) if stream else answer.choices
    assert [sent["operation"] for sent in run.sent()] == ["chat/completions"]


@pytest.mark.parametrize("key", [KEY, "azure_ad_token: TOKEN", f"{KEY}, azure_ad_token: TOKEN"])
@pytest.mark.parametrize("path", ["images/generations", "images/edits"])
def test_a_token_signs_a_picture_and_is_not_in_its_body(
    spillway: Spillway, client: Client, path: str, key: str
) -> None:
    secret = token(spillway(entry("gpt-image-1")))
    run = spillway(entry("gpt-image-1", params=key.replace("TOKEN", secret)))
    if path == "images/generations":
        assert client(run).images.generate(model="gpt-image-1", prompt="a cat", quality="low").data
    else:
        file = ("a.png", base64.b64decode(PIXEL.partition(",")[2]))
        assert client(run).images.edit(model="gpt-image-1", image=file, prompt="a hat", quality="low").data
    [sent] = [one for one in run.sim.requests() if one["operation"] == path]
    assert secret not in sent["body"]
    assert "azure_ad_token" not in sent["body"]
    assert ("api-key" in sent["headers"], "authorization" in sent["headers"]) == (KEY in key, KEY not in key)


def test_a_field_of_responses_that_is_not_listed_anywhere_is_sent(spillway: Spillway) -> None:
    """LiteLLM drops `context_management`, and refuses `service_tier` and `safety_identifier` for gpt-4o."""
    run = spillway(entry("gpt-4o"))
    fields = {
        "context_management": [{"type": "compaction", "compact_threshold": 1000}],
        "service_tier": "auto",
        "safety_identifier": "ann",
        "metadata": {"a": "b"},
    }
    answer = run.http.post("/v1/responses", json={"model": "gpt-4o", "input": "hello", **fields})
    assert run.sent()[0]["json"].items() >= fields.items()
    assert "context_management" in answer.text  # which this simulated Azure does not know: its word, not ours


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_with_what_litellm_refuses_for_gpt_4o_is_served(
    spillway: Spillway, client: Client, stream: bool
) -> None:
    run = spillway(entry("gpt-4o"))
    fields: dict[str, Any] = {"service_tier": "auto", "safety_identifier": "ann", "metadata": {"a": "b"}}
    answer = ask(client(run), "gpt-4o", stream=stream, **fields)
    assert list(answer) if stream else answer.choices
    assert run.sent()[0]["json"].items() >= fields.items()


# --- answers that are rewritten


def test_an_answer_that_did_not_fit_is_azures_400_and_no_made_up_answer(spillway: Spillway, client: Client) -> None:
    run = spillway(entry("gpt-5"))
    message = "Could not finish the message because max_tokens or model output limit was reached."
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    run.sim.fault(status=400, body={"error": error})
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client(run), "gpt-5", max_completion_tokens=9)
    assert message in refused.value.message
    assert len(run.sent()) == 1


@pytest.mark.parametrize("mark", ["'", "’", ""])
@pytest.mark.parametrize("stream", [False, True])
def test_a_filtered_prompt_is_known_by_its_code_whatever_its_words(
    spillway: Spillway, client: Client, mark: str, stream: bool
) -> None:
    run = spillway(entry("gpt-4o"))
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}}
    message = f"The response was filtered due to the prompt triggering Azure OpenAI{mark}s content management policy."
    error = {"message": message, "type": None, "param": "prompt", "code": "content_filter", "status": 400}
    run.sim.fault(status=400, body={"error": {**error, "innererror": inner}})
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client(run), "gpt-4o", stream=stream)
    assert refused.value.code == "content_filter"
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["innererror"] == inner
    assert run.calls()[0]["code"] == "content_filter"


def test_a_400_that_only_speaks_of_a_filter_is_none(spillway: Spillway, client: Client) -> None:
    run = spillway(entry("gpt-4o"))
    error = {"message": "Internal server error: content_filter, rate limit, DeploymentNotFound.", "code": "BadRequest"}
    run.sim.fault(status=400, body={"error": error})
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client(run), "gpt-4o")
    assert refused.value.code == "BadRequest"


def test_usage_has_no_field_of_the_gateways_own(spillway: Spillway) -> None:
    run = spillway(entry("gpt-4o"))
    known = {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"}
    assert set(run.chat().json()["usage"]) <= known
    streamed = run.chat(stream=True, stream_options={"include_usage": True}).text
    assert '"cost"' not in streamed
    assert streamed.count('"usage":{') == 1


def test_names_of_the_gateways_routes_stay_here(spillway: Spillway, client: Client) -> None:
    run = spillway(entry("team/eu/chat", model="gpt5_series/gpt-5"))
    assert ask(client(run), "team/eu/chat").choices
    [sent] = run.sent()
    assert (sent["deployment"], sent["json"]["model"]) == ("gpt-5", "gpt-5")
    assert "team" not in sent["body"] + sent["path"]
