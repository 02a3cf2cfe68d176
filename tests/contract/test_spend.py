"""What was spent, over sockets: reports of an empty ledger, of one with calls in it, and of none at all."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

OPERATIONS = (
    "spend_logs",
    "spend_calculate",
    "global_spend",
    "global_spend_keys",
    "global_spend_models",
    "global_activity",
    "user_daily_activity",
)
REPORTS = (
    "/spend/logs",
    "/global/spend",
    "/global/spend/keys",
    "/global/spend/models",
    "/global/activity",
    "/user/daily/activity",
)
CONFIG = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east, order: 1}
    model_info: {id: east-gpt-4o, base_model: gpt-4o, mode: chat}
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/west, api_key: sim-key-west, order: 2,
      input_cost_per_token: 0.00001, output_cost_per_token: 0.00004}
    model_info: {id: west-gpt-4o, mode: chat}
  - model_name: embed
    litellm_params: {model: azure/text-embedding-3-small, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {base_model: text-embedding-3-small, mode: embedding}
  - model_name: voice
    litellm_params: {model: azure/tts, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {base_model: tts}
  - model_name: unknown
    litellm_params: {model: azure/o4-mini, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {base_model: nobody-knows}
"""
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "choices": [],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}},
}


@pytest.mark.parametrize("path", REPORTS)
def test_a_report_of_nothing_is_an_empty_one(spillway: Spillway, azurite: str, path: str) -> None:
    run = spillway(CONFIG, AzureWebJobsStorage=azurite)
    answer = run.http.get(path, params={"start_date": "2024-01-01", "end_date": "2024-01-10"})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (
        told == []
        or told.get("spend") == 0
        or told.get("data") == []
        or not any(told.get(name) for name in ("daily_data", "results", "sum_api_requests"))
    )
    table = run.http.get(path, headers={"accept": "text/csv"}, params={"end_date": "2024-01-10"})
    assert table.headers["content-type"].startswith("text/csv")
    assert table.text.endswith("\r\n")


@pytest.mark.parametrize("path", REPORTS)
def test_a_day_that_is_none_is_refused(spillway: Spillway, azurite: str, path: str) -> None:
    run = spillway(CONFIG, AzureWebJobsStorage=azurite)
    refused = run.http.get(path, params={"start_date": "yesterday"})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "start_date"
    assert "2026-07-31" in refused.json()["error"]["message"]


@pytest.mark.parametrize("path", REPORTS)
def test_without_storage_a_report_says_so(spillway: Spillway, path: str) -> None:
    answer = spillway(CONFIG).http.get(path)
    assert answer.status_code == 503
    assert answer.headers["x-should-retry"] == "false"
    assert "no storage account" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", [*REPORTS, "/spend/calculate"])
def test_no_report_is_open(spillway: Spillway, path: str) -> None:
    run = spillway(CONFIG)
    method = "POST" if path.endswith("calculate") else "GET"
    assert httpx.request(method, run.url + path).status_code == 401
    assert run.http.request(method, path, headers={"authorization": "Bearer sk-other"}).status_code == 401


