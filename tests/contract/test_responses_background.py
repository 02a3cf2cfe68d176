"""Background responses are settled by the timer, from Azurite's rows, although no client comes back for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from devtools.storage import AZURITE
from tests.conftest import await_true
from tests.contract.test_responses_stored import ANYBODY, CONFIG, create

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway
    from tests.contract.conftest import Client

pytestmark = pytest.mark.skipif(not AZURITE.exists(), reason="Azurite is not installed: run `npm ci`")


@pytest.fixture
def run(spillway: Spillway, azurite: str) -> Iterator[Running]:
    """Spillway with a storage account, which it leaves without rows."""
    running = spillway(CONFIG + "general_settings: {disconnect_drain_s: 0.3}", AzureWebJobsStorage=azurite)
    yield running
    running.sim.advance(1000)
    tick(running)


def tick(run: Running) -> None:
    """Fires the timer and waits for its run."""

    def ended() -> int:
        return sum(line.startswith("background responses:") for line in run.log.messages)

    before = ended()
    assert run.http.post("/admin/functions/sweep", json={}).status_code == 202
    await_true(lambda: ended() > before, "the timer's run")
    run.await_rest()


def records(run: Running, operation: str, count: int = 1) -> list[dict[str, Any]]:
    def found() -> list[dict[str, Any]]:
        return [call for call in run._calls() if call["operation"] == operation]

    await_true(lambda: len(found()) >= count, f"{count} records of {operation}")
    return found()


def test_a_response_that_nobody_comes_back_for_is_settled(run: Running, client: Client) -> None:
    api = client(run)
    made = [create(api, background=True) for _ in range(4)]
    for call in records(run, "responses_create", 4):
        assert (call["usage_source"], call["completion_tokens"]) == ("none", 0)
    tick(run)
    assert not [call for call in run._calls() if call["operation"] == "responses_background"]
    run.sim.advance(20)
    tick(run)
    settled = records(run, "responses_background", 4)
    billed = sorted((line["prompt_tokens"], line["completion_tokens"]) for line in run.sim.bill())
    assert sorted((one["prompt_tokens"], one["completion_tokens"]) for one in settled) == billed
    assert {one["usage_source"] for one in settled} == {"upstream"}
    assert {one["call_id"] for one in settled} == {call["call_id"] for call in records(run, "responses_create", 4)}
    tick(run)
    assert len(records(run, "responses_background", 4)) == len(made)


def test_a_stream_that_is_read_to_its_end_is_settled_once(run: Running, client: Client) -> None:
    list(create(client(run), stream=True, background=True))
    [call], [line] = records(run, "responses_create"), run.sim.bill()
    assert (call["completion_tokens"], call["usage_source"]) == (line["completion_tokens"], "upstream")
    run.await_rest()
    run.sim.advance(100)
    tick(run)
    assert not [one for one in run._calls() if one["operation"] == "responses_background"]


def test_a_stream_that_its_client_left_is_settled_by_the_timer(
    spillway: Callable[..., Running], client: Client, azurite: str
) -> None:
    run = spillway(CONFIG + "\ngeneral_settings: {disconnect_drain_s: 0.2}\n", AzureWebJobsStorage=azurite)
    stream = create(client(run), "[[sim chunks=20 delay_ms=1000]]", stream=True, background=True)
    next(iter(stream))
    stream.close()
    run.sim.advance(60)
    run.await_rest()
    tick(run)
    [settled], [line] = records(run, "responses_background"), run.sim.bill()
    assert (settled["prompt_tokens"], settled["completion_tokens"]) == (line["prompt_tokens"], 20)
    assert line["finished"]


def test_a_cancelled_response_is_settled_with_an_estimate(run: Running, client: Client) -> None:
    api = client(run)
    api.responses.cancel(create(api, background=True).id)
    tick(run)
    [settled] = records(run, "responses_background")
    assert (settled["usage_source"], settled["outcome"]) == ("estimated", "error")
    assert settled["prompt_tokens"] > 0


def test_a_resource_that_is_down_is_asked_again(run: Running, client: Client) -> None:
    create(client(run), background=True)
    run.sim.advance(20)
    run.sim.fault(operation="responses/retrieve", status=500, times=1)
    tick(run)
    assert not [one for one in run._calls() if one["operation"] == "responses_background"]
    tick(run)
    assert len(records(run, "responses_background")) == 1


def test_without_storage_the_reply_comes_with_an_estimate(spillway: Spillway, client: Client) -> None:
    run = spillway(CONFIG, **ANYBODY)
    assert create(client(run), background=True).status == "queued"
    [call] = records(run, "responses_create")
    assert call["usage_source"] == "estimated"
    assert any("no storage account" in line for line in run.log.messages)


def test_a_worker_that_was_killed_loses_nothing(
    run: Running, spillway: Callable[..., Running], client: Client, azurite: str
) -> None:
    create(client(run), background=True)
    run.sim.advance(20)
    again = spillway(CONFIG, AzureWebJobsStorage=azurite)
    again.http.get("/v1/models")
    tick(again)
    assert len(records(again, "responses_background")) == 1
