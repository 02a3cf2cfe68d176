"""The Responses API: buffered and streamed, its state, its tools."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from openai import AzureOpenAI, BadRequestError, NotFoundError, OpenAI

from devtools.simulator import ControlClient

PATH = "/east/openai/v1/responses"
WEATHER = {"type": "function", "name": "get_weather", "parameters": {
    "type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"],
}}  # fmt: skip
CODE = {"type": "code_interpreter", "container": {"type": "auto"}}
SEALED: dict[str, Any] = {"include": ["reasoning.encrypted_content"], "store": False}


def respond(http: httpx.Client, given: Any = "[[sim chunks=10]]", *, at: str = PATH, **more: Any) -> Any:
    return http.post(at, json={"model": "gpt-4o", "input": given, **more}).json()


def events(http: httpx.Client, given: Any = "[[sim chunks=3]]", **more: Any) -> list[dict[str, Any]]:
    raw = http.post(PATH, json={"model": "gpt-4o", "input": given, "stream": True, **more}).content
    return parsed(raw)


def parsed(raw: bytes) -> list[dict[str, Any]]:
    """The events of a stream; each `event:` line names its data's `type`."""
    out = []
    for block in raw.decode().removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        out.append(orjson.loads(data.removeprefix("data: ")))
        assert name == f"event: {out[-1]['type']}"
    return out


def west(http: httpx.Client) -> httpx.Client:
    return httpx.Client(base_url=http.base_url, headers={"api-key": "sim-key-west"}, timeout=10)


def text_of(response: Any) -> str:
    text: str = response["output"][-1]["content"][0]["text"]
    return text


@pytest.mark.usefixtures("sim")
def test_both_sdks_get_a_response(azure: AzureOpenAI, v1: OpenAI) -> None:
    for client in (azure, v1):
        response = client.responses.create(model="gpt-4o", input="[[sim chunks=5]]", instructions="Be brief.")
        assert (response.status, response.object, len(response.output_text.split())) == ("completed", "response", 5)
        assert response.usage is not None
        assert response.usage.output_tokens == 5


def test_a_response_has_azures_fields(http: httpx.Client) -> None:
    response = respond(http, metadata={"a": "b"}, temperature=0.5)
    assert response["id"].startswith("resp_")
    assert (response["content_filters"], response["error"], response["store"]) == (None, None, True)
    assert (response["metadata"], response["temperature"], response["model"]) == ({"a": "b"}, 0.5, "gpt-4o")
    assert response["output"][0]["id"].startswith("msg_")


def test_responses_exist_since_2025_03_01_preview(http: httpx.Client) -> None:
    asked = {"model": "gpt-4o", "input": "hello"}
    statuses = [
        http.post(f"/east/openai/responses?api-version={version}", json=asked).status_code
        for version in ("2024-10-21", "2025-02-01-preview", "2025-03-01-preview", "2025-04-01-preview")
    ]
    assert statuses == [404, 404, 200, 200]
    assert http.post("/east/openai/v1/responses?api-version=preview", json=asked).status_code == 200


def test_the_model_in_the_body_names_the_deployment(http: httpx.Client) -> None:
    path = "/east/openai/responses?api-version=2025-04-01-preview"
    assert respond(http, at=path, model="gpt-9")["error"]["code"] == "DeploymentNotFound"
    assert http.post(path, json={"input": "hello"}).json()["error"]["param"] == "model"


def test_a_response_is_billed_and_its_request_recorded(http: httpx.Client, sim: ControlClient) -> None:
    usage = respond(http, model="gpt-5", reasoning={"effort": "low"})["usage"]
    [line], [record] = sim.bill(), sim.requests()
    assert (line["prompt_tokens"], line["completion_tokens"]) == (usage["input_tokens"], usage["output_tokens"])
    assert (line["completion_tokens"], line["reasoning_tokens"], line["finished"]) == (74, 64, True)
    assert (line["operation"], record["operation"], record["deployment"]) == ("responses", "responses", "gpt-5")


