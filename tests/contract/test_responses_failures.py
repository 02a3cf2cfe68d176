"""Failures that a Responses stream tells inside a 200: before its first data they are the call's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import orjson
import pytest
from openai import APIError

from tests.told import without_told

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway
    from tests.contract.conftest import Client

TWO = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east, order: 1}
    model_info: {id: east}
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/west, api_key: sim-key-west, order: 2}
    model_info: {id: west}
"""
ONE = TWO[: TWO.index("  - model_name: gpt-4o\n", 30)]
BEFORE = [{"error_event_after_events": after} for after in (0, 1, 2)] + [
    {"failed_after_events": after} for after in (0, 1, 2)
]
"""Faults that strike before the first data event: at once, after `response.created`, after `in_progress`."""
SAID = [(429, "rate_limit_exceeded", openai.RateLimitError), (502, "server_error", openai.InternalServerError),
        (400, "invalid_prompt", openai.BadRequestError)]  # fmt: skip


PACED = "hello [[sim delay_ms=20]]"
"""What arrives in one burst with the end of a connection may be lost with it; what came before it is not."""


def create(run: Running, client: Client, said: str = "hello", **body: Any) -> Any:
    return client(run).responses.create(model="gpt-4o", input=said, **body)


def where(run: Running) -> list[str]:
    return [one["resource"] for one in run.sent()]


def fault(run: Running, code: str = "rate_limit_exceeded", **where: Any) -> None:
    """A fault with this code, in the shape that its kind has."""
    error = {"code": code, "message": "Your requests to gpt-4o in eastus2.openai.azure.com failed."}
    run.sim.fault(
        operation="responses", body={"error": error} if "error_event_after_events" in where else error, **where
    )


@pytest.mark.parametrize("before", BEFORE, ids=str)
def test_a_failure_before_the_first_data_fails_over(spillway: Spillway, client: Client, before: dict[str, Any]) -> None:
    run = spillway(TWO)
    fault(run, resource="east", **before)
    events = list(create(run, client, stream=True))
    assert where(run) == ["east", "west"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    [call] = run.calls()
    assert (call["attempts"], call["deployment_id"], call["outcome"]) == (2, "west", "ok")


@pytest.mark.parametrize("before", BEFORE, ids=str)
@pytest.mark.parametrize(("status", "code", "kind"), SAID)
def test_a_failure_before_the_first_data_has_its_true_status(
    spillway: Spillway,
    client: Client,
    before: dict[str, Any],
    status: int,
    code: str,
    kind: type[openai.APIStatusError],
) -> None:
    run = spillway(ONE)
    fault(run, code, times=None, **before)
    with pytest.raises(kind) as caught:
        create(run, client, stream=True)
    assert caught.value.status_code == status
    assert "openai.azure.com" not in caught.value.message
    assert run.calls()[0]["status"] == status


def test_a_failure_that_the_input_is_to_blame_for_is_not_tried_elsewhere(spillway: Spillway, client: Client) -> None:
    run = spillway(TWO)
    fault(run, "invalid_prompt", failed_after_events=2)
    with pytest.raises(openai.BadRequestError):
        create(run, client, stream=True)
    assert where(run) == ["east"]


def test_azures_own_limit_inside_a_stream_fails_over(spillway: Spillway, client: Client) -> None:
    run = spillway(TWO)
    run.sim.deployment("east", "gpt-4o", rpm=6, ratelimit_in_stream=True)
    for _ in range(2):
        assert list(create(run, client, stream=True))[-1].type == "response.completed"
    assert where(run) == ["east", "east", "west"]


def test_a_whole_response_that_failed_fails_over_too(spillway: Spillway, client: Client) -> None:
    run = spillway(TWO)
    fault(run, resource="east", failed_after_events=0)
    assert create(run, client).status == "completed"
    assert where(run) == ["east", "west"]


def test_a_failure_behind_data_is_the_streams_last_event(spillway: Spillway, client: Client) -> None:
    run = spillway(TWO)
    fault(run, "server_error", failed_after_events=6)
    events = list(create(run, client, stream=True))
    assert where(run) == ["east"]
    assert events[-1].type == "response.failed"
    assert events[-1].response.error.code == "server_error"
    assert "openai.azure.com" not in events[-1].response.error.message
    assert events[-1].response.id == events[0].response.id
    [call] = run.calls()
    assert (call["status"], call["outcome"], call["usage_source"]) == (502, "error", "estimated")
    assert call["completion_tokens"] > 0


def test_an_error_behind_data_is_raised_by_the_sdk(spillway: Spillway, client: Client) -> None:
    run = spillway(TWO)
    fault(run, error_event_after_events=7)
    stream = create(run, client, stream=True)
    seen = []
    with pytest.raises(APIError) as caught:
        seen += [next(stream) for _ in range(100)]
    assert caught.value.code == "rate_limit_exceeded"
    assert where(run) == ["east"]
    [call] = run.calls()
    assert (call["status"], call["outcome"]) == (429, "error")
    assert call["completion_tokens"] > 0


def test_an_error_event_keeps_its_shape(spillway: Spillway) -> None:
    run = spillway(TWO)
    fault(run, error_event_after_events=7)
    raw = run.http.post("/v1/responses", json={"model": "gpt-4o", "input": "hello", "stream": True}).content
    head, _, data = without_told(raw).removesuffix(b"\n\n").split(b"\n\n")[-1].partition(b"data: ")
    told = orjson.loads(data)
    assert head == b"event: error\n"
    assert (told["type"], told["sequence_number"]) == ("error", 7)
    assert told["error"] == {
        "code": "rate_limit_exceeded",
        "message": "The model is at its rate limit. Try again later.",
    }


def test_a_failure_after_the_beginning_was_let_go_is_told_in_the_stream(spillway: Spillway, client: Client) -> None:
    run = spillway(TWO, SPILLWAY_HOLD_BACK_S="0.05")
    run.sim.fault(operation="responses", stall_after_events=2, stall_s=0.3, failed_after_events=2)
    events = list(create(run, client, stream=True))
    assert [event.type for event in events] == ["response.created", "response.in_progress", "response.failed"]
    assert run.calls()[0]["outcome"] == "error"


def test_a_stream_that_breaks_ends_in_an_error(spillway: Spillway, client: Client) -> None:
    run = spillway(TWO)
    run.sim.fault(operation="responses", cut_after_events=8)
    with pytest.raises(APIError) as caught:
        list(create(run, client, PACED, stream=True))
    assert caught.value.code == "stream_broken"
    assert run.calls()[0]["outcome"] == "broken"


def test_a_poll_that_failed_is_not_sent_to_another_resource(spillway: Spillway, client: Client) -> None:
    run = spillway(TWO)
    made = create(run, client, background=True)
    run.sim.fault(operation="responses/retrieve", status=500, times=1)
    with pytest.raises(openai.InternalServerError):
        client(run).responses.retrieve(made.id)
    assert set(where(run)) == {"east"}
    assert client(run).responses.retrieve(made.id).id == made.id
