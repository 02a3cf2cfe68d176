"""The simulator's batches: their life, what Azure refuses, and how it misbehaves."""

from __future__ import annotations

import time
from typing import Any

import httpx
import openai
import orjson
import pytest
from openai import AzureOpenAI, OpenAI

from devtools.simulator import ControlClient
from tests.devtools.batch_requests import CHAT, LONG_S, V1, Batches, ids, jsonl, requests

# How a batch lives


def test_a_batch_is_created_as_azure_shows_it(batches: Batches) -> None:
    file_id = batches.file(jsonl(requests(2)))
    batch = batches.post(file_id, metadata={"shard": "7"}).json()
    created = batch.pop("created_at")
    assert batch.pop("id").count("-") == 4
    assert batch.pop("expires_at") == created + 24 * 3600
    nothing = dict.fromkeys(
        ("in_progress_at", "finalizing_at", "completed_at", "failed_at", "expired_at", "cancelling_at",
         "cancelled_at", "errors", "output_file_id", "error_file_id")
    )  # fmt: skip
    assert batch == nothing | {
        "object": "batch", "endpoint": CHAT, "input_file_id": file_id, "completion_window": "24h",
        "status": "validating", "request_counts": {"total": 0, "completed": 0, "failed": 0}, "metadata": {"shard": "7"},
    }  # fmt: skip


def test_a_batch_goes_through_its_stages_by_the_clock(batches: Batches) -> None:
    batches.sim.resource("east", authoring={"batch_stage_s": 100, "batch_lines_per_s": 0.02})
    batch_id = batches.create(requests(4))
    created = batches.get(batch_id)["created_at"]
    seen = []
    for seconds in (90, 20, 100, 95, 110):
        seen.append((batches.get(batch_id)["status"], batches.get(batch_id)["request_counts"]["completed"]))
        batches.sim.advance(seconds)
    assert seen == [("validating", 0), ("validating", 0), ("in_progress", 0), ("in_progress", 2), ("finalizing", 4)]
    batch = batches.get(batch_id)
    assert batch["status"] == "completed"
    times = [batch[f"{name}_at"] - created for name in ("in_progress", "finalizing", "completed")]
    assert times == pytest.approx([100, 300, 400], abs=1)


def test_a_small_batch_ends_by_itself_in_two_seconds(batches: Batches) -> None:
    batch_id = batches.create(requests(3))
    until = time.monotonic() + 4
    while batches.sim.call("GET", "/batches")["batches"][0]["status"] != "completed":  # looks, and moves nothing on
        assert time.monotonic() < until
        time.sleep(0.05)
    assert 1 <= batches.get(batch_id)["completed_at"] - batches.get(batch_id)["created_at"] <= 3


def test_a_batch_goes_round_with_the_sdk_on_both_surfaces(azure: AzureOpenAI, v1: OpenAI, sim: ControlClient) -> None:
    for client in (azure, v1):
        file = client.files.create(file=("in.jsonl", jsonl(requests(3))), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"a": "b"}
        )
        sim.advance(LONG_S)
        batch = client.batches.retrieve(batch.id)
        assert (batch.status, batch.metadata) == ("completed", {"a": "b"})
        assert client.batches.list(limit=1).data == [batch]
        assert batch.output_file_id is not None
        results = [orjson.loads(line) for line in client.files.content(batch.output_file_id).content.splitlines()]
        assert sorted(ids(results)) == ["id-0", "id-1", "id-2"]


def test_a_batch_belongs_to_its_resource_alone(batches: Batches) -> None:
    batch_id = batches.create(requests(1))
    west = {"api-key": "sim-key-west"}
    for method, path in (("GET", f"/{batch_id}"), ("POST", f"/{batch_id}/cancel")):
        response = batches.http.request(method, f"/west/openai/v1/batches{path}", headers=west)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "notFound")
    assert batches.http.get("/west/openai/v1/batches", headers=west).json()["data"] == []


def test_a_batch_does_not_find_the_file_of_another_resource(batches: Batches) -> None:
    file_id = batches.file(jsonl(requests(1)))
    asked = {"input_file_id": file_id, "endpoint": CHAT, "completion_window": "24h"}
    response = batches.http.post("/west/openai/v1/batches", json=asked, headers={"api-key": "sim-key-west"})
    assert response.status_code == 404


def test_the_list_comes_in_pages_newest_first(batches: Batches) -> None:
    file_id = batches.file(jsonl(requests(1)))
    made = [batches.post(file_id).json()["id"] for _ in range(3)]
    page = batches.http.get(V1 + "/batches", params={"limit": 2}).json()
    assert ([one["id"] for one in page["data"]], page["has_more"]) == ([made[2], made[1]], True)
    page = batches.http.get(V1 + "/batches", params={"after": page["last_id"]}).json()
    assert ([one["id"] for one in page["data"]], page["has_more"]) == ([made[0]], False)