@pytest.mark.parametrize("model", ["codex-mini", "gpt-5-codex", "o3-pro", "o1-pro"])
def test_some_models_exist_in_responses_only(http: httpx.Client, model: str) -> None:
    assert respond(http, model=model)["status"] == "completed"
    chat = http.post("/east/openai/v1/chat/completions", json={"model": model, "messages": []})
    assert (chat.status_code, chat.json()["error"]["code"]) == (400, "OperationNotSupported")


@pytest.mark.parametrize("model", ["text-embedding-3-small", "chatgpt-v-2", "azure-openai-4o-audio"])
def test_some_models_do_not_exist_in_responses(http: httpx.Client, model: str) -> None:
    assert respond(http, model=model)["error"]["code"] == "OperationNotSupported"


def test_the_pro_models_do_not_stream(http: httpx.Client) -> None:
    assert respond(http, model="o3-pro", stream=True)["error"]["code"] == "unsupported_value"


def test_a_stream_has_every_event_in_order(http: httpx.Client) -> None:
    found = events(http)
    assert [event["type"].removeprefix("response.") for event in found] == [
        "created", "in_progress", "output_item.added", "content_part.added", *["output_text.delta"] * 3,
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert [event["sequence_number"] for event in found] == list(range(11))
    assert found[0]["response"]["status"] == "in_progress"


def test_a_stream_ends_with_what_a_buffered_call_answers(http: httpx.Client) -> None:
    found = events(http, "[[sim chunks=9 lang=odd]]")
    streamed = found[-1]["response"]
    buffered = respond(http, "[[sim chunks=9 lang=odd]]")
    assert text_of(streamed) == text_of(buffered)
    assert "".join(event["delta"] for event in found if event["type"].endswith("text.delta")) == text_of(buffered)
    assert streamed["usage"] == buffered["usage"]


@pytest.mark.usefixtures("sim")
def test_the_sdk_reads_a_stream(v1: OpenAI) -> None:
    with v1.responses.stream(model="gpt-4o", input="[[sim chunks=7]]") as stream:
        final = stream.get_final_response()
    assert len(final.output_text.split()) == 7


@pytest.mark.parametrize("more", [
    {}, {"max_output_tokens": 16, "input": "[[sim chunks=50]]"}, {"input": "Paris, Rome", "tools": [WEATHER]},
    {"model": "o4-mini", "reasoning": {"summary": "auto"}}, {"input": "[[sim filter=output chunks=8]]"},
    {"input": "run some python", "tools": [CODE]},
])  # fmt: skip
def test_the_bill_of_a_stream_agrees_with_the_usage(
    http: httpx.Client, sim: ControlClient, more: dict[str, Any]
) -> None:
    asked = {"model": "gpt-4o", "input": "[[sim chunks=10]]", **more}
    usage = http.post(PATH, json=asked).json()["usage"]
    streamed = parsed(http.post(PATH, json={**asked, "stream": True}).content)
    assert streamed[-1]["response"]["usage"] == usage
    for line in sim.bill():
        assert (line["prompt_tokens"], line["completion_tokens"]) == (usage["input_tokens"], usage["output_tokens"])


def test_an_answer_at_its_limit_is_incomplete(http: httpx.Client) -> None:
    response = respond(http, "[[sim chunks=50]]", max_output_tokens=16)
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert (response["output"][0]["status"], response["usage"]["output_tokens"]) == ("incomplete", 16)
    assert events(http, "[[sim chunks=50]]", max_output_tokens=16)[-1]["type"] == "response.incomplete"


def test_reasoning_may_use_up_the_whole_limit(http: httpx.Client) -> None:
    response = respond(http, model="gpt-5", max_output_tokens=64)
    assert [item["type"] for item in response["output"]] == ["reasoning"]
    assert response["usage"]["output_tokens_details"] == {"reasoning_tokens": 64}


def test_a_filtered_answer_is_incomplete_and_a_filtered_prompt_a_400(http: httpx.Client, sim: ControlClient) -> None:
    assert respond(http, "[[sim filter=output]]")["incomplete_details"] == {"reason": "content_filter"}
    assert respond(http, "a hate-trigger")["error"]["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    assert [line["status"] for line in sim.bill()] == [200, 400]


def test_each_known_city_is_one_parallel_call(http: httpx.Client) -> None:
    calls = respond(http, "Weather in Paris and Rome?", tools=[WEATHER])["output"]
    assert [call["arguments"] for call in calls] == ['{"location":"Paris"}', '{"location":"Rome"}']
    assert all(call["id"].startswith("fc_") and call["call_id"].startswith("call_") for call in calls)
    assert len(respond(http, "Paris and Rome?", tools=[WEATHER], parallel_tool_calls=False)["output"]) == 1


def test_a_calls_arguments_come_in_deltas(http: httpx.Client) -> None:
    found = events(http, "Weather in Paris?", tools=[WEATHER])
    deltas = [event["delta"] for event in found if event["type"] == "response.function_call_arguments.delta"]
    [done] = [event for event in found if event["type"] == "response.function_call_arguments.done"]
    assert "".join(deltas) == done["arguments"] == '{"location":"Paris"}'


def test_tool_choice_is_obeyed(http: httpx.Client) -> None:
    named = {"type": "function", "name": "get_weather"}
    assert respond(http, tools=[WEATHER], tool_choice=named)["output"][0]["type"] == "function_call"
    assert respond(http, tools=[WEATHER], tool_choice="required")["output"][0]["type"] == "function_call"
    assert respond(http, "Paris", tools=[WEATHER], tool_choice="none")["output"][0]["type"] == "message"


def test_the_output_of_a_call_is_answered_in_words(http: httpx.Client) -> None:
    first = respond(http, "Weather in Paris?", tools=[WEATHER])
    output = {"type": "function_call_output", "call_id": first["output"][0]["call_id"], "output": "Rain."}
    after = respond(http, [output], tools=[WEATHER], previous_response_id=first["id"])
    assert after["output"][0]["type"] == "message"


def test_calls_and_outputs_must_match(http: httpx.Client) -> None:
    stray = respond(http, [{"type": "function_call_output", "call_id": "call_x", "output": "Rain."}])
    assert stray["error"]["message"] == "No tool call found for function call output with call_id call_x."
    call = {"type": "function_call", "call_id": "call_y", "name": "f", "arguments": "{}"}
    assert respond(http, [call])["error"]["message"] == "No tool output found for function call call_y."


def test_an_answer_keeps_to_a_json_schema(http: httpx.Client) -> None:
    wanted = {"type": "json_schema", "name": "n", "schema": {
        "type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"],
    }}  # fmt: skip
    assert orjson.loads(text_of(respond(http, text={"format": wanted}))) == {"count": 1}


def test_the_code_interpreter_runs_in_a_container_of_the_resource(http: httpx.Client) -> None:
    response = respond(http, "calculate it", tools=[CODE], include=["code_interpreter_call.outputs"])
    call = response["output"][0]
    assert call["container_id"].startswith("cntr_")
    assert call["outputs"] == [{"type": "logs", "logs": "42\n"}]
    again = {"type": "code_interpreter", "container": call["container_id"]}
    assert respond(http, "calculate it", tools=[again])["output"][0]["container_id"] == call["container_id"]
    with west(http) as other:
        assert other.post("/west/openai/v1/responses", json={
            "model": "gpt-4o", "input": "calculate it", "tools": [again],
        }).status_code == 404  # fmt: skip


def test_the_code_interpreter_streams_its_code(http: httpx.Client) -> None:
    kinds = [event["type"] for event in events(http, "run python", tools=[CODE])]
    assert "response.code_interpreter_call.interpreting" in kinds
    assert "response.code_interpreter_call_code.delta" in kinds


def test_a_reasoning_summary_is_streamed_when_asked_for(http: httpx.Client) -> None:
    asked: dict[str, Any] = {"model": "gpt-5", "reasoning": {"effort": "low", "summary": "auto"}}
    kinds = [event["type"] for event in events(http, **asked)]
    assert kinds.count("response.reasoning_summary_text.delta") == 4
    assert respond(http, **asked)["output"][0]["summary"][0]["type"] == "summary_text"


def test_a_previous_response_is_remembered_and_counted(http: httpx.Client) -> None:
    first = respond(http, "one")
    second = respond(http, "two", previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]
    assert second["usage"]["input_tokens"] > first["usage"]["input_tokens"] + first["usage"]["output_tokens"]
    assert text_of(second) != text_of(respond(http, "two"))


def test_a_response_is_known_at_its_own_resource_only(http: httpx.Client) -> None:
    response_id = respond(http)["id"]
    with west(http) as other:
        refused = other.post("/west/openai/v1/responses", json={
            "model": "gpt-4o", "input": "two", "previous_response_id": response_id,
        })  # fmt: skip
        statuses = [
            other.get(f"/west/openai/v1/responses/{response_id}").status_code,
            other.delete(f"/west/openai/v1/responses/{response_id}").status_code,
            other.post(f"/west/openai/v1/responses/{response_id}/cancel").status_code,
            other.get(f"/west/openai/v1/responses/{response_id}/input_items").status_code,
        ]
    assert statuses == [404] * 4
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "previous_response_not_found")
    assert http.get(f"{PATH}/{response_id}").json()["id"] == response_id


