from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from openai import AzureOpenAI, BadRequestError

from devtools.serving import serving
from devtools.simulator import ControlClient, create_app

CITY_TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {
    "type": "object",
    "properties": {"location": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
    "required": ["location"],
}}}  # fmt: skip


def ask(http: httpx.Client, text: str | list[dict[str, Any]] = "hello", deployment: str = "gpt-4o", **more: Any) -> Any:
    """The answer's JSON; `text` may be a whole list of messages."""
    messages = text if isinstance(text, list) else [{"role": "user", "content": text}]
    path = f"/east/openai/deployments/{deployment}/chat/completions?api-version=2025-04-01-preview"
    return http.post(path, json={"messages": messages, **more}).json()


def content(answer: Any) -> str:
    text: str = answer["choices"][0]["message"]["content"]
    return text


def test_the_same_prompt_has_the_same_answer_and_another_prompt_another(http: httpx.Client) -> None:
    first = content(ask(http, "one"))
    assert content(ask(http, "one")) == first
    assert content(ask(http, "two")) != first
    assert content(ask(http, "one", seed=7)) != first


def test_another_simulator_seed_gives_another_answer(http: httpx.Client) -> None:
    with serving(create_app(seed=1)) as other, httpx.Client(base_url=other, headers=http.headers) as elsewhere:
        assert content(ask(elsewhere, "one")) != content(ask(http, "one"))


def test_an_answer_has_azures_shape(http: httpx.Client) -> None:
    answer = ask(http)
    assert answer["id"].startswith("chatcmpl-")
    assert (answer["object"], answer["model"]) == ("chat.completion", "gpt-4o-2024-08-06")
    assert answer["prompt_filter_results"][0]["content_filter_results"]["jailbreak"] == {
        "filtered": False, "detected": False,
    }  # fmt: skip
    assert answer["choices"][0]["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"}
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens"] == len(content(answer).split())


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_an_answer_ends_at_its_token_limit(http: httpx.Client, field: str) -> None:
    answer = ask(http, "[[sim chunks=50]]", "gpt-4o", **{field: 7})
    assert (answer["choices"][0]["finish_reason"], answer["usage"]["completion_tokens"]) == ("length", 7)


def test_an_answer_ends_before_a_stop_sequence(http: httpx.Client) -> None:
    whole = content(ask(http, "[[sim chunks=20]]"))
    word = whole.split()[3]
    answer = ask(http, "[[sim chunks=20]]", stop=["never", word])
    assert content(answer) == whole[: whole.index(word)]
    assert answer["choices"][0]["finish_reason"] == "stop"


def test_n_answers_differ_and_are_all_counted(http: httpx.Client) -> None:
    answer = ask(http, "[[sim chunks=10]]", n=3)
    assert len({choice["message"]["content"] for choice in answer["choices"]}) == 3
    assert answer["usage"]["completion_tokens"] == 30


def test_each_known_city_is_one_parallel_tool_call(http: httpx.Client) -> None:
    choice = ask(http, "Weather in San Francisco, Tokyo and Paris?", tools=[CITY_TOOL])["choices"][0]
    calls = choice["message"]["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == [
        '{"location":"San Francisco","unit":"celsius"}',
        '{"location":"Tokyo","unit":"celsius"}',
        '{"location":"Paris","unit":"celsius"}',
    ]
    assert len({call["id"] for call in calls}) == 3
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)


def test_without_a_city_a_tool_is_called_only_when_required(http: httpx.Client) -> None:
    assert content(ask(http, "hello", tools=[CITY_TOOL]))
    assert ask(http, "hello", tools=[CITY_TOOL], tool_choice="required")["choices"][0]["message"]["tool_calls"]
    assert content(ask(http, "in Paris", tools=[CITY_TOOL], tool_choice="none"))


def test_parallel_calls_can_be_switched_off(http: httpx.Client) -> None:
    answer = ask(http, "Paris and Tokyo", tools=[CITY_TOOL], parallel_tool_calls=False)
    assert len(answer["choices"][0]["message"]["tool_calls"]) == 1