def test_the_input_may_be_deleted_while_its_batch_runs(batches: Batches) -> None:
    file_id = batches.file(jsonl(requests(3)))
    batch_id = batches.post(file_id).json()["id"]
    batches.http.delete(f"{V1}/files/{file_id}")
    batches.sim.advance(LONG_S)
    assert batches.get(batch_id)["request_counts"]["completed"] == 3


def test_batches_need_the_contributors_role(http: httpx.Client, url: str, sim: ControlClient) -> None:
    query = {"resource": "https://cognitiveservices.azure.com", "api-version": "2019-08-01"}
    token = http.get("/_sim/identity/token", params=query, headers={"x-identity-header": "sim-identity-header"})
    headers = {"authorization": f"Bearer {token.json()['access_token']}"}
    with httpx.Client(base_url=url, headers=headers) as entra:
        assert entra.get(V1 + "/batches").status_code == 200
        sim.resource("east", role="Cognitive Services OpenAI User")
        assert entra.get(V1 + "/batches").json()["error"]["code"] == "PermissionDenied"


def test_the_classic_surface_has_batches_since_july_2024(http: httpx.Client) -> None:
    assert http.get("/east/openai/batches?api-version=2024-06-01").status_code == 404
    assert http.get("/east/openai/batches?api-version=2024-07-01-preview").status_code == 200


def test_a_reset_ends_batches_that_are_under_way(batches: Batches) -> None:
    batches.sim.resource("east", authoring={"batch_stage_s": 0.01})
    for _ in range(3):
        batches.create(requests(2000))
    batches.sim.reset()
    assert batches.sim.call("GET", "/batches")["batches"] == []
    assert batches.ended(requests(1))["status"] == "completed"


# Cancelling, and the other ends


def test_a_cancelled_batch_keeps_what_was_done(batches: Batches) -> None:
    batches.sim.resource("east", authoring={"batch_stage_s": 100, "batch_cancel_s": 50})
    batch_id = batches.create(requests(100))
    batches.sim.advance(150)
    assert batches.http.post(f"{V1}/batches/{batch_id}/cancel").json()["status"] == "cancelling"
    assert batches.http.post(f"{V1}/batches/{batch_id}/cancel").json()["status"] == "cancelling"
    batches.sim.advance(50)
    batch = batches.get(batch_id)
    counts = batch["request_counts"]
    assert (batch["status"], counts["total"], batch["error_file_id"]) == ("cancelled", 100, None)
    assert 45 <= counts["completed"] <= 55
    assert len(batches.output(batch)) == counts["completed"] == len(batches.sim.bill_of(batch_id))
    assert batch["cancelled_at"] - batch["cancelling_at"] == pytest.approx(50, abs=1)


def test_a_batch_that_is_cancelled_at_once_has_no_files(batches: Batches) -> None:
    batch_id = batches.create(requests(3))
    batches.http.post(f"{V1}/batches/{batch_id}/cancel")
    batches.sim.advance(LONG_S)
    batch = batches.get(batch_id)
    assert (batch["status"], batch["output_file_id"], batch["error_file_id"]) == ("cancelled", None, None)


def test_a_batch_that_has_ended_cannot_be_cancelled(batches: Batches) -> None:
    batch = batches.ended(requests(1))
    response = batches.http.post(f"{V1}/batches/{batch['id']}/cancel")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "conflict")


def test_a_batch_expires_when_a_test_says_so(batches: Batches) -> None:
    batches.sim.resource("east", authoring={"batch_stage_s": 100})
    batch_id = batches.create(requests(100))
    batches.sim.advance(150)
    batches.sim.batch(batch_id, expiring=True)
    batches.sim.advance(0)
    batch = batches.get(batch_id)
    output, failures = batches.output(batch), batches.failures(batch)
    assert batch["status"] == "expired"
    assert sorted(ids(output + failures)) == sorted(f"id-{at}" for at in range(100))
    assert 45 <= len(output) <= 55
    assert {(line["response"], line["error"]["code"]) for line in failures} == {(None, "batch_expired")}
    assert len(batches.sim.bill_of(batch_id)) == len(output)


def test_a_held_batch_stays_where_it_is(batches: Batches) -> None:
    batch_id = batches.create(requests(3))
    batches.sim.batch(batch_id, held=True)
    batches.sim.advance(LONG_S)
    assert batches.get(batch_id)["status"] == "validating"
    batches.sim.batch(batch_id, held=False, shown_status="paused_by_magic")
    batches.sim.advance(0)
    assert batches.get(batch_id)["status"] == "paused_by_magic"
    assert batches.sim.batch(batch_id, shown_status=None)["status"] == "completed"


@pytest.mark.parametrize(("path", "body"), [("/batches/nope", {"held": True}), ("/batches/{}", {"status": "done"})])
def test_the_control_routes_refuse_what_they_do_not_know(batches: Batches, path: str, body: dict[str, Any]) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        batches.sim.call("PATCH", path.format(batches.create(requests(1))), body)


