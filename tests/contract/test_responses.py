"""The Responses API through the openai package: what is made at one of two resources stays reachable there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import openai
import orjson
import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from openai.types.responses import Response

from tests.told import without_told

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway
    from tests.contract.conftest import Client

OPERATIONS = ("responses_create", "responses_compact", "responses_input_tokens")

# Azure's first api-version with Responses is 2025-03-01-preview; the GA one of most configurations is raised to it.
CONFIG = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east, api_version: "2024-10-21"}
    model_info: {id: east}
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/west/openai/v1, api_key: sim-key-west}
    model_info: {id: west}
  - model_name: o4-mini
    litellm_params: {model: azure/o4-mini, api_base: $SIM/east, api_key: sim-key-east}
  - model_name: o4-mini
    litellm_params: {model: azure/o4-mini, api_base: $SIM/west, api_key: sim-key-west}
  - model_name: codex
    litellm_params: {model: azure/gpt-5-codex, api_base: $SIM/west, api_key: sim-key-west}
    model_info: {mode: responses, base_model: azure/gpt-5-codex}
  - model_name: o1-pro
    litellm_params: {model: azure/o1-pro, api_base: $SIM/west, api_key: sim-key-west}
    model_info: {mode: responses, base_model: azure/o1-pro}
router_settings: {num_retries: 3}
"""
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
PYTHON: Any = {"type": "code_interpreter", "container": {"type": "auto"}}


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def create(api: OpenAI, said: Any = "hello", *, stream: bool = False, **body: Any) -> Response:
    """A response; of a stream the one in its last event."""
    asked: dict[str, Any] = {"model": "gpt-4o", "input": said, **body}
    if not stream:
        made = api.responses.create(**asked)
        assert isinstance(made, Response)
        return made
    last = list(api.responses.create(**asked, stream=True))[-1]
    assert last.type == "response.completed"
    response: Response = last.response
    return response


def post(run: Running, **body: Any) -> Any:
    return run.http.post("/v1/responses", json={"model": "gpt-4o", "input": "hello", **body})


def where(run: Running) -> list[str]:
    """The resources that requests reached, in their order."""
    return [one["resource"] for one in run.sent()]


def at_each(run: Running, api: OpenAI) -> dict[str, Response]:
    """A response at each resource, by its name."""
    made: dict[str, Response] = {}
    while len(made) < 2:
        response = create(api)
        made[where(run)[-1]] = response
    return made


def upstream_ids(texts: str) -> list[str]:
    """Ids of the simulator's own making that `texts` shows."""
    return re.findall(r"(?:resp|msg|rs|fc|ci|cntr|cmp)_[0-9a-f]{48}", texts)


def test_a_response_is_what_the_upstream_made(spillway: Spillway, client: Client, stream: bool) -> None:
    run = spillway(CONFIG)
    response = create(client(run), stream=stream)
    [line], [call] = run.sim.bill(), run.calls()
    assert response.status == "completed"
    assert response.output_text
    assert response.usage is not None
    billed = (line["prompt_tokens"], line["completion_tokens"])
    assert (response.usage.input_tokens, response.usage.output_tokens) == billed
    assert (call["prompt_tokens"], call["completion_tokens"], call["usage_source"]) == (*billed, "upstream")
    assert (call["operation"], call["model"], call["stream"]) == ("responses_create", "gpt-4o", stream)


@pytest.mark.parametrize(
    "path", ["/v1/responses", "/responses", "/openai/v1/responses", "/openai/responses?api-version=x"]
)
def test_every_spelling_of_the_path_is_served(spillway: Spillway, path: str) -> None:
    run = spillway(CONFIG)
    made = run.http.post(path, json={"model": "gpt-4o", "input": "hello"})
    assert made.status_code == 200
    base, _, query = path.partition("?")
    assert run.http.get(f"{base}/{made.json()['id']}?{query}").json() == made.json()