def calculated(spillway: Spillway, **body: Any) -> dict[str, Any]:
    answer = spillway(CONFIG).http.post("/spend/calculate", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_an_answer_is_priced_by_the_deployment_and_not_by_its_own_model(spillway: Spillway) -> None:
    told = calculated(spillway, model="gpt-4o", completion_response={**ANSWER, "model": "gpt-4"})
    east, west = told["deployments"]
    assert (east["model_id"], east["cost"]) == ("east-gpt-4o", 0.003)
    assert (west["model_id"], west["price_source"]) == ("west-gpt-4o", "deployment+config")
    assert told["cost"] == west["cost"] == pytest.approx(0.014 - 400 * (0.00001 - 0.00000125))
    assert told["usage"]["prompt_tokens_details"] == {"cached_tokens": 400}


def test_a_request_is_priced_without_its_answer_and_with_the_longest(spillway: Spillway) -> None:
    messages = [{"role": "user", "content": "How high is the dam?"}]
    told = calculated(spillway, model="gpt-4o", messages=messages, max_tokens=1000)
    east = told["deployments"][0]
    assert east["cost"] == pytest.approx(told["usage"]["prompt_tokens"] * 2.5e-6)
    assert east["max_cost"] == pytest.approx(east["cost"] + 0.01)
    assert calculated(spillway, model="gpt-4o", messages=messages)["max_cost"] is None


def test_other_operations_are_priced_by_what_they_are_billed_by(spillway: Spillway) -> None:
    spoken = calculated(spillway, model="voice", input="Water!", voice="alloy")
    assert spoken["usage"]["characters"] == 6
    assert spoken["cost"] == spoken["max_cost"] == pytest.approx(6 * 15e-6)
    embedded = calculated(spillway, model="embed", input=["one", "two"])
    assert embedded["cost"] == embedded["max_cost"] == pytest.approx(embedded["usage"]["prompt_tokens"] * 2.2e-8)


def test_what_has_no_price_is_never_free(spillway: Spillway) -> None:
    told = calculated(spillway, model="unknown", completion_response=ANSWER)
    assert told["cost"] is None
    assert told["deployments"][0]["price_source"] == "none"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 400, "'model'"),
        ({"model": 7}, 400, "'model'"),
        ({"model": "gpt-4o"}, 400, "completion_response"),
        ({"model": "gpt-4o", "messages": "hello"}, 400, "'messages'"),
        ({"model": "gpt-4o", "completion_response": []}, 400, "'completion_response'"),
        ({"model": "gpt-4o", "completion_response": {"usage": {}}}, 400, "no usage"),
        ({"completion_response": ANSWER}, 404, "gpt-4o-2024-08-06"),
        ({"model": "gpt-9", "messages": []}, 404, "gpt-9"),
    ],
)
def test_what_cannot_be_priced_is_refused(spillway: Spillway, body: dict[str, Any], status: int, says: str) -> None:
    refused = spillway(CONFIG).http.post("/spend/calculate", json=body)
    assert (refused.status_code, says in refused.json()["error"]["message"]) == (status, True), refused.text