@pytest.mark.usefixtures("sim")
def test_the_sdk_reads_lists_and_deletes(azure: AzureOpenAI) -> None:
    response = azure.responses.create(model="gpt-4o", input="hello")
    assert azure.responses.retrieve(response.id).output_text == response.output_text
    [item] = azure.responses.input_items.list(response.id).data
    assert item.id.startswith("msg_")
    azure.responses.delete(response.id)
    with pytest.raises(NotFoundError):
        azure.responses.retrieve(response.id)


def test_a_response_that_is_not_stored_is_not_found(http: httpx.Client) -> None:
    response = respond(http, store=False)
    assert http.get(f"{PATH}/{response['id']}").status_code == 404
    reference = {"type": "item_reference", "id": response["output"][0]["id"]}
    error = respond(http, [reference])["error"]
    assert error["message"].startswith(f"Item with id '{reference['id']}' not found. Items are not persisted")


def test_a_response_is_kept_for_thirty_days(http: httpx.Client, sim: ControlClient) -> None:
    response_id = respond(http)["id"]
    sim.advance(30 * 24 * 3600 - 60)
    assert http.get(f"{PATH}/{response_id}").status_code == 200
    sim.advance(60)
    assert http.get(f"{PATH}/{response_id}").status_code == 404


def test_an_item_reference_stands_for_its_item(http: httpx.Client) -> None:
    item = respond(http, "[[sim chunks=30]]")["output"][0]
    whole = respond(http, [item, {"role": "user", "content": "and then?"}])
    short = respond(http, [{"type": "item_reference", "id": item["id"]}, {"role": "user", "content": "and then?"}])
    assert whole["usage"] == short["usage"]