def test_no_id_of_the_upstream_is_shown(spillway: Spillway, stream: bool) -> None:
    run = spillway(CONFIG)
    asked = {"model": "o4-mini", "reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    raw = post(run, **asked, stream=stream).text
    assert "rs_" in raw
    assert upstream_ids(raw) == []


def test_every_event_of_a_stream_has_the_ids_of_its_last(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    events = list(client(run).responses.create(model="o4-mini", input="hello", stream=True))
    response = events[-1].response  # type: ignore[union-attr]
    items = {item.id for item in response.output}
    assert {event.response.id for event in events if hasattr(event, "response")} == {response.id}
    assert {event.item_id for event in events if hasattr(event, "item_id")} <= items
    assert {event.item.id for event in events if hasattr(event, "item")} == items


def test_a_stream_is_otherwise_the_upstreams_own(spillway: Spillway) -> None:
    """The same events in the same order, with the same texts, as the simulator itself sends."""
    run = spillway(CONFIG)
    body = {"model": "gpt-4o", "input": "[[sim lang=odd chunks=40]]", "stream": True, "store": False}
    ours = without_ids(without_told(run.http.post("/v1/responses", json=body).content))
    direct = run.http.post(
        run.sim_url + "/east/openai/v1/responses", json=body, headers={"api-key": "sim-key-east"}
    ).content
    assert ours == without_ids(direct)


def without_ids(raw: bytes) -> list[tuple[bytes, Any]]:
    """Events as (their other lines, their JSON without ids and times)."""

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            left_out = {"id", "item_id", "created_at", "completed_at"}
            return {name: bare(inner) for name, inner in value.items() if name not in left_out}
        return [bare(one) for one in value] if isinstance(value, list) else value

    events = [event.partition(b"data: ") for event in raw.removesuffix(b"\n\n").split(b"\n\n")]
    return [(head, bare(orjson.loads(data))) for head, _, data in events]


def test_twenty_turns_stay_at_the_resource_of_the_first(spillway: Spillway, client: Client, stream: bool) -> None:
    run = spillway(CONFIG)
    api = client(run)
    for place, previous in at_each(run, api).items():
        for turn in range(20):
            answer = create(api, f"turn {turn}", stream=stream, previous_response_id=previous.id)
            assert answer.previous_response_id == previous.id
            previous = answer
        assert where(run)[-20:] == [place] * 20


def test_a_conversation_that_is_sent_whole_stays_too(spillway: Spillway, client: Client, stream: bool) -> None:
    run = spillway(CONFIG)
    api = client(run)
    history: list[Any] = [{"role": "user", "content": "hello"}]
    for _ in range(6):
        answer = create(api, history, stream=stream)
        history += [item.to_dict() for item in answer.output] + [{"role": "user", "content": "go on"}]
    assert len(set(where(run))) == 1


def test_an_item_may_be_referred_to(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    answer = create(api)
    items = [{"type": "item_reference", "id": answer.output[0].id}, {"role": "user", "content": "go on"}]
    assert create(api, items).status == "completed"
    assert len(set(where(run))) == 1


def test_encrypted_reasoning_goes_back_to_who_wrote_it(spillway: Spillway, client: Client, stream: bool) -> None:
    run = spillway(CONFIG)
    api = client(run)
    options: dict[str, Any] = {"model": "o4-mini", "store": False, "include": ["reasoning.encrypted_content"]}
    for _ in range(6):
        answer = create(api, stream=stream, **options)
        reasoning = answer.output[0].to_dict()
        del reasoning["id"]  # the content alone must be enough
        items = [{"role": "user", "content": "hello"}, reasoning, {"role": "user", "content": "go on"}]
        assert create(api, items, stream=stream, **options).status == "completed"
        sent = run.sent()[-2:]
        assert sent[0]["resource"] == sent[1]["resource"]
        assert sent[1]["json"]["input"][1]["encrypted_content"].startswith("gAAAAAB")


def test_encrypted_content_that_was_changed_is_refused_here(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    answer = create(api, model="o4-mini", include=["reasoning.encrypted_content"])
    reasoning: Any = answer.output[0].to_dict()
    reasoning["encrypted_content"] += "x"
    with pytest.raises(BadRequestError) as caught:
        create(api, [reasoning], model="o4-mini")
    assert (caught.value.code, caught.value.param) == ("invalid_encrypted_content", "input[0].encrypted_content")
    assert len(run.sent()) == 1


def test_encrypted_content_from_elsewhere_is_the_upstreams_to_judge(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    item = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAABfrom-another-time"}
    refused = post(run, model="o4-mini", input=[item, {"role": "user", "content": "hello"}])
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_encrypted_content")
    assert run.sent()[0]["json"]["input"][0] == item


def test_tools_are_called_and_answered(spillway: Spillway, client: Client, stream: bool) -> None:
    run = spillway(CONFIG)
    api = client(run)
    asked: list[Any] = [{"role": "user", "content": "Compare the weather in Paris and Oslo."}]
    answer = create(api, asked, tools=[WEATHER], stream=stream)
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [orjson.loads(call.arguments)["city"] for call in calls] == ["Paris", "Oslo"]
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "17 degrees"} for call in calls]
    said = create(api, results, tools=[WEATHER], previous_response_id=answer.id, stream=stream)
    assert said.output_text
    whole = asked + [item.to_dict() for item in answer.output] + results
    assert create(api, whole, tools=[WEATHER], stream=stream).output_text
    assert len(set(where(run))) == 1


def test_a_container_is_found_again(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    for _ in range(4):
        answer = create(api, "Please run some python", tools=[PYTHON])
        call = next(item for item in answer.output if item.type == "code_interpreter_call")
        tool = {**PYTHON, "container": call.container_id}
        again = create(api, "Please run some python", tools=[tool])
        assert call.container_id in [getattr(item, "container_id", None) for item in again.output]
        assert again.tools[0].to_dict()["container"] == call.container_id
        assert len(set(where(run)[-2:])) == 1


def test_structured_output_is_parsed_by_the_sdk(spillway: Spillway, client: Client) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    text: Any = {"format": {"type": "json_schema", "name": "n", "schema": {**schema, "additionalProperties": False}}}
    assert isinstance(orjson.loads(create(client(spillway(CONFIG)), text=text).output_text)["n"], int)


def test_a_model_that_only_has_responses_is_served(spillway: Spillway, client: Client, stream: bool) -> None:
    run = spillway(CONFIG)
    assert create(client(run), model="codex", stream=stream).output_text
    assert run.sent()[0]["deployment"] == "gpt-5-codex"
    refused = run.http.post("/v1/chat/completions", json={"model": "codex", "messages": [{"role": "user"}]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "model_not_supported")


def test_a_model_that_cannot_stream_is_streamed_all_the_same(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    events = list(client(run).responses.create(model="o1-pro", input="hello", stream=True))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == text != ""
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "stream" not in run.sent()[0]["json"]


def test_old_names_of_the_token_limit_are_understood(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    assert post(run, max_tokens=50).status_code == 200
    assert run.sent()[0]["json"]["max_output_tokens"] == 50


def test_the_input_is_counted_for_nothing(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    counted = client(run).responses.input_tokens.count(model="gpt-4o", input="hello")
    assert counted.input_tokens > 0
    assert run.sim.bill() == []
    assert run.calls()[0]["prompt_tokens"] == 0


def test_a_conversation_is_compacted_and_goes_on(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    for _ in range(4):
        first = create(api)
        compacted = api.responses.compact(model="gpt-4o", input="and now?", previous_response_id=first.id)
        kept = [item.to_dict(warnings=False) for item in compacted.output]
        assert create(api, [*kept, {"role": "user", "content": "go on"}]).status == "completed"
        assert len(set(where(run)[-3:])) == 1
    assert upstream_ids(compacted.to_json(warnings=False)) == []
    calls = run.calls(12)
    assert sum(call["prompt_tokens"] for call in calls) == sum(line["prompt_tokens"] for line in run.sim.bill())


def test_an_error_names_our_ids(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    gone = create(api)
    api.responses.delete(gone.id)
    with pytest.raises(BadRequestError) as caught:
        create(api, previous_response_id=gone.id)
    assert gone.id in str(caught.value)
    assert upstream_ids(str(caught.value)) == []


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"model": None}, "model"),
    "no input": ({"input": None}, "input"),
    "input of a wrong type": ({"input": 5}, "input"),
    "stream of a wrong type": ({"stream": "yes"}, "stream"),
    "background of a wrong type": ({"background": 1}, "background"),
    "previous of a wrong type": ({"previous_response_id": 7}, "previous_response_id"),
    "stream_options without a stream": ({"stream_options": {}}, "stream_options"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_a_400_that_names_it(spillway: Spillway, mistake: str) -> None:
    run = spillway(CONFIG)
    body, param = MISTAKES[mistake]
    refused = post(run, **body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
    assert run.sent() == []


PLAIN = "resp_" + "0123456789abcdef" * 3
UNKNOWN: dict[str, tuple[dict[str, Any], str]] = {
    "previous response": ({"previous_response_id": PLAIN}, "previous_response_id"),
    "conversation": ({"conversation": "conv_1"}, "conversation"),
    "conversation object": ({"conversation": {"id": "conv_1"}}, "conversation.id"),
    "item reference": ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id"),
    "item reference without a type": ({"input": [{"id": "msg_1"}]}, "input[0].id"),
    "reasoning by id": ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, "input[0].id"),
    "image by id": ({"input": [{"type": "image_generation_call", "id": "ig_1"}]}, "input[0].id"),
    "container": ({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, "tools[0].container"),
    "container of a call": ({"input": [{"type": "code_interpreter_call", "container_id": "cntr_1"}]},
                            "input[0].container_id"),
    "an id too long to be a name": ({"input": [{"role": "user", "content": "x", "id": "msg_" + "a" * 61}]},
                                    "input[0].id"),
}  # fmt: skip


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_an_id_that_is_not_ours_is_not_found_and_goes_nowhere(spillway: Spillway, unknown: str) -> None:
    run = spillway(CONFIG)
    body, param = UNKNOWN[unknown]
    refused = post(run, **body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (404, param)
    assert run.sent() == []


def test_a_clients_own_name_for_a_message_is_left_alone(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    assert post(run, input=[{"role": "user", "content": "hello", "id": "msg_mine"}]).status_code == 200
    assert run.sent()[0]["json"]["input"][0]["id"] == "msg_mine"


def test_ids_of_two_resources_do_not_go_together(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    made = at_each(run, api)
    with pytest.raises(BadRequestError) as caught:
        create(api, made["east"].output, previous_response_id=made["west"].id)
    assert (caught.value.code, caught.value.param) == ("ids_of_several_resources", "input[0].id")


def test_a_resource_that_does_not_serve_the_model_is_a_400(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    made = at_each(run, api)
    with pytest.raises(BadRequestError) as caught:
        create(api, model="codex", previous_response_id=made["east"].id)
    assert (caught.value.code, caught.value.param) == ("model_not_at_resource", "model")
    assert create(api, model="codex", previous_response_id=made["west"].id).output_text


def test_a_resource_that_is_no_longer_configured_is_a_404(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    made = create(client(run))
    other = CONFIG.replace("$SIM/east", "$SIM/sweden").replace("$SIM/west", "$SIM/sweden")
    run = spillway(other.replace("key-east", "key-sweden").replace("key-west", "key-sweden"))
    with pytest.raises(NotFoundError):
        client(run).responses.retrieve(made.id)
    with pytest.raises(NotFoundError):
        create(client(run), previous_response_id=made.id)
    assert len(run.sent()) == 1


def test_a_full_resource_is_not_left_by_a_call_that_is_bound_to_it(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    answer = create(api)
    [place] = where(run)
    run.sim.fault(operation="responses", resource=place, status=429, times=None)
    with pytest.raises(openai.RateLimitError):
        create(api, previous_response_id=answer.id)
    assert set(where(run)) == {place}


def test_a_wildcard_finds_its_resource_again_after_a_restart(spillway: Spillway, client: Client) -> None:
    env = {"AZURE_API_BASE": "$SIM/east", "AZURE_API_KEY": "sim-key-east"}
    made = create(client(spillway(None, **env)), model="azure/gpt-4o")
    run = spillway(None, **env)
    assert client(run).responses.retrieve(made.id).to_dict() == made.to_dict()
