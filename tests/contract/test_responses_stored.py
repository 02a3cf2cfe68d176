"""Responses after they were made: read, streamed again, cancelled, deleted, listed; in the background; of whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway
    from tests.contract.conftest import Client

OPERATIONS = ("responses_retrieve", "responses_delete", "responses_cancel", "responses_input_items")

CONFIG = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east, api_version: "2024-10-21"}
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/west/openai/v1, api_key: sim-key-west}
"""
ANYBODY = {"SPILLWAY_ALLOW_ANONYMOUS": "true"}
TURNS = 4
"""How often a thing is done so that both resources have had a turn."""


def create(api: OpenAI, said: Any = "hello", **body: Any) -> Any:
    return api.responses.create(model="gpt-4o", input=said, **body)


def where(run: Running) -> list[tuple[str, str]]:
    """Operation and resource of the requests, in their order."""
    return [(one["operation"].removeprefix("responses/"), one["resource"]) for one in run.sent()]


def test_a_response_is_read_where_it_was_made(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    places: list[str] = []
    while set(places) != {"east", "west"}:
        made = create(api)
        assert api.responses.retrieve(made.id).to_dict() == made.to_dict()
        places = [place for _, place in where(run)]
    assert places[0::2] == places[1::2]


def test_reading_costs_nothing(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    api.responses.retrieve(create(api).id)
    calls = run.calls(2)
    assert [call["operation"] for call in calls] == ["responses_create", "responses_retrieve"]
    assert (calls[1]["prompt_tokens"], calls[1]["completion_tokens"], calls[1]["status"]) == (0, 0, 200)
    assert len(run.sim.bill()) == 1


def test_a_deleted_response_is_gone(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    for _ in range(TURNS):
        made = create(api)
        told = api.responses.with_raw_response.delete(made.id).http_response.json()
        assert (told["id"], told["deleted"]) == (made.id, True)
        with pytest.raises(NotFoundError) as caught:
            api.responses.retrieve(made.id)
        assert made.id in caught.value.message
        assert caught.value.response.headers["x-should-retry"] == "false"
    run.assert_discreet()


def test_a_response_that_was_not_stored_is_not_found(spillway: Spillway, client: Client) -> None:
    api = client(spillway(CONFIG))
    made = create(api, store=False)
    with pytest.raises(NotFoundError):
        api.responses.retrieve(made.id)


def test_input_items_come_in_pages(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    for _ in range(TURNS):
        made = create(api, [{"role": "user", "content": f"number {n}"} for n in range(5)])
        page = api.responses.input_items.list(made.id, limit=2, order="asc")
        assert [item.to_dict()["content"][0]["text"] for item in page] == [f"number {n}" for n in range(5)]  # type: ignore[index]
    asked = [one["query"] for one in run.sent() if one["operation"] == "responses/input_items"]
    assert all(len(query["after"]) == len("msg_") + 48 for query in asked[1:3])


def test_items_of_another_resource_are_none_of_this_response(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    made: dict[str, Any] = {}
    while len(made) < 2:
        response = run.http.post("/v1/responses", json={"model": "gpt-4o", "input": "hello"}).json()
        made[where(run)[-1][1]] = response
    path = f"/v1/responses/{made['east']['id']}/input_items"
    sent = len(run.sent())
    refused = run.http.get(path, params={"after": made["west"]["output"][0]["id"]})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "after")
    assert run.http.get(path, params={"after": "msg_1"}).status_code == 404
    assert len(run.sent()) == sent


def test_only_known_words_of_a_query_are_sent_on(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    made = run.http.post("/v1/responses", json={"model": "gpt-4o", "input": "hello"}).json()
    query = "api-version=1999-01-01&include[]=a&include[]=b&evil=1"
    run.http.get(f"/v1/responses/{made['id']}?{query}")
    sent = run.sent()[-1]["query"]
    assert sent.get("api-version") != "1999-01-01"
    assert set(sent) <= {"api-version", "include[]"}


def test_a_background_response_is_polled_to_its_end(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    for _ in range(TURNS):
        made = create(api, background=True)
        assert made.status == "queued"
        run.sim.advance(2)
        assert api.responses.retrieve(made.id).status == "in_progress"
        run.sim.advance(10)
        done = api.responses.retrieve(made.id)
        assert (done.status, done.id) == ("completed", made.id)
        assert done.output_text


def test_a_background_response_is_cancelled(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    for _ in range(TURNS):
        made = create(api, background=True)
        assert api.responses.cancel(made.id).status == "cancelled"
        assert api.responses.cancel(made.id).status == "cancelled"
        assert api.responses.retrieve(made.id).status == "cancelled"


def test_only_a_background_response_can_be_cancelled(spillway: Spillway, client: Client) -> None:
    api = client(spillway(CONFIG))
    made = create(api)
    with pytest.raises(BadRequestError, match="Cannot cancel a synchronous response"):
        api.responses.cancel(made.id)


def test_a_background_stream_is_read_again_from_any_event(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    for _ in range(TURNS):
        seen = list(create(api, "[[sim chunks=5]]", stream=True, background=True))
        response = seen[-1].response
        again = list(api.responses.retrieve(response.id, stream=True))
        assert [event.to_dict() for event in again] == [event.to_dict() for event in seen]
        rest = list(api.responses.retrieve(response.id, stream=True, starting_after=6))
        assert [event.to_dict() for event in rest] == [event.to_dict() for event in seen[7:]]
    assert {call["completion_tokens"] for call in run.calls() if call["operation"] == "responses_retrieve"} == {0}


def test_a_stream_with_nothing_left_is_empty(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    seen = list(create(api, stream=True, background=True))
    run.sim.fault(operation="responses/retrieve", empty=True)
    assert list(api.responses.retrieve(seen[-1].response.id, stream=True, starting_after=len(seen) - 1)) == []


def test_a_cancelled_stream_ends_where_it_was(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    stream = create(api, "[[sim chunks=20 delay_ms=1000]]", stream=True, background=True)
    response_id = next(iter(stream)).response.id
    stream.close()
    run.sim.advance(5.5)
    assert api.responses.cancel(response_id).status == "cancelled"
    again = list(api.responses.retrieve(response_id, stream=True))
    assert len(again) >= 6
    assert again[-1].type != "response.completed"


def test_a_failed_response_is_read_again_as_it_failed(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    api = client(run)
    run.sim.fault(operation="responses", failed_after_events=6)
    seen = list(create(api, "hello", stream=True, background=True))
    assert seen[-1].type == "response.failed"
    again = list(api.responses.retrieve(seen[-1].response.id, stream=True))
    assert again[-1].type == "response.failed"
    assert api.responses.retrieve(seen[-1].response.id).status == "failed"


def test_a_stream_that_was_not_in_the_background_is_not_streamed_again(spillway: Spillway, client: Client) -> None:
    api = client(spillway(CONFIG))
    with pytest.raises(BadRequestError):
        api.responses.retrieve(create(api).id, stream=True)


WAYS = [("GET", ""), ("GET", "?stream=true"), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")]


@pytest.mark.parametrize(("method", "tail"), WAYS)
def test_an_id_that_was_tampered_with_is_not_found(spillway: Spillway, method: str, tail: str) -> None:
    run = spillway(CONFIG)
    made: str = run.http.post("/v1/responses", json={"model": "gpt-4o", "input": "hello"}).json()["id"]
    upstream = "resp_" + "0123456789abcdef" * 3
    swapped = made[:-8] + ("A" if made[-8] != "A" else "B") + made[-7:]
    for wrong in (
        swapped,
        made[:-1],
        made + "A",
        made.replace("resp_", "msg_"),
        upstream,
        "resp_",
        "compact",
        "%2E%2E",
    ):
        refused = run.http.request(method, f"/v1/responses/{wrong}{tail}")
        assert (refused.status_code, refused.json()["error"]["param"]) == (404, "response_id")
    assert len(run.sent()) == 1


@pytest.mark.parametrize(("method", "tail"), WAYS)
def test_somebody_elses_response_is_not_found(spillway: Spillway, method: str, tail: str) -> None:
    run = spillway(CONFIG, **ANYBODY)
    made = run.http.post("/v1/responses", json={"model": "gpt-4o", "input": "hello"}).json()
    del run.http.headers["authorization"]
    try:
        refused = run.http.request(method, f"/v1/responses/{made['id']}{tail}")
        bodies: list[dict[str, Any]] = [
            {"previous_response_id": made["id"]},
            {"input": [{"type": "item_reference", "id": made["output"][0]["id"]}]},
        ]
        others = [run.http.post("/v1/responses", json={"model": "gpt-4o", "input": "x", **body}) for body in bodies]
    finally:
        run.http.headers["authorization"] = f"Bearer {run.key}"
    assert [one.status_code for one in (refused, *others)] == [404] * 3
    assert len(run.sent()) == 1


def test_the_master_key_sees_everybodys(spillway: Spillway) -> None:
    run = spillway(CONFIG, **ANYBODY)
    body = {"model": "gpt-4o", "input": "hello"}
    del run.http.headers["authorization"]
    try:
        made = run.http.post("/v1/responses", json=body).json()
    finally:
        run.http.headers["authorization"] = f"Bearer {run.key}"
    assert run.http.get(f"/v1/responses/{made['id']}").json() == made
    assert run.http.post("/v1/responses", json={**body, "previous_response_id": made["id"]}).status_code == 200


def test_a_new_secret_knows_the_ids_of_the_old_one(spillway: Spillway, client: Client) -> None:
    made = create(client(spillway(CONFIG, SPILLWAY_ID_SECRET="old")))
    run = spillway(CONFIG, SPILLWAY_ID_SECRET="new,old")
    assert client(run).responses.retrieve(made.id).output_text == made.output_text
    run = spillway(CONFIG, SPILLWAY_ID_SECRET="new")
    with pytest.raises(NotFoundError):
        client(run).responses.retrieve(made.id)


def test_an_unknown_path_at_the_resource_is_the_operators_fault(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG)
    made = create(client(run))
    run.sim.fault(
        operation="responses/retrieve", status=404, body={"error": {"code": "404", "message": "Resource not found"}}
    )
    refused = run.http.get(f"/v1/responses/{made.id}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (502, "upstream_misconfigured")
