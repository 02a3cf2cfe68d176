"""What the simulator finds when it validates a batch, and the quota of enqueued tokens."""

from __future__ import annotations

from typing import Any

import pytest

from devtools.simulator import batch_check
from devtools.simulator.batch_check import Check
from devtools.simulator.resources import Deployment
from tests.devtools.batch_requests import CHAT, DEPLOYMENT, LONG_S, V1, Batches, jsonl, request, requests

# What Azure finds when it validates


def lacking(name: str) -> dict[str, Any]:
    line: dict[str, Any] = request("b")
    del line[name]
    return line


INVALID = {
    "no JSON": (jsonl([request("a")]) + b"{nonsense\n", "invalid_json_line", 2, None),
    "an array": (jsonl([request("a"), []]), "invalid_request", 2, ""),
    "no custom_id": (jsonl([lacking("custom_id")]), "invalid_request", 1, "custom_id"),
    "no method": (jsonl([lacking("method")]), "invalid_request", 1, "method"),
    "no url": (jsonl([lacking("url")]), "invalid_request", 1, "url"),
    "no body": (jsonl([lacking("body")]), "invalid_request", 1, "body"),
    "GET": (jsonl([request("a") | {"method": "GET"}]), "invalid_request", 1, "method"),
    "the same custom_id": (jsonl([request("a"), request("a")]), "duplicate_custom_id", 2, "custom_id"),
    "another model": (jsonl([request("a"), request("b", model="gpt-4o-batch")]), "model_mismatch", 2, "body.model"),
    "an unknown model": (jsonl([request("a", model="nope")]), "model_not_found", 1, "body.model"),
    "no batch deployment": (jsonl([request("a", model="gpt-4o")]), "invalid_request", 1, "body.model"),
    "no model": (jsonl([request("a", model="")]), "invalid_request", 1, "body.model"),
    "another url": (jsonl([request("a"), request("b", url="/v1/responses")]), "url_mismatch", 2, "url"),
    "a wrong url": (jsonl([request("a", url="/v1/images/generations")]), "url_mismatch", 1, "url"),
    "not the endpoint": (
        jsonl([request("a", url="/v1/embeddings", model="text-embedding-3-small-batch")]), "url_mismatch", 1, "url",
    ),
    "a model of another kind": (
        jsonl([request("a", model="text-embedding-3-small-batch")]), "url_mismatch", 1, "url",
    ),
    "nothing": (b"", "empty_file", None, None),
    "empty lines": (b"\n\n", "empty_file", None, None),
    "a BOM": (b"\xef\xbb\xbf" + jsonl([request("a")]), "invalid_request", None, None),
}  # fmt: skip


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_input_fails_the_batch(batches: Batches, name: str) -> None:
    data, code, line, param = INVALID[name]
    batch = batches.ended(data)
    assert batch["status"] == "failed"
    [error] = batch["errors"]["data"]
    assert (error["code"], error["line"], error["param"]) == (code, line, param)
    assert error["message"]
    assert (batch["failed_at"] is not None, batch["output_file_id"], batch["error_file_id"]) == (True, None, None)
    assert batches.sim.bill() == []


def test_a_bom_is_told_in_azures_words(batches: Batches) -> None:
    batch = batches.ended(b"\xef\xbb\xbf" + jsonl([request("a")]))
    assert "A valid model deployment name couldn't be extracted" in batch["errors"]["data"][0]["message"]


def test_too_many_requests_fail_the_batch(batches: Batches) -> None:
    batches.sim.resource("east", authoring={"batch_lines_max": 3})
    assert batches.ended(requests(3))["status"] == "completed"
    [error] = batches.ended(requests(4))["errors"]["data"]
    assert (error["code"], "value of 3." in error["message"]) == ("too_many_tasks", True)


def test_many_errors_are_told_together_and_bounded(batches: Batches) -> None:
    batch = batches.ended(jsonl([request("a")]) + b"x\n" * 200)
    lines = [error["line"] for error in batch["errors"]["data"]]
    assert lines == list(range(2, 2 + batch_check.ERRORS_MAX))


def test_a_line_that_is_too_long_is_not_read(tmp_path: Any) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"x" * (batch_check.LINE_BYTES_MAX + 1))
    check = Check(path, CHAT, 10, {DEPLOYMENT: Deployment("gpt-4o-mini", sku="GlobalBatch")})
    assert check.go_on(60)
    assert [(error["code"], error["line"]) for error in check.errors] == [("invalid_request", 1)]


def test_the_last_line_needs_no_newline(batches: Batches) -> None:
    assert batches.ended(jsonl(requests(2)).rstrip())["request_counts"]["completed"] == 2


# The quota of enqueued tokens


def test_over_its_quota_a_batch_fails_after_validation(batches: Batches) -> None:
    batches.sim.deployment("east", DEPLOYMENT, enqueued_tokens=200)
    batches.sim.resource("east", authoring={"batch_stage_s": 100})
    first, second = batches.create(requests(3)), batches.create(requests(3))
    batches.sim.advance(101)
    assert batches.get(first)["status"] == "in_progress"
    [error] = batches.get(second)["errors"]["data"]
    assert (batches.get(second)["status"], error["code"]) == ("failed", "token_limit_exceeded")
    assert "Limit: 200 enqueued tokens" in error["message"]
    batches.sim.advance(LONG_S)
    assert batches.ended(requests(3))["status"] == "completed"


def test_a_resource_that_fails_fast_tells_at_once(batches: Batches) -> None:
    batches.sim.deployment("east", DEPLOYMENT, enqueued_tokens=200)
    batches.sim.resource("east", authoring={"batch_fails_fast": True, "batch_stage_s": 100})
    file_id = batches.file(jsonl(requests(3)))
    first = batches.post(file_id)
    assert first.status_code == 200
    refused = batches.post(file_id)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "token_limit_exceeded")
    assert len(batches.sim.call("GET", "/batches")["batches"]) == 1
    batches.http.post(f"{V1}/batches/{first.json()['id']}/cancel")
    batches.sim.advance(LONG_S)
    assert batches.post(file_id).status_code == 200


def test_azure_tells_what_it_takes_the_input_for(batches: Batches) -> None:
    batches.sim.deployment("east", DEPLOYMENT, enqueued_tokens=1000)
    data = jsonl(requests(3))
    told = batches.post(batches.file(data)).headers
    assert int(told["deployment-enqueued-tokens"]) == len(data) // 4
    assert told["deployment-maximum-enqueued-tokens"] == "1000"


def test_a_resource_that_fails_fast_still_validates_later(batches: Batches) -> None:
    batches.sim.resource("east", authoring={"batch_fails_fast": True})
    assert batches.ended(jsonl([request("a", model="nope")]))["errors"]["data"][0]["code"] == "model_not_found"