def test_input_items_come_in_pages(http: httpx.Client) -> None:
    asked = [{"role": "user", "content": f"message {n}"} for n in range(5)]
    path = f"{PATH}/{respond(http, asked)['id']}/input_items"
    first = http.get(path, params={"limit": 2, "order": "asc"}).json()
    second = http.get(path, params={"limit": 3, "order": "asc", "after": first["last_id"]}).json()
    texts = [item["content"][0]["text"] for item in first["data"] + second["data"]]
    assert texts == [f"message {n}" for n in range(5)]
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert http.get(path).json()["data"][0]["content"][0]["text"] == "message 4"


def test_encrypted_reasoning_is_accepted_at_its_resource_only(http: httpx.Client) -> None:
    first = respond(http, "one", model="gpt-5", **SEALED)
    turn = [*first["output"], {"role": "user", "content": "two"}]
    assert first["output"][0]["encrypted_content"].startswith("gAAA")
    assert respond(http, turn, model="gpt-5", **SEALED)["status"] == "completed"
    with west(http) as other:
        response = other.post("/west/openai/v1/responses", json={"model": "gpt-5", "input": turn})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_encrypted_content")


def test_reasoning_without_its_content_is_found_by_id_or_not_at_all(http: httpx.Client) -> None:
    kept, lost = (respond(http, "one", model="gpt-5", store=store)["output"] for store in (True, False))
    more = [{"role": "user", "content": "two"}]
    assert respond(http, kept + more, model="gpt-5")["status"] == "completed"
    assert "not found. Items are not persisted" in respond(http, lost + more, model="gpt-5")["error"]["message"]