def test_a_named_tool_is_called_whatever_the_prompt(http: httpx.Client) -> None:
    other = {"type": "function", "function": {"name": "open_gate"}}
    named = {"type": "function", "function": {"name": "open_gate"}}
    answer = ask(http, "hello", tools=[CITY_TOOL, other], tool_choice=named)
    assert answer["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "open_gate", "arguments": "{}"}


def test_no_more_than_128_tools(http: httpx.Client) -> None:
    assert ask(http, "hello", tools=[CITY_TOOL] * 129)["error"]["code"] == "array_above_max_length"
    assert ask(http, "hello", tools="weather")["error"]["code"] == "invalid_type"


def test_logprobs_name_each_token(http: httpx.Client) -> None:
    choice = ask(http, "[[sim chunks=4]]", logprobs=True)["choices"][0]
    assert "".join(token["token"] for token in choice["logprobs"]["content"]) == choice["message"]["content"]


def test_after_tool_messages_the_answer_is_text(http: httpx.Client) -> None:
    asked = [{"role": "user", "content": "Weather in Paris?"}]
    call = ask(http, asked, tools=[CITY_TOOL])["choices"][0]["message"]
    reply = {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": "20 degrees"}
    assert content(ask(http, [*asked, call, reply], tools=[CITY_TOOL]))


def test_a_tool_message_without_its_call_is_refused(http: httpx.Client) -> None:
    answer = ask(http, [{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "y", "content": "z"}])
    assert answer["error"]["param"] == "messages.[1].role"


def test_the_older_functions_are_called_too(http: httpx.Client) -> None:
    choice = ask(http, "Weather in Paris?", "chatgpt-functioncalling", functions=[CITY_TOOL["function"]])["choices"][0]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"]["name"] == "get_weather"


def test_json_mode_answers_json_and_wants_the_word(http: httpx.Client) -> None:
    json_mode = {"type": "json_object"}
    assert isinstance(orjson.loads(content(ask(http, "as JSON", response_format=json_mode))), dict)
    assert "must contain the word 'json'" in ask(http, "plainly", response_format=json_mode)["error"]["message"]


def test_a_json_schema_is_followed(http: httpx.Client) -> None:
    schema = {
        "type": "object",
        "properties": {
            "kind": {"enum": ["river", "lake"]}, "depth": {"type": "number", "minimum": 3}, "dry": {"type": "boolean"},
            "gates": {"type": "array", "items": {"$ref": "#/$defs/gate"}}, "note": {"type": ["string", "null"]},
        },
        "$defs": {"gate": {"type": "object", "properties": {"id": {"type": "integer"}}}},
    }  # fmt: skip
    wanted = {"type": "json_schema", "json_schema": {"name": "water", "schema": schema}}
    value = orjson.loads(content(ask(http, response_format=wanted)))
    assert (value["kind"], value["depth"], value["dry"], value["gates"]) == ("river", 3, True, [{"id": 1}])
    assert isinstance(value["note"], str)


def test_images_are_counted_by_the_models_rules(http: httpx.Client) -> None:
    def tokens(deployment: str, *details: str) -> int:
        parts = [{"type": "image_url", "image_url": {"url": "data:,", "detail": detail}} for detail in details]
        message = {"role": "user", "content": [{"type": "text", "text": "what"}, *parts]}
        return int(ask(http, [message], deployment)["usage"]["prompt_tokens"])

    assert tokens("gpt-4o", "low") - tokens("gpt-4o") == 85
    assert tokens("gpt-4o", "high", "low") - tokens("gpt-4o") == 85 + 85 + 4 * 170
    assert tokens("gpt-4o-mini", "auto") - tokens("gpt-4o-mini") == 2833 + 4 * 5667


def test_a_model_without_eyes_refuses_an_image(http: httpx.Client) -> None:
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}
    error = ask(http, [message], "o3-mini")["error"]
    assert error["message"] == "Invalid content type. image_url is only supported by certain models."


def test_every_chinese_character_is_a_token(http: httpx.Client) -> None:
    difference = ask(http, "水" * 101)["usage"]["prompt_tokens"] - ask(http, "水")["usage"]["prompt_tokens"]
    assert difference == 100


def test_a_long_prompt_is_cached_the_second_time(http: httpx.Client) -> None:
    text = "The reservoir is full. " * 300
    details = [ask(http, text)["usage"]["prompt_tokens_details"]["cached_tokens"] for _ in range(2)]
    assert details == [0, 1664]


@pytest.mark.parametrize("deployment", ["gpt-5", "o3-mini", "o4-mini", "o1", "my-o3-deployment"])
def test_reasoning_models_refuse_max_tokens(http: httpx.Client, deployment: str) -> None:
    assert ask(http, "hello", deployment, max_tokens=5) == {"error": {
        "message": "Unsupported parameter: 'max_tokens' is not supported with this model. "
                   "Use 'max_completion_tokens' instead.",
        "type": "invalid_request_error", "param": "max_tokens", "code": "unsupported_parameter",
    }}  # fmt: skip


def test_reasoning_models_take_only_the_default_temperature(http: httpx.Client) -> None:
    error = ask(http, "hello", "gpt-5", temperature=0)["error"]
    assert (error["code"], error["message"]) == (
        "unsupported_value",
        "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.",
    )
    assert content(ask(http, "hello", "gpt-5", temperature=1))


def test_o1_does_not_stream(http: httpx.Client) -> None:
    assert ask(http, "hello", "o1", stream=True)["error"]["code"] == "unsupported_value"


def test_reasoning_is_billed_as_output_and_follows_the_effort(http: httpx.Client) -> None:
    low, high = (
        ask(http, "[[sim chunks=10]]", "gpt-5", reasoning_effort=effort)["usage"] for effort in ("low", "high")
    )
    assert low["completion_tokens"] == low["completion_tokens_details"]["reasoning_tokens"] + 10
    assert high["completion_tokens_details"]["reasoning_tokens"] > low["completion_tokens_details"]["reasoning_tokens"]


def test_reasoning_alone_may_use_up_the_limit(http: httpx.Client) -> None:
    answer = ask(http, "hello", "gpt-5", max_completion_tokens=50)
    assert (content(answer), answer["choices"][0]["finish_reason"]) == ("", "length")
    assert answer["usage"]["completion_tokens"] == 50


def test_reasoning_effort_is_unknown_to_other_models(http: httpx.Client) -> None:
    message = ask(http, "hello", reasoning_effort="low")["error"]["message"]
    assert message == "Unrecognized request argument supplied: reasoning_effort"


def test_a_prompt_that_trips_the_filter_is_azures_400(http: httpx.Client) -> None:
    error = ask(http, "a violence-trigger here")["error"]
    assert (error["code"], error["param"], error["status"]) == ("content_filter", "prompt", 400)
    assert error["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    results = error["innererror"]["content_filter_result"]
    assert results["violence"] == {"filtered": True, "severity": "medium"}
    assert results["jailbreak"] == {"filtered": False, "detected": False}
    jailbreak = ask(http, "[[sim filter]]")["error"]["innererror"]["content_filter_result"]["jailbreak"]
    assert jailbreak == {"filtered": True, "detected": True}


def test_a_filtered_answer_finishes_with_content_filter(http: httpx.Client) -> None:
    choice = ask(http, "[[sim filter=output chunks=10]]")["choices"][0]
    assert choice["finish_reason"] == "content_filter"
    assert choice["content_filter_results"]["violence"]["filtered"] is True


def test_a_prompt_over_the_window_is_refused_with_the_sums(http: httpx.Client) -> None:
    error = ask(http, "x" * 60_000, "chatgpt-v-2", max_tokens=4000)["error"]
    assert error["code"] == "context_length_exceeded"
    assert error["message"].startswith(
        "This model's maximum context length is 16385 tokens. However, you requested 19006 tokens "
        "(15006 in the messages, 4000 in the completion)."
    )


@pytest.mark.parametrize(("body", "param", "code"), [
    (b"{", None, None),
    (b"[]", None, None),
    (b"{}", "messages", "missing_required_parameter"),
    (b'{"messages":[]}', "messages", "empty_array"),
    (b'{"messages":"hi"}', "messages", "invalid_type"),
    (b'{"messages":[{"role":"boss","content":"x"}]}', "messages[0].role", "invalid_value"),
    (b'{"messages":[{"role":"user","content":5}]}', "messages[0].content", "invalid_type"),
    (b'{"messages":[{"role":"user","content":"x"}],"n":0}', "n", "integer_below_min_value"),
    (b'{"messages":[{"role":"user","content":"x"}],"max_tokens":"9"}', "max_tokens", "invalid_type"),
    (b'{"messages":[{"role":"user","content":"x"}],"max_tokens":99999}', "max_tokens", "invalid_value"),
    (b'{"messages":[{"role":"user","content":"x"}],"stream_options":{}}', "stream_options", None),
    (b'{"messages":[{"role":"user","content":"x"}],"tool_choice":"auto"}', "tool_choice", None),
])  # fmt: skip
def test_a_malformed_request_is_a_400(http: httpx.Client, body: bytes, param: str | None, code: str | None) -> None:
    path = "/east/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    response = http.post(path, content=body, headers={"content-type": "application/json"})
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, param, code)


def test_the_openai_sdk_parses_an_answer(url: str, sim: ControlClient) -> None:
    with AzureOpenAI(azure_endpoint=f"{url}/east", api_key="sim-key-east", api_version="2024-10-21") as azure:
        answer = azure.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}])
        with pytest.raises(BadRequestError) as caught:
            azure.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hate-trigger"}])
    assert answer.choices[0].message.content
    assert caught.value.code == "content_filter"