def test_nothing_is_sent_to_calculate(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    run.http.post("/spend/calculate", json={"model": "gpt-4o", "completion_response": ANSWER}).raise_for_status()
    assert run.sim.requests() == []


def told_totals(run: Running) -> None:
    """The instance writes its totals, which it does every ten seconds by itself."""
    house = run.gateway.ledger.house
    assert house is not None
    run.await_rest()
    asyncio.run_coroutine_threadsafe(house.total_round(), run.loop).result(5)


def called(spillway: Spillway, azurite: str) -> Running:
    """Spillway after chats, streamed and not, one that failed over, and embeddings."""
    run = spillway(CONFIG, AzureWebJobsStorage=azurite)
    headers = {"x-litellm-tags": "blue,report"}
    for text in ("one", "two", "three"):
        run.chat(text, max_tokens=20, headers=headers).raise_for_status()
    run.chat("streamed", stream=True).raise_for_status()
    run.sim.fault(resource="east", operation="chat/completions", status=503)
    run.chat("moved").raise_for_status()
    run.http.post("/v1/embeddings", json={"model": "embed", "input": "water"}).raise_for_status()
    told_totals(run)
    return run


def logs_of(run: Running, **query: Any) -> list[dict[str, Any]]:
    """The list, page by page, of what this Spillway entered."""
    found: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        page = run.http.get("/spend/logs", params={"limit": 4, **query, **after}).raise_for_status().json()
        found += page["data"]
        if not page["has_more"]:
            mine = run.gateway.call_ids.instance
            return [one for one in found if mine in one["call_id"]]
        after = {"after": page["last_id"]}


def test_the_list_and_the_simulators_bill_agree_to_the_attempt(spillway: Spillway, azurite: str) -> None:
    run = called(spillway, azurite)
    entries = logs_of(run)
    assert [one["status"] for one in entries].count("failed") == 1
    settled = [one for one in entries if one["status"] == "settled"]

    def of(one: dict[str, Any]) -> tuple[str, int, int]:
        return one["deployment"], one["usage"]["prompt_tokens"], one["usage"]["completion_tokens"]

    billed = [(one["deployment"], one["prompt_tokens"], one["completion_tokens"]) for one in run.sim.bill()]
    assert sorted(map(of, settled)) == sorted(billed)
    moved = [one for one in entries if one["call_id"] == next(e["call_id"] for e in entries if e["status"] == "failed")]
    assert [(one["attempt"], one["deployment_id"]) for one in moved] == [(1, "east-gpt-4o"), (2, "west-gpt-4o")]


def test_what_the_reports_say_is_what_the_list_adds_up_to(spillway: Spillway, azurite: str) -> None:
    run = called(spillway, azurite)
    before = {path: run.http.get(path).json() for path in ("/global/spend", "/global/activity")}
    run.chat("one more", max_tokens=10).raise_for_status()
    told_totals(run)
    after = {path: run.http.get(path).json() for path in before}
    newest = max(logs_of(run), key=lambda one: one["started_at"])
    assert after["/global/spend"]["spend"] - before["/global/spend"]["spend"] == pytest.approx(newest["spend"])
    assert after["/global/spend"]["calls"] == before["/global/spend"]["calls"] + 1
    grown = after["/global/activity"]["sum_total_tokens"] - before["/global/activity"]["sum_total_tokens"]
    assert grown == newest["usage"]["total_tokens"]
    models = {one["model"]: one["total_spend"] for one in run.http.get("/global/spend/models").json()}
    keys = {one["api_key"]: one["total_spend"] for one in run.http.get("/global/spend/keys").json()}
    assert sum(models.values()) == pytest.approx(after["/global/spend"]["spend"])
    assert keys == {"master": pytest.approx(after["/global/spend"]["spend"])}
    daily = run.http.get("/user/daily/activity").json()
    assert daily["metadata"]["total_spend"] == pytest.approx(after["/global/spend"]["spend"])


def test_the_list_is_filtered_and_a_call_is_found_by_any_of_its_ids(spillway: Spillway, azurite: str) -> None:
    run = called(spillway, azurite)
    assert len(logs_of(run, tag="blue")) == 3
    assert {one["model"] for one in logs_of(run, model="embed")} == {"embed"}
    answer = run.chat("this one")
    run.await_rest()
    for found in (
        logs_of(run, request_id=answer.headers["x-spillway-call-id"]),
        logs_of(run, request_id=answer.headers["x-request-id"]),
    ):
        assert [one["spend"] for one in found] == [pytest.approx(float(answer.headers["x-spillway-cost-usd"]))]


def test_the_list_as_a_table(spillway: Spillway, azurite: str) -> None:
    run = called(spillway, azurite)
    table = run.http.get("/spend/logs", params={"limit": 1000}, headers={"accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(table.text, newline="")))
    mine = [row for row in rows if run.gateway.call_ids.instance in row["call_id"]]
    assert len(mine) == len(logs_of(run))
    assert {row["status"] for row in mine} == {"settled", "failed"}
    assert table.headers["x-spillway-has-more"] == "false"


def test_a_key_sees_its_own_calls_and_is_found_by_any_of_its_names(spillway: Spillway, azurite: str) -> None:
    run = spillway(CONFIG, AzureWebJobsStorage=azurite)
    alias = f"team-{time.time_ns()}"
    made = run.http.post("/key/generate", json={"key_alias": alias}).raise_for_status().json()
    mine = {"authorization": f"Bearer {made['key']}"}
    run.chat("by nobody else").raise_for_status()
    call = run.chat("by the key", headers=mine).raise_for_status().headers["x-spillway-call-id"]
    told_totals(run)

    def listed(headers: dict[str, str] | None = None, **query: str) -> list[str]:
        answer = run.http.get("/spend/logs", params=query, headers=headers).raise_for_status()
        return [one["call_id"] for one in answer.json()["data"]]

    assert listed(mine) == listed(mine, api_key=made["key"]) == [call]
    for name in (made["key"], hashlib.sha256(made["key"].encode()).hexdigest(), alias):
        assert listed(api_key=name) == [call]
        assert run.http.get("/global/spend", params={"api_key": name}).json()["calls"] == 1
    assert listed(mine, api_key="master") == []
    assert run.http.get("/global/spend", headers=mine).status_code == 403