@pytest.mark.usefixtures("sim")
def test_the_sdk_compacts_a_conversation(v1: OpenAI) -> None:
    first = v1.responses.create(model="gpt-5", input="a long story " * 50)
    compacted = v1.responses.compact(model="gpt-5", previous_response_id=first.id)
    assert [item.type for item in compacted.output] == ["message", "compaction"]


def test_a_compacted_conversation_goes_on_at_its_resource_only(http: httpx.Client) -> None:
    compacted = respond(http, "a long story", at=PATH + "/compact")
    turn = [*compacted["output"], {"role": "user", "content": "go on"}]
    assert respond(http, turn)["status"] == "completed"
    with west(http) as other:
        response = other.post("/west/openai/v1/responses", json={"model": "gpt-4o", "input": turn})
    assert response.json()["error"]["code"] == "invalid_encrypted_content"


def test_compaction_is_billed_and_counting_is_not(http: httpx.Client, sim: ControlClient) -> None:
    counted = respond(http, "count me", at=PATH + "/input_tokens")
    assert counted["object"] == "response.input_tokens"
    assert sim.bill() == []
    assert respond(http, "count me")["usage"]["input_tokens"] == counted["input_tokens"]
    usage = respond(http, "count me", at=PATH + "/compact")["usage"]
    line = sim.bill()[-1]
    assert (line["operation"], line["completion_tokens"]) == ("responses/compact", usage["output_tokens"])


@pytest.mark.parametrize(("more", "param"), [
    ({"conversation": "conv_1"}, "conversation"), ({"max_output_tokens": 5}, "max_output_tokens"),
    ({"input": None}, "input"), ({"input": 5}, "input"), ({"input": ["a"]}, "input[0]"),
    ({"input": [{"type": "nonsense"}]}, "input[0]"), ({"input": [{"role": "robot", "content": "a"}]}, "input[0].role"),
    ({"input": [{"role": "user"}]}, "input[0].content"),
    ({"input": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}, "input[0].content[0]"),
    ({"input": [{"type": "function_call", "id": "x_1", "call_id": "c"}]}, "input[0].id"),
    ({"tools": [{"type": "function"}]}, "tools[0].name"), ({"tools": [{"type": "hammer"}]}, "tools[0].type"),
    ({"tools": [{"type": "code_interpreter"}]}, "tools[0].container"), ({"tools": {}}, "tools"),
    ({"text": {"format": {"type": "json_schema"}}}, "text.format.name"), ({"text": 5}, "text"),
    ({"text": {"format": {"type": "json_object"}}}, "input"), ({"include": ["everything"]}, "include[0]"),
    ({"include": ["reasoning.encrypted_content"]}, "include"), ({"reasoning": {"effort": "low"}}, "reasoning.effort"),
    ({"model": "gpt-5", "temperature": 0}, "temperature"), ({"background": True, "store": False}, "background"),
    ({"model": "gpt-5", "reasoning": {"effort": "huge"}}, "effort"), ({"truncation": "some"}, "truncation"),
])  # fmt: skip
def test_a_wrong_request_is_refused_by_name(http: httpx.Client, more: dict[str, Any], param: str) -> None:
    response = http.post(PATH, json={"model": "gpt-4o", "input": "hello", **more})
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("more", [
    {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "assistant-x"}]}]},
    {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["assistant-x"]}}]},
])  # fmt: skip
def test_a_file_must_be_at_the_resource(http: httpx.Client, more: dict[str, Any]) -> None:
    refused = http.post(PATH, json={"model": "gpt-4o", "input": "hello", **more})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "file_not_found")
    made = http.post("/east/openai/v1/files", data={"purpose": "assistants"}, files={"file": ("a.txt", b"x")}).json()
    named = orjson.loads(orjson.dumps(more).replace(b"assistant-x", made["id"].encode()))
    assert http.post(PATH, json={"model": "gpt-4o", "input": "hello", **named}).status_code == 200


@pytest.mark.usefixtures("sim")
def test_the_sdk_sees_an_input_over_the_window(v1: OpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        v1.responses.create(model="gpt-4o", input="word" * 130_000)
    assert caught.value.code == "context_length_exceeded"
