"""Responses in the background, and errors inside their streams."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest
from openai import AzureOpenAI, OpenAI

from devtools.simulator import ControlClient

PATH = "/east/openai/v1/responses"
SLOW = "[[sim chunks=20 delay_ms=1000]]"


def create(http: httpx.Client, text: str = "[[sim chunks=10]]", **more: Any) -> Any:
    return http.post(PATH, json={"model": "gpt-4o", "input": text, "background": True, **more}).json()


def status(http: httpx.Client, response: Any) -> Any:
    return http.get(f"{PATH}/{response['id']}").json()["status"]


def parsed(raw: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(block.split(b"data: ", 1)[1]) for block in raw.removesuffix(b"\n\n").split(b"\n\n")]


def streamed(http: httpx.Client, **more: Any) -> list[dict[str, Any]]:
    asked = {"model": "gpt-4o", "input": "[[sim chunks=3]]", "stream": True, **more}
    return parsed(http.post(PATH, json=asked).content)


def start_slow_stream(http: httpx.Client) -> str:
    """A background stream that its client leaves after the first event; gives the response's id."""
    asked = {"model": "gpt-4o", "input": SLOW, "stream": True, "background": True}
    with http.stream("POST", PATH, json=asked) as response:
        [event] = parsed(next(response.iter_raw()))
    response_id: str = event["response"]["id"]
    return response_id


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits up to two seconds for what another thread does."""
    deadline = time.monotonic() + 2
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_background_response_goes_on_by_the_simulators_clock(http: httpx.Client, sim: ControlClient) -> None:
    response = create(http)
    assert (response["status"], response["output"], response["usage"]) == ("queued", [], None)
    sim.advance(2)
    assert status(http, response) == "in_progress"
    sim.advance(10)
    done = http.get(f"{PATH}/{response['id']}").json()
    assert (done["status"], done["usage"]["output_tokens"]) == ("completed", 10)


def test_its_timetable_may_be_directed(http: httpx.Client, sim: ControlClient) -> None:
    response = create(http, "[[sim queued_ms=100000 run_ms=100000]]")
    sim.advance(99)
    assert status(http, response) == "queued"
    sim.advance(100)
    assert status(http, response) == "in_progress"
    sim.advance(2)
    assert status(http, response) == "completed"


@pytest.mark.usefixtures("sim")
def test_the_sdk_polls_and_cancels(azure: AzureOpenAI, v1: OpenAI) -> None:
    for client in (azure, v1):
        response = client.responses.create(model="gpt-4o", input="hello", background=True)
        assert response.status == "queued"
        assert client.responses.cancel(response.id).status == "cancelled"
        assert client.responses.cancel(response.id).status == "cancelled"
        assert client.responses.retrieve(response.id).status == "cancelled"


def test_only_a_background_response_can_be_cancelled(http: httpx.Client) -> None:
    response = http.post(PATH, json={"model": "gpt-4o", "input": "hello"}).json()
    refused = http.post(f"{PATH}/{response['id']}/cancel")
    assert (refused.status_code, refused.json()["error"]["message"]) == (400, "Cannot cancel a synchronous response.")


def test_cancelling_a_completed_response_changes_nothing(http: httpx.Client, sim: ControlClient) -> None:
    response = create(http)
    sim.advance(10)
    assert http.post(f"{PATH}/{response['id']}/cancel").json()["status"] == "completed"


def test_the_bill_grows_with_a_background_response(http: httpx.Client, sim: ControlClient) -> None:
    create(http, "[[sim chunks=100 queued_ms=0 run_ms=1000000]]")
    [line] = sim.bill()
    assert (line["completion_tokens"], line["finished"]) == (0, False)
    sim.advance(500)
    assert sim.bill()[0]["completion_tokens"] == 50
    sim.advance(600)
    [line] = sim.bill()
    assert (line["completion_tokens"], line["finished"]) == (100, True)


def test_a_cancelled_response_is_billed_for_what_was_generated(http: httpx.Client, sim: ControlClient) -> None:
    response = create(http, "[[sim chunks=100 queued_ms=0 run_ms=1000000]]")
    sim.advance(300)
    http.post(f"{PATH}/{response['id']}/cancel")
    sim.advance(5000)
    [line] = sim.bill()
    assert (line["completion_tokens"], line["finished"]) == (30, False)


def test_a_response_that_is_not_done_is_no_previous_one(http: httpx.Client, sim: ControlClient) -> None:
    first = create(http)
    asked = {"model": "gpt-4o", "input": "go on", "previous_response_id": first["id"]}
    assert http.post(PATH, json=asked).json()["error"]["code"] == "previous_response_not_found"
    sim.advance(10)
    assert http.post(PATH, json=asked).json()["status"] == "completed"


def test_a_background_stream_starts_queued(http: httpx.Client) -> None:
    found = streamed(http, background=True)
    assert [event["type"] for event in found[:3]] == ["response.created", "response.queued", "response.in_progress"]
    assert found[0]["response"]["status"] == "queued"
    assert found[-1]["type"] == "response.completed"


def test_a_background_stream_can_be_read_again_from_any_event(http: httpx.Client) -> None:
    found = streamed(http, background=True)
    path = f"{PATH}/{found[0]['response']['id']}?stream=true"
    assert parsed(http.get(path).content) == found
    assert parsed(http.get(path + "&starting_after=4").content) == found[5:]


@pytest.mark.usefixtures("sim")
def test_the_sdk_resumes_a_background_stream(v1: OpenAI) -> None:
    seen = list(v1.responses.create(model="gpt-4o", input="[[sim chunks=5]]", stream=True, background=True))
    assert seen[0].type == "response.created"
    rest = list(v1.responses.retrieve(seen[0].response.id, stream=True, starting_after=6))
    assert [event.to_dict() for event in rest] == [event.to_dict() for event in seen[7:]]


def test_a_background_stream_goes_on_without_its_client(http: httpx.Client, sim: ControlClient) -> None:
    response_id = start_slow_stream(http)
    wait_until(lambda: bool(sim.requests()[0]["disconnected"]))
    sim.advance(60)
    assert http.get(f"{PATH}/{response_id}").json()["status"] == "completed"
    [line] = sim.bill()
    assert (line["completion_tokens"], line["finished"]) == (20, True)


def test_a_stream_read_again_tells_what_happened_and_waits_for_the_rest(http: httpx.Client, sim: ControlClient) -> None:
    response_id = start_slow_stream(http)
    sim.advance(9.5)
    with http.stream("GET", f"{PATH}/{response_id}?stream=true&starting_after=1") as response:
        past = parsed(next(response.iter_raw()))
    assert [event["sequence_number"] for event in past] == list(range(2, 2 + len(past)))
    assert 7 <= len(past) <= 12


def test_a_cancelled_stream_ends_where_it_was(http: httpx.Client, sim: ControlClient) -> None:
    response_id = start_slow_stream(http)
    sim.advance(5.5)
    assert http.post(f"{PATH}/{response_id}/cancel").json()["status"] == "cancelled"
    sim.advance(100)
    kinds = [event["type"] for event in parsed(http.get(f"{PATH}/{response_id}?stream=true").content)]
    assert "response.completed" not in kinds
    assert len(kinds) >= 6


def test_only_a_background_stream_can_be_read_again(http: httpx.Client) -> None:
    for response in (create(http), streamed(http)[-1]["response"]):
        assert http.get(f"{PATH}/{response['id']}?stream=true").status_code == 400


def test_a_limit_inside_a_stream_strikes_before_any_other_event(http: httpx.Client, sim: ControlClient) -> None:
    sim.deployment("east", "gpt-4o", rpm=6, ratelimit_in_stream=True)
    assert streamed(http)[-1]["type"] == "response.completed"
    response = http.post(PATH, json={"model": "gpt-4o", "input": "hello", "stream": True})
    assert response.status_code == 200
    assert response.content.startswith(b"event: error\n")
    [event] = parsed(response.content)
    assert (event["type"], event["sequence_number"]) == ("error", 1)
    assert (event["error"]["type"], event["error"]["code"]) == ("too_many_requests", "rate_limit_exceeded")
    assert event["error"]["headers"] == {"x-ms-fe-error": "true"}
    assert len(sim.bill()) == 1


def test_without_the_quirk_a_limit_is_a_429(http: httpx.Client, sim: ControlClient) -> None:
    sim.deployment("east", "gpt-4o", rpm=6)
    answers = [http.post(PATH, json={"model": "gpt-4o", "input": "hello", "stream": True}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert int(answers[1].headers["retry-after-ms"]) > 0


@pytest.mark.parametrize("after", [0, 1, 2, 6])
def test_an_error_event_can_strike_anywhere(http: httpx.Client, sim: ControlClient, after: int) -> None:
    sim.fault(operation="responses", error_event_after_events=after)
    found = streamed(http)
    assert [event["type"] for event in found[after:]] == ["error"]
    assert found[-1]["sequence_number"] == max(1, after)


def test_an_error_event_may_be_given_whole(http: httpx.Client, sim: ControlClient) -> None:
    event = {"type": "error", "code": "server_error", "message": "Oh.", "param": None, "sequence_number": 3}
    sim.fault(error_event_after_events=2, body=event)
    assert streamed(http)[-1] == event


@pytest.mark.parametrize("after", [0, 2, 6])
def test_a_response_can_fail_in_its_stream(http: httpx.Client, sim: ControlClient, after: int) -> None:
    sim.fault(failed_after_events=after, body={"code": "server_error", "message": "The model is gone."})
    found = streamed(http)
    assert (len(found), found[-1]["type"]) == (after + 1, "response.failed")
    assert found[-1]["response"]["error"] == {"code": "server_error", "message": "The model is gone."}
    [line] = sim.bill()
    assert (line["completion_tokens"], line["finished"]) == (2 if after == 6 else 0, False)


def test_a_failed_response_stays_failed(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(failed_after_events=0)
    response = http.post(PATH, json={"model": "gpt-4o", "input": "hello"}).json()
    assert (response["status"], response["error"]["code"]) == ("failed", "rate_limit_exceeded")
    assert status(http, response) == "failed"


def test_a_background_response_can_fail(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(failed_after_events=3)
    response = create(http)
    assert response["status"] == "queued"
    sim.advance(10)
    assert status(http, response) == "failed"
