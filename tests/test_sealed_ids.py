"""Ids in the bodies of the Responses API: which are sealed, which are opened, and what stays as it is."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.callers.caller import MASTER
from shared.errors import BadRequest, NotFound
from shared.operations.operation import Call
from shared.operations.responses_ids import scrub, seal
from shared.seal import Seal, Sealer, tag
from shared.sealed_ids import EVENT, ITEMS, QUERY, REQUEST, RESPONSE, unseal
from shared.shapes import Mark, Shape, places

EAST, WEST = tag("res_east"), tag("res_west")
SEALER = Sealer(["secret"])
ANN, BOB, ROOT = Seal(SEALER, tag("ann")), Seal(SEALER, tag("bob")), Seal(SEALER, tag("root"), sees_all=True)
HEX = "68f0c1d2e3a4b5c6d7e8f901234567890123456789abcdef"


def call(seal: Seal = ANN, resource: bytes = EAST) -> Call:
    return Call("call_1", MASTER, "m", {}, False, seal, resource=resource)


def at(value: Any, path: str) -> Any:
    """What stands at `output[0].id`."""
    for part in path.replace("[", ".").replace("]", "").split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


RESPONSE_BODY = {
    "id": "resp_1",
    "previous_response_id": "resp_0",
    "conversation": {"id": "conv_1"},
    "instructions": [{"id": "msg_0", "role": "developer"}],
    "metadata": {"id": "resp_1", "container_id": "cntr_1"},
    "prompt_cache_options": {"comparison_response_id": "resp_2"},
    "tools": [
        {"type": "code_interpreter", "container": "cntr_1"},
        {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file_1"]}},
        {"type": "shell", "environment": {"type": "container_reference", "container_id": "cntr_2"}},
        {"type": "function", "name": "f", "parameters": {"properties": {"id": {"const": "resp_1"}}}},
        {"type": "shell", "environment": {"type": "container_auto", "file_ids": ["file_2"]}},
    ],
    "output": [
        {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAAA", "summary": []},
        {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1", "code": "print('resp_1')"},
        {"type": "mcp_call", "id": "mcp_1", "approval_request_id": "mcpr_1", "arguments": '{"id": "resp_1"}'},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1"},
        {
            "type": "message",
            "id": "msg_1",
            "content": [
                {
                    "type": "output_text",
                    "text": "resp_1 and msg_1",
                    "annotations": [
                        {"type": "container_file_citation", "container_id": "cntr_1", "file_id": "cfile_1"}
                    ],
                }
            ],
        },
    ],
}
SEALED = [
    "id", "previous_response_id", "conversation.id", "instructions[0].id", "tools[0].container",
    "prompt_cache_options.comparison_response_id",
    "tools[2].environment.container_id", "output[0].id", "output[0].encrypted_content", "output[1].id",
    "output[1].container_id", "output[2].id", "output[2].approval_request_id", "output[3].id", "output[4].id",
    "output[4].content[0].annotations[0].container_id",
]  # fmt: skip


def changed(before: Any, after: Any, path: str = "") -> set[str]:
    """The paths at which two bodies differ."""
    if isinstance(before, dict):
        assert before.keys() == after.keys()
        return {one for key in before for one in changed(before[key], after[key], f"{path}.{key}" if path else key)}
    if isinstance(before, list):
        assert len(before) == len(after)
        return {one for i in range(len(before)) for one in changed(before[i], after[i], f"{path}[{i}]")}
    return set() if before == after else {path}


def test_these_fields_of_a_response_are_sealed_and_no_other() -> None:
    body = copy.deepcopy(RESPONSE_BODY)
    assert seal(call(), body, RESPONSE)
    assert changed(RESPONSE_BODY, body) == set(SEALED)


@pytest.mark.parametrize("path", [path for path in SEALED if not path.endswith("encrypted_content")])
def test_a_sealed_field_opens_to_the_upstreams(path: str) -> None:
    body = copy.deepcopy(RESPONSE_BODY)
    seal(call(), body, RESPONSE)
    opened = ANN.open_id(at(body, path))
    assert opened is not None
    assert (opened.upstream, opened.resource) == (at(RESPONSE_BODY, path), EAST)


def test_encrypted_content_is_marked_and_stays_behind_its_mark() -> None:
    body = copy.deepcopy(RESPONSE_BODY)
    seal(call(), body, RESPONSE)
    marked = at(body, "output[0].encrypted_content")
    assert marked.endswith(".gAAAA")
    assert ANN.open_content(marked) is not None


EVENTS: list[tuple[dict[str, Any], set[str]]] = [
    ({"type": "response.created", "response": {"id": "resp_1", "output": []}}, {"response.id"}),
    ({"type": "response.output_item.added", "item": {"id": "msg_1"}}, {"item.id"}),
    ({"type": "response.output_text.delta", "item_id": "msg_1", "delta": "msg_1"}, {"item_id"}),
    (
        {"type": "response.content_part.done", "item_id": "msg_1", "part": {"annotations": [{"container_id": "c"}]}},
        {"item_id", "part.annotations[0].container_id"},
    ),
    (
        {"type": "response.output_text.annotation.added", "item_id": "m", "annotation": {"container_id": "c"}},
        {"item_id", "annotation.container_id"},
    ),
    ({"type": "response.something.new", "response_id": "resp_1", "other": {"id": "x"}}, {"response_id"}),
    ({"type": "keepalive", "sequence_number": 5}, set()),
]


@pytest.mark.parametrize(("event", "paths"), EVENTS)
def test_these_fields_of_an_event_are_sealed(event: dict[str, Any], paths: set[str]) -> None:
    after = copy.deepcopy(event)
    assert seal(call(), after, EVENT) is bool(paths)
    assert changed(event, after) == paths


def test_the_items_of_a_page_are_sealed_with_its_ends() -> None:
    page = {"object": "list", "data": [{"id": "msg_1"}], "first_id": "msg_1", "last_id": "msg_1", "has_more": False}
    after = copy.deepcopy(page)
    seal(call(), after, ITEMS)
    assert changed(page, after) == {"data[0].id", "first_id", "last_id"}
    assert after["first_id"] == at(after, "data[0].id")


def test_a_reply_may_come_back_as_the_next_request() -> None:
    body = copy.deepcopy(RESPONSE_BODY)
    seal(call(), body, RESPONSE)
    cache = {"comparison_response_id": body["id"]}
    request = {"previous_response_id": body["id"], "input": body["output"], "tools": body["tools"]}
    request["prompt_cache_options"] = cache
    assert unseal(request, REQUEST, ANN) == EAST
    assert request["previous_response_id"] == RESPONSE_BODY["id"]
    assert request["input"] == RESPONSE_BODY["output"]
    assert request["tools"] == RESPONSE_BODY["tools"]
    assert cache == {"comparison_response_id": RESPONSE_BODY["id"]}


def test_a_request_without_ids_is_bound_to_nothing_and_unchanged() -> None:
    request = {"input": [{"role": "user", "content": "resp_1", "id": "mine"}], "metadata": {"id": "resp_1"}}
    before = copy.deepcopy(request)
    assert unseal(request, REQUEST, ANN) is None
    assert request == before


def sealed(upstream_id: str, owner: Seal = ANN, resource: bytes = EAST) -> str:
    return owner.id(upstream_id, resource)


def test_ids_of_one_resource_go_together() -> None:
    request = {"previous_response_id": sealed("resp_1"), "input": [{"type": "item_reference", "id": sealed("msg_1")}]}
    assert unseal(request, REQUEST, ANN) == EAST


def test_ids_of_two_resources_do_not() -> None:
    item = {"type": "item_reference", "id": sealed("msg_1", resource=WEST)}
    with pytest.raises(BadRequest) as caught:
        unseal({"previous_response_id": sealed("resp_1"), "input": [item]}, REQUEST, ANN)
    assert caught.value.param == "input[0].id"


def test_anothers_id_is_not_found_but_for_the_master() -> None:
    request = {"previous_response_id": sealed("resp_1", BOB)}
    with pytest.raises(NotFound) as caught:
        unseal(request, REQUEST, ANN)
    assert caught.value.param == "previous_response_id"
    assert unseal(request, REQUEST, ROOT) == EAST


def test_anothers_encrypted_content_cannot_be_verified() -> None:
    request = {"input": [{"type": "reasoning", "encrypted_content": BOB.content("gAAAA", EAST)}]}
    with pytest.raises(BadRequest) as caught:
        unseal(request, REQUEST, ANN)
    assert caught.value.code == "invalid_encrypted_content"


OWN_NAMES: list[dict[str, Any]] = [
    {"role": "user", "content": "x", "id": "msg_1"},
    {"type": "message", "role": "assistant", "content": [], "id": "msg_1"},
    {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAAA", "summary": []},
    {"type": "image_generation_call", "id": "ig_1", "result": "aGk="},
    {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
    {"type": "something_new", "id": "new_1"},
]
LOOKED_UP: list[dict[str, Any]] = [
    {"type": "item_reference", "id": "msg_1"},
    {"id": "msg_1"},
    {"type": "reasoning", "id": "rs_1", "summary": []},
    {"type": "reasoning", "id": "rs_1", "encrypted_content": None},
    {"type": "compaction", "id": "cmp_1"},
    {"type": "image_generation_call", "id": "ig_1"},
    {"type": "code_interpreter_call", "container_id": "cntr_1"},
    {"role": "user", "content": "x", "id": "m" * 65},
]


@pytest.mark.parametrize("item", OWN_NAMES, ids=str)
def test_an_item_that_says_everything_itself_may_have_any_name(item: dict[str, Any]) -> None:
    assert unseal({"input": [item]}, REQUEST, ANN) is None


@pytest.mark.parametrize("item", LOOKED_UP, ids=str)
def test_an_item_that_the_upstream_would_look_up_must_be_ours(item: dict[str, Any]) -> None:
    with pytest.raises(NotFound):
        unseal({"input": [item]}, REQUEST, ANN)


@pytest.mark.parametrize(
    "wrong", [5, [], {}, {"input": "text"}, {"input": [5, [], None]}, {"tools": {}}, {"input": {}}]
)
def test_any_json_is_tolerated(wrong: Any) -> None:
    assert unseal(wrong, REQUEST, ANN) is None
    assert seal(call(), wrong, RESPONSE) is False


def test_a_query_is_opened() -> None:
    query = {"after": sealed("msg_1"), "limit": "5"}
    assert unseal(query, QUERY, ANN) == EAST
    assert query == {"after": "msg_1", "limit": "5"}


def test_an_errors_words_have_our_ids() -> None:
    text = f"Response with id 'resp_{HEX}' not found; call call_abc and file-123 are none of ours."
    said = scrub(call(), text)
    assert HEX not in said
    assert ANN.id(f"resp_{HEX}", EAST) in said
    assert said.endswith("' not found; call call_abc and file-123 are none of ours.")


# Any JSON, with the fields that are sealed in it more often than by chance.
NAMES = ["id", "output", "tools", "container", "container_id", "content", "annotations", "encrypted_content", "input",
         "previous_response_id", "response", "item", "item_id", "text", "metadata", "type"]  # fmt: skip
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | TEXT, inner, max_size=6),
    max_leaves=30,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON, st.sampled_from([RESPONSE, EVENT, ITEMS]))
def test_sealing_changes_the_marked_strings_and_nothing_else(body: Any, shape: Shape) -> None:
    after = orjson.loads(orjson.dumps(body))
    marked = {path: mark for _, _, mark, path in places(after, shape)}
    assert seal(call(), after, shape) is bool(marked)
    assert marked_only(body, after, shape) == body


def marked_only(body: Any, after: Any, shape: Shape) -> Any:
    """`after` with each marked string opened again."""
    for holder, key, mark, _ in list(places(after, shape)):
        text = holder[key]
        opened = ANN.open_content(text) if mark is Mark.CONTENT else ANN.open_id(text)
        assert opened is not None
        assert opened.resource == EAST
        holder[key] = opened.upstream
    return after
