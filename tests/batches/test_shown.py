"""The batch object as callers see it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.batches.document import Shard
from shared.batches.shown import deployments_of, shown, status_of
from tests.batches.test_machine import NOW, batch

FIELDS = {
    "id", "object", "endpoint", "model", "errors", "input_file_id", "completion_window", "status", "output_file_id",
    "error_file_id", "created_at", "expires_at", "in_progress_at", "finalizing_at", "completed_at", "failed_at",
    "expired_at", "cancelling_at", "cancelled_at", "request_counts", "usage", "metadata", "spillway",
}  # fmt: skip


@pytest.mark.parametrize(
    ("times", "state", "status"),
    [
        ({}, "working", "validating"),
        ({"in_progress_at": 1.0}, "working", "in_progress"),
        ({"in_progress_at": 1.0, "finalizing_at": 2.0}, "working", "finalizing"),
        ({"in_progress_at": 1.0, "cancelling_at": 2.0}, "working", "cancelling"),
        ({"cancelling_at": 2.0}, "cancelled", "cancelled"),
        ({}, "completed", "completed"),
        ({}, "failed", "failed"),
        ({}, "expired", "expired"),
    ],
)
def test_the_status_is_one_of_openais(times: dict[str, float], state: Any, status: str) -> None:
    assert status_of(replace(batch(), times=times, state=state)) == status


def test_a_new_batch_has_every_field_and_no_files() -> None:
    found = shown(batch(Shard("a", 0, 0, 100)))
    assert set(found) == FIELDS
    assert (found["object"], found["status"], found["completion_window"]) == ("batch", "validating", "24h")
    assert (found["output_file_id"], found["error_file_id"], found["errors"], found["metadata"]) == (None,) * 4
    assert (found["created_at"], found["expires_at"]) == (int(NOW), int(NOW) + 86_400)


def test_files_are_named_when_they_are_there_and_only_those_that_are() -> None:
    one = batch(Shard("a", 0, 0, 100, output_blocks=1))
    assert shown(one)["output_file_id"] is None
    ended = shown(replace(one, state="completed"))
    assert (ended["output_file_id"], ended["error_file_id"]) == ("file-2", None)


def test_counts_are_of_all_shards_once_and_the_cost_of_doubles_too() -> None:
    shards = (
        Shard("a", 0, 0, 50, lines=5, completed=4, failed=0, cost=10**12, prompt_tokens=3, completion_tokens=2),
        Shard("a1", 0, 0, 50, lines=1, round=1, failed=1),
        Shard("as1", 0, 0, 50, lines=5, completed=5, stray=True, cost=10**12),
    )
    found = shown(batch(*shards))
    assert found["request_counts"] == {"total": 5, "completed": 4, "failed": 1}
    assert found["spillway"]["cost_usd"] == 2.0
    assert found["usage"]["total_tokens"] == 5
    assert [one["round"] for one in found["spillway"]["shards"]] == [0, 1]


def test_nothing_of_a_resource_is_shown() -> None:
    one = Shard("a", 0, 0, 100, state="uploaded", deployment="d", label="gpt", file="file-theirs", job="batch-theirs")
    found = shown(batch(one))
    assert "theirs" not in str(found)
    assert (found["spillway"]["shards"][0]["status"], found["spillway"]["shards"][0]["deployment"]) == (
        "submitting", "gpt",
    )  # fmt: skip


def test_deployments_are_named_once_each() -> None:
    shards = [Shard(str(number), 0, 0, 1, label=label) for number, label in enumerate(["a", "b", "a", ""])]
    assert deployments_of(batch(*shards)) == "a, b"