# What Azure refuses at once


@pytest.mark.parametrize("body", [
    {"completion_window": "48h"}, {"completion_window": None}, {"endpoint": "/v1/images/generations"},
    {"endpoint": None}, {"metadata": {"a": 1}}, {"metadata": {str(at): "" for at in range(17)}}, {"metadata": []},
    {"output_expires_after": {"anchor": "created_at", "seconds": 5}}, {"output_expires_after": 5},
])  # fmt: skip
def test_a_batch_that_is_asked_for_wrongly_is_a_400(batches: Batches, body: dict[str, Any]) -> None:
    response = batches.post(batches.file(jsonl(requests(1))), **body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalidPayload")


@pytest.mark.parametrize("content", [b"", b"[]", b"{"])
def test_a_batch_of_no_json_is_a_400(batches: Batches, content: bytes) -> None:
    assert batches.http.post(V1 + "/batches", content=content).status_code == 400


def test_the_input_must_be_a_batch_file_that_is_processed(batches: Batches) -> None:
    assert batches.post(batches.file(jsonl(requests(1)), purpose="fine-tune")).status_code == 400
    batches.sim.resource("east", authoring={"file_pending_s": 5})
    file_id = batches.file(jsonl(requests(1)))
    assert batches.post(file_id).status_code == 400
    batches.sim.advance(5)
    assert batches.post(file_id).status_code == 200
    assert batches.post("file-nope").status_code == 404


# Quirks


def quirky(batches: Batches, *quirks: str) -> None:
    batches.sim.resource("east", authoring={"quirks": list(quirks)})


def test_statuses_times_ids_and_endpoints_may_be_odd(batches: Batches) -> None:
    quirky(batches, "capital_statuses", "iso_times", "empty_ids", "null_counts", "null_endpoint")
    batch = batches.get(batches.create(requests(1)))
    assert (batch["status"], batch["output_file_id"], batch["endpoint"]) == ("Validating", "", None)
    assert batch["created_at"].startswith("20")
    assert "T" in batch["created_at"]
    assert set(batch["request_counts"].values()) == {None}
    batches.sim.advance(LONG_S)
    batch = batches.get(batch["id"])
    assert (batch["status"], batch["request_counts"]["completed"]) == ("Completed", 1)


def test_a_completed_batch_may_lack_its_output_file(batches: Batches) -> None:
    quirky(batches, "no_output_file", "no_error_file")
    batch = batches.ended(requests(1))
    assert (batch["status"], batch["output_file_id"], batch["error_file_id"]) == ("completed", None, None)


def test_results_may_come_twice_or_never_or_in_order(batches: Batches) -> None:
    quirky(batches, "duplicate_results", "ordered_results")
    assert ids(batches.output(batches.ended(requests(3)))) == ["id-0", "id-0", "id-1", "id-2"]
    quirky(batches, "missing_results", "ordered_results")
    batch = batches.ended(requests(3))
    assert ids(batches.output(batch)) == ["id-1", "id-2"]
    assert batch["request_counts"]["completed"] == len(batches.sim.bill_of(batch["id"])) == 3


def test_a_batch_may_have_a_status_that_nobody_knows(batches: Batches) -> None:
    batches.sim.resource("east", authoring={"quirks": ["unknown_status"], "batch_stage_s": 100})
    batch_id = batches.create(requests(1))
    batches.sim.advance(101)
    assert batches.get(batch_id)["status"] == "scaling_up"


def test_a_quirk_that_nobody_knows_is_refused(batches: Batches) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        quirky(batches, "good_manners")


# Faults


@pytest.mark.parametrize("fault", [{"cut_after_bytes": 0}, {"cut_after_bytes": 40}, {"reset": True, "billed": True}])
def test_a_batch_can_be_created_without_telling(batches: Batches, fault: dict[str, Any]) -> None:
    file_id = batches.file(jsonl(requests(1)))
    batches.sim.fault(operation="batches", **fault)
    with pytest.raises(httpx.TransportError):
        batches.post(file_id, metadata={"shard": "s1"})
    [found] = batches.http.get(V1 + "/batches").json()["data"]
    assert (found["metadata"], found["input_file_id"]) == ({"shard": "s1"}, file_id)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_batch_can_be_refused_by_a_fault(batches: Batches, status: int) -> None:
    file_id = batches.file(jsonl(requests(1)))
    batches.sim.fault(operation="batches", status=status)
    assert batches.post(file_id).status_code == status
    assert batches.http.get(V1 + "/batches").json()["data"] == []


def test_an_unknown_batch_raises_the_sdks_not_found(v1: OpenAI, sim: ControlClient) -> None:
    with pytest.raises(openai.NotFoundError):
        v1.batches.retrieve("batch_nope")
