"""Chat through the openai package, as applications use it: both clients, sync and async, whole and streamed."""

from __future__ import annotations

import asyncio
import base64
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import openai
import orjson
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, AsyncStream, AzureOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

OPERATIONS = ("chat_completions",)

HELLO = [{"role": "user", "content": "hello"}]
WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["c", "f"]}},
            "required": ["city", "unit"],
        },
    },
}
WEATHER = [{"role": "user", "content": "Compare the weather in Paris, Tokyo and Oslo."}]
PREVIEW = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east, api_version: 2025-04-01-preview}
"""


@dataclass(frozen=True)
class Sdk:
    """One way of using the openai package. Clients do not retry and do not load certificates."""

    kind: Literal["openai", "azure", "azure_deployment"]
    is_async: bool

    def __str__(self) -> str:
        return f"{self.kind}-{'async' if self.is_async else 'sync'}"

    def use(self, run: Running, ask: Callable[[Any], Any]) -> Any:
        """What `ask(client)` gives; a stream as the list of its chunks."""
        options: dict[str, Any] = {"api_key": run.key, "max_retries": 0}
        if self.kind == "openai":
            options["base_url"] = run.url + "/v1"
        else:
            options |= {"azure_endpoint": run.url, "api_version": "2024-10-21"}
        if self.kind == "azure_deployment":
            options["azure_deployment"] = "gpt-4o"
        return asyncio.run(self._use_async(options, ask)) if self.is_async else self._use_sync(options, ask)

    def create(self, run: Running, **body: Any) -> Any:
        """`chat.completions.create`: a ChatCompletion, or a list of chunks."""
        body = {"model": "gpt-4o", "messages": HELLO, **body}
        return self.use(run, lambda client: client.chat.completions.create(**body))

    def _use_sync(self, options: dict[str, Any], ask: Callable[[Any], Any]) -> Any:
        kind = OpenAI if self.kind == "openai" else AzureOpenAI
        with kind(**options, http_client=openai.DefaultHttpxClient(verify=False)) as client:
            answer = ask(client)
            return list(answer) if isinstance(answer, openai.Stream) else answer

    async def _use_async(self, options: dict[str, Any], ask: Callable[[Any], Any]) -> Any:
        kind = AsyncOpenAI if self.kind == "openai" else AsyncAzureOpenAI
        async with kind(**options, http_client=openai.DefaultAsyncHttpxClient(verify=False)) as client:
            answer = await ask(client)
            return [chunk async for chunk in answer] if isinstance(answer, AsyncStream) else answer


@dataclass
class Said:
    """One choice of an answer, whole or assembled from its deltas."""

    content: str | None = None
    tool_calls: list[tuple[str, str, str]] | None = None
    finish_reason: str | None = None


SYNC = Sdk("openai", False)
SDKS = [SYNC, Sdk("openai", True), Sdk("azure", False), Sdk("azure_deployment", True)]


@pytest.fixture(params=SDKS, ids=str)
def sdk(request: pytest.FixtureRequest) -> Sdk:
    found: Sdk = request.param
    return found


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def said(answer: ChatCompletion | list[ChatCompletionChunk]) -> list[Said]:
    """The choices of an answer, by index."""
    if isinstance(answer, ChatCompletion):
        return [_whole(choice) for choice in answer.choices]
    found: dict[int, Said] = defaultdict(Said)
    calls: dict[tuple[int, int], list[str]] = {}
    for chunk in answer:
        for choice in chunk.choices:
            one = found[choice.index]
            if choice.delta.content:
                one.content = (one.content or "") + choice.delta.content
            for call in choice.delta.tool_calls or ():
                parts = calls.setdefault((choice.index, call.index), ["", "", ""])
                parts[0] += call.id or ""
                if call.function is not None:
                    parts[1] += call.function.name or ""
                    parts[2] += call.function.arguments or ""
            one.finish_reason = choice.finish_reason or one.finish_reason
    for (index, _), (call_id, name, arguments) in sorted(calls.items()):
        one = found[index]
        one.tool_calls = [*(one.tool_calls or ()), (call_id, name, arguments)]
    return [found[index] for index in sorted(found)]


def _whole(choice: Any) -> Said:
    calls = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()]
    return Said(choice.message.content or None, calls or None, choice.finish_reason)


def test_an_answer_is_what_the_model_said_and_ends_with_stop(spillway: Spillway, sdk: Sdk, stream: bool) -> None:
    run = spillway()
    [one] = said(sdk.create(run, stream=stream))
    assert one.content is not None
    assert len(one.content.split()) >= 12
    assert one.finish_reason == "stop"


def test_a_stream_says_the_same_as_a_whole_answer(spillway: Spillway, sdk: Sdk) -> None:
    run = spillway()
    assert said(sdk.create(run, stream=True)) == said(sdk.create(run))


@pytest.mark.parametrize("lang", ["zh", "odd"])
def test_text_of_every_script_arrives_unchanged(spillway: Spillway, lang: str) -> None:
    run = spillway()
    messages = [{"role": "user", "content": f"hello [[sim lang={lang} chunks=200]]"}]
    whole = said(SYNC.create(run, messages=messages))
    assert said(SYNC.create(run, messages=messages, stream=True)) == whole
    assert not str(whole[0].content).isascii()


def test_usage_is_what_the_upstream_counted_in_bill_sdk_and_log(spillway: Spillway, sdk: Sdk, stream: bool) -> None:
    run = spillway()
    options = {"stream_options": {"include_usage": True}} if stream else {}
    answer = sdk.create(run, stream=stream, **options)
    usage = answer[-1].usage if stream else answer.usage
    [line] = run.sim.bill()
    [call] = run.calls()
    billed = (line["prompt_tokens"], line["completion_tokens"])
    assert (usage.prompt_tokens, usage.completion_tokens) == billed
    assert (call["prompt_tokens"], call["completion_tokens"], call["usage_source"]) == (*billed, "upstream")
    assert line["finished"]


def test_usage_that_was_asked_for_comes_in_one_last_chunk_without_choices(spillway: Spillway, sdk: Sdk) -> None:
    chunks = sdk.create(spillway(), stream=True, stream_options={"include_usage": True})
    assert [bool(chunk.usage) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].choices == []


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}])
def test_usage_that_was_not_asked_for_is_not_seen(spillway: Spillway, options: dict[str, bool] | None) -> None:
    body = {} if options is None else {"stream_options": options}
    for chunk in SYNC.create(spillway(), stream=True, **body):
        assert chunk.usage is None
        assert chunk.choices != []


@pytest.mark.parametrize("options", [None, {"include_usage": False}])
def test_usage_is_always_asked_of_the_upstream_in_a_stream(
    spillway: Spillway, sdk: Sdk, options: dict[str, bool] | None
) -> None:
    run = spillway()
    sdk.create(run, stream=True, **({} if options is None else {"stream_options": options}))
    [sent] = run.sent()
    assert sent["json"]["stream_options"] == {"include_usage": True}


def test_usage_is_not_asked_of_the_upstream_in_a_whole_answer(spillway: Spillway) -> None:
    run = spillway()
    SYNC.create(run)
    assert "stream_options" not in run.sent()[0]["json"]


def test_cached_tokens_are_told_and_recorded(spillway: Spillway) -> None:
    run = spillway()
    messages = [{"role": "user", "content": "valley " * 2000}]
    SYNC.create(run, messages=messages)
    usage = SYNC.create(run, messages=messages).usage
    assert usage.prompt_tokens_details.cached_tokens > 1000
    assert run.calls(2)[1]["cached_tokens"] == usage.prompt_tokens_details.cached_tokens


def test_reasoning_tokens_are_told_and_recorded(spillway: Spillway, stream: bool) -> None:
    run = spillway(PREVIEW.replace("gpt-4o", "o4-mini"))
    answer = SYNC.create(run, model="o4-mini", reasoning_effort="high", stream=stream)
    [call] = run.calls()
    assert call["reasoning_tokens"] == 448 == run.sim.bill()[0]["reasoning_tokens"]
    assert stream or answer.usage.completion_tokens_details.reasoning_tokens == 448


def test_parallel_tool_calls_come_whole_and_in_deltas_alike(spillway: Spillway, sdk: Sdk) -> None:
    run = spillway()
    body: dict[str, Any] = {"messages": WEATHER, "tools": [WEATHER_TOOL], "parallel_tool_calls": True}
    [whole] = said(sdk.create(run, **body))
    [streamed] = said(sdk.create(run, **body, stream=True))
    assert streamed == whole
    assert whole.finish_reason == "tool_calls"
    assert whole.tool_calls is not None
    cities = [orjson.loads(arguments)["city"] for _, _, arguments in whole.tool_calls]
    assert cities == ["Paris", "Tokyo", "Oslo"]
    assert len({call_id for call_id, _, _ in whole.tool_calls}) == 3


def test_one_tool_call_when_parallel_ones_are_not_wanted(spillway: Spillway, stream: bool) -> None:
    body = {"messages": WEATHER, "tools": [WEATHER_TOOL], "parallel_tool_calls": False, "stream": stream}
    [one] = said(SYNC.create(spillway(), **body))
    assert one.tool_calls is not None
    assert len(one.tool_calls) == 1


def test_the_model_answers_in_words_when_it_has_the_tools_results(spillway: Spillway, sdk: Sdk, stream: bool) -> None:
    run = spillway()
    asked = sdk.create(run, messages=WEATHER, tools=[WEATHER_TOOL]).choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in asked.tool_calls]
    messages = [*WEATHER, asked.model_dump(exclude_none=True), *results]
    [one] = said(sdk.create(run, messages=messages, tools=[WEATHER_TOOL], stream=stream))
    assert one.finish_reason == "stop"
    assert one.content


def test_the_old_functions_and_function_call_work(spillway: Spillway, stream: bool) -> None:
    run = spillway()
    function = WEATHER_TOOL["function"]
    answer = SYNC.create(run, messages=WEATHER, functions=[function], function_call="auto", stream=stream)
    if stream:
        deltas = [chunk.choices[0].delta.function_call for chunk in answer]
        assert orjson.loads("".join(delta.arguments or "" for delta in deltas if delta))["city"] == "Paris"
    else:
        assert orjson.loads(answer.choices[0].message.function_call.arguments)["city"] == "Paris"


def test_images_reach_the_model_untouched_and_are_counted(spillway: Spillway, sdk: Sdk, stream: bool) -> None:
    run = spillway()
    url = "data:image/png;base64," + base64.b64encode(b"\x89PNG" * 100).decode()
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    messages = [{"role": "user", "content": parts}]
    sdk.create(run, messages=messages, stream=stream)
    assert run.sent()[0]["json"]["messages"] == messages
    assert run.calls()[0]["prompt_tokens"] == run.sim.bill()[0]["prompt_tokens"] > 765


class Forecast(BaseModel):
    city: str
    degrees: float
    dry: bool


def test_parse_gives_the_pydantic_object(spillway: Spillway, sdk: Sdk) -> None:
    answer = sdk.use(
        spillway(),
        lambda client: client.chat.completions.parse(model="gpt-4o", messages=WEATHER, response_format=Forecast),
    )
    assert answer.choices[0].message.parsed == Forecast(city="Paris", degrees=1.5, dry=True)


def test_the_stream_helper_gives_the_pydantic_object(spillway: Spillway) -> None:
    def parsed(client: OpenAI) -> Forecast | None:
        with client.chat.completions.stream(model="gpt-4o", messages=WEATHER, response_format=Forecast) as events:  # type: ignore[arg-type]
            return events.get_final_completion().choices[0].message.parsed

    assert SYNC.use(spillway(), parsed) == Forecast(city="Paris", degrees=1.5, dry=True)


def test_json_object_is_json(spillway: Spillway, sdk: Sdk, stream: bool) -> None:
    messages = [{"role": "user", "content": "Answer in json."}]
    body = {"messages": messages, "response_format": {"type": "json_object"}, "stream": stream}
    [one] = said(sdk.create(spillway(), **body))
    assert set(orjson.loads(one.content or "")) == {"answer"}


def test_n_choices_come_apart(spillway: Spillway, sdk: Sdk, stream: bool) -> None:
    first, second = said(sdk.create(spillway(), n=2, stream=stream))
    assert first.content
    assert second.content
    assert first.content != second.content


def test_stop_ends_the_text_before_the_word(spillway: Spillway, stream: bool) -> None:
    run = spillway()
    [full] = said(SYNC.create(run))
    words = str(full.content).split()
    [one] = said(SYNC.create(run, stop=[f" {words[5]}"], stream=stream))
    assert str(one.content).split() == words[: words.index(words[5])]


def test_a_seed_gives_the_same_answer_again(spillway: Spillway, stream: bool) -> None:
    run = spillway()
    seven, again, eight = (said(SYNC.create(run, seed=seed, stream=stream)) for seed in (7, 7, 8))
    assert seven == again
    assert seven != eight


def test_max_tokens_ends_with_length(spillway: Spillway, stream: bool) -> None:
    run = spillway()
    [one] = said(SYNC.create(run, max_tokens=5, stream=stream))
    assert one.finish_reason == "length"
    assert run.calls()[0]["completion_tokens"] == 5


def test_logprobs_come_through(spillway: Spillway, sdk: Sdk, stream: bool) -> None:
    answer = sdk.create(spillway(), logprobs=True, stream=stream)
    choices = [chunk.choices[0] for chunk in answer] if stream else [answer.choices[0]]
    tokens = [token.token for choice in choices if choice.logprobs for token in choice.logprobs.content or ()]
    assert "".join(tokens) == said(answer)[0].content


def test_the_upstream_gets_the_clients_json_and_the_deployments_name(spillway: Spillway, sdk: Sdk) -> None:
    run = spillway(PREVIEW)
    extra = {
        "data_sources": [{"type": "azure_search", "parameters": {"endpoint": "https://s.example", "index_name": "i"}}],
        "user_security_context": {"application_name": "tests", "end_user_id": "u-1"},
    }
    body = {"messages": HELLO, "user": "u-1", "temperature": 0.25, "metadata": {"k": "ü"}, "logit_bias": {"50256": -1}}
    sdk.create(run, **body, extra_body=extra)
    assert run.sent()[0]["json"] == {"model": "gpt-4o", **body, **extra}


def test_no_header_of_the_client_reaches_the_upstream(spillway: Spillway, sdk: Sdk) -> None:
    run = spillway()
    headers = {f"x-mine-{number}": "1" for number in range(12)} | {"cookie": "c=1", "openai-organization": "org"}
    sdk.create(run, extra_headers=headers)
    sent = run.sent()[0]["headers"]
    assert not [name for name in sent if name.startswith(("x-mine", "x-stainless", "cookie", "openai-"))]
    assert sent["user-agent"] == "spillway"


def test_the_attempts_id_reaches_azure_for_its_logs(spillway: Spillway) -> None:
    run = spillway()
    SYNC.create(run)
    [call] = run.calls()
    assert run.sim.bill()[0]["client_request_id"] == f"{call['call_id']}.1"


def test_headers_tell_who_served_and_what_is_left(spillway: Spillway, sdk: Sdk, stream: bool) -> None:
    run = spillway()
    run.sim.deployment("east", "gpt-4o", tpm=10_000, rpm=60)
    body: dict[str, Any] = {"model": "gpt-4o", "messages": HELLO, "stream": stream}
    headers = sdk.use(run, lambda client: client.chat.completions.with_raw_response.create(**body)).headers
    assert headers["x-spillway-deployment"] == "gpt-4o"
    assert headers["x-spillway-model-id"] == "east-gpt-4o"
    assert headers["x-spillway-attempts"] == "1"
    assert headers["x-spillway-call-id"] == run.calls()[0]["call_id"]
    assert headers["x-request-id"]
    assert headers["x-ratelimit-limit-tokens"] == "10000"
    assert int(headers["x-ratelimit-remaining-tokens"]) < 10_000
    assert headers["x-ratelimit-limit-requests"] == "60"
    assert headers["x-ratelimit-remaining-requests"] == "59"


def test_limits_that_azure_does_not_know_are_not_told(spillway: Spillway) -> None:
    run = spillway()
    run.sim.deployment("east", "gpt-4o", tpm=10_000, ratelimit_headers="minus_one")
    assert not [name for name in run.chat().headers if name.startswith("x-ratelimit-")]


def test_headers_tell_nothing_of_the_upstream(spillway: Spillway, stream: bool) -> None:
    run = spillway()
    answer = run.chat(stream=stream)
    run.assert_discreet(str(answer.headers), answer.text)
    for name in ("x-ms-client-request-id", "azureml-model-session", "x-ms-deployment-name", "server"):
        assert name not in answer.headers


def test_a_stream_is_not_cached_or_buffered_on_its_way(spillway: Spillway) -> None:
    answer = spillway().chat(stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"


def test_filter_results_stay_where_azure_puts_them(spillway: Spillway, sdk: Sdk) -> None:
    answer: Any = sdk.create(spillway())
    assert answer.choices[0].model_extra["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"}
    assert answer.model_extra["prompt_filter_results"][0]["content_filter_results"]["jailbreak"]["detected"] is False


def test_the_prompts_filter_results_are_in_the_first_chunk_of_a_stream(spillway: Spillway, sdk: Sdk) -> None:
    chunks = sdk.create(spillway(), stream=True)
    results: list[Any] = [(chunk.model_extra or {}).get("prompt_filter_results") for chunk in chunks]
    assert results[0][0]["content_filter_results"]["jailbreak"]["detected"] is False
    assert results[1:] == [None] * (len(chunks) - 1)
    assert chunks[0].choices[0].delta.role == "assistant"


def test_a_streams_chunks_carry_their_filter_results(spillway: Spillway) -> None:
    chunks = SYNC.create(spillway(), stream=True)
    assert chunks[1].choices[0].model_extra["content_filter_results"]["violence"]["severity"] == "safe"


@pytest.mark.parametrize("content_filter", ["default", "asynchronous"])
def test_every_chunk_of_a_stream_is_named_and_has_deltas(spillway: Spillway, sdk: Sdk, content_filter: str) -> None:
    run = spillway()
    run.sim.deployment("east", "gpt-4o", content_filter=content_filter)
    chunks = sdk.create(run, stream=True)
    assert len({(chunk.id, chunk.object, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert chunks[0].id.startswith("chatcmpl-")
    assert chunks[0].created > 0
    assert all(choice.delta is not None for chunk in chunks for choice in chunk.choices)


def test_the_asynchronous_filters_annotations_are_kept(spillway: Spillway) -> None:
    run = spillway()
    run.sim.deployment("east", "gpt-4o", content_filter="asynchronous")
    chunks = SYNC.create(run, stream=True)
    [full] = said(chunks)
    offsets = [
        choice.model_extra["content_filter_offsets"]["end_offset"]
        for chunk in chunks
        for choice in chunk.choices
        if "content_filter_offsets" in (choice.model_extra or {})
    ]
    assert offsets[-1] == len(str(full.content))
    assert len(offsets) == 2


@pytest.mark.parametrize("content_filter", ["default", "asynchronous"])
def test_the_strict_stream_helper_takes_both_filters_streams(spillway: Spillway, content_filter: str) -> None:
    run = spillway()
    run.sim.deployment("east", "gpt-4o", content_filter=content_filter)

    def final(client: OpenAI) -> Any:
        with client.chat.completions.stream(model="gpt-4o", messages=HELLO) as events:  # type: ignore[arg-type]
            return events.get_final_completion()

    assert said(SYNC.use(run, final))[0].content == said(SYNC.create(run))[0].content


@pytest.mark.parametrize("content_filter", ["default", "asynchronous"])
def test_a_filtered_answer_ends_with_content_filter(
    spillway: Spillway, sdk: Sdk, stream: bool, content_filter: str
) -> None:
    run = spillway()
    run.sim.deployment("east", "gpt-4o", content_filter=content_filter)
    messages = [{"role": "user", "content": "hello [[sim filter=output]]"}]
    [one] = said(sdk.create(run, messages=messages, stream=stream))
    assert one.finish_reason == "content_filter"
    [call] = run.calls()
    [line] = run.sim.bill()
    assert (call["outcome"], call["completion_tokens"]) == ("ok", line["completion_tokens"])


def test_a_filtered_prompt_is_a_bad_request_that_says_why(spillway: Spillway, sdk: Sdk, stream: bool) -> None:
    run = spillway()
    messages = [{"role": "user", "content": "hello jailbreak-trigger"}]
    with pytest.raises(openai.BadRequestError) as raised:
        sdk.create(run, messages=messages, stream=stream)
    error = raised.value
    assert (error.status_code, error.code, error.param) == (400, "content_filter", "prompt")
    body: Any = error.body
    assert body["innererror"]["content_filter_result"]["jailbreak"] == {"filtered": True, "detected": True}


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"max_tokens": 10**7}, "invalid_value", "max_tokens"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "invalid_value", "messages[0].role"),
        ({"messages": [{"role": "user", "content": "x" * 600_000}]}, "context_length_exceeded", "messages"),
    ],
)
def test_azures_own_400_keeps_code_and_param(
    spillway: Spillway, sdk: Sdk, stream: bool, body: dict[str, Any], code: str, param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        sdk.create(spillway(), **body, stream=stream)
    assert (raised.value.code, raised.value.param) == (code, param)
    assert raised.value.response.headers["x-should-retry"] == "false"


def test_a_timeout_in_the_body_is_the_gateways_and_not_sent_on(spillway: Spillway, stream: bool) -> None:
    run = spillway()
    SYNC.create(run, extra_body={"timeout": 30}, stream=stream)
    assert "timeout" not in run.sent()[0]["json"]


def test_a_call_over_the_timeout_of_its_body_is_a_504_that_is_not_retried(spillway: Spillway, stream: bool) -> None:
    run = spillway()
    messages = [{"role": "user", "content": "hello [[sim first_ms=3000]]"}]
    with pytest.raises(openai.InternalServerError) as raised:
        SYNC.create(run, messages=messages, extra_body={"timeout": 0.1}, stream=stream)
    assert (raised.value.status_code, raised.value.code) == (504, "upstream_timeout")
    assert raised.value.response.headers["x-should-retry"] == "false"
    run.await_rest()


@pytest.mark.parametrize("sdk", SDKS[:3], ids=str)
def test_an_alias_reaches_its_model(spillway: Spillway, sdk: Sdk) -> None:
    run = spillway(PREVIEW + "router_settings:\n  model_group_alias: {fast: gpt-4o}\n")
    assert said(sdk.create(run, model="fast"))[0].content
    assert run.sent()[0]["deployment"] == "gpt-4o"


def test_the_model_of_an_azure_style_path_wins_over_the_bodys(spillway: Spillway) -> None:
    run = spillway()
    path = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    assert run.http.post(path, json={"messages": HELLO, "model": "gpt-35-turbo"}).status_code == 200


def test_a_hundred_calls_at_once_each_get_their_own_answer(spillway: Spillway, stream: bool) -> None:
    run = spillway()

    async def ask() -> list[list[Said]]:
        async with AsyncOpenAI(
            base_url=run.url + "/v1", api_key=run.key, http_client=openai.DefaultAsyncHttpxClient(verify=False)
        ) as client:

            async def one(number: int) -> list[Said]:
                messages: Any = [{"role": "user", "content": f"number {number} [[sim chunks=20 delay_ms=2]]"}]
                answer: Any = await client.chat.completions.create(model="gpt-4o", messages=messages, stream=stream)
                return said([chunk async for chunk in answer] if stream else answer)

            return await asyncio.gather(*(one(number) for number in range(100)))

    answers = asyncio.run(ask())
    assert len({str(one[0].content) for one in answers}) == 100
    calls = run.calls(100)
    billed = sorted((line["prompt_tokens"], line["completion_tokens"]) for line in run.sim.bill())
    assert sorted((call["prompt_tokens"], call["completion_tokens"]) for call in calls) == billed
    run.await_rest()
