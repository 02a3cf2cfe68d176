"""Batches as resources tell them, with the quirks that Azure was seen to have."""

from __future__ import annotations

from typing import Any

import pytest

from shared.batches.seen import Seen, quota_of, seconds_of, seen_of


def test_a_plain_batch_is_read_as_it_stands() -> None:
    told = {
        "id": "batch_1", "status": "completed", "input_file_id": "file-1", "output_file_id": "file-2",
        "error_file_id": "file-3", "request_counts": {"total": 3, "completed": 2, "failed": 1},
        "metadata": {"spillway": "name"}, "created_at": 1_700_000_000, "errors": None,
    }  # fmt: skip
    expected = Seen("batch_1", "completed", "file-1", "file-2", "file-3", 3, 2, 1, (), "name", 1_700_000_000.0)
    assert seen_of(told) == expected


@pytest.mark.parametrize(
    ("change", "name", "expected"),
    [
        ({"status": "Completed"}, "status", "completed"),
        ({"status": "InProgress"}, "status", "inprogress"),
        ({"status": None}, "status", ""),
        ({"output_file_id": None}, "output", ""),
        ({"output_file_id": ""}, "output", ""),
        ({"error_file_id": 7}, "error", ""),
        ({"request_counts": None}, "total", 0),
        ({"request_counts": {"total": None}}, "total", 0),
        ({"request_counts": {"completed": -1}}, "completed", 0),
        ({"request_counts": {"failed": True}}, "failed", 0),
        ({"created_at": "2024-07-19T22:26:51.3512427+00:00"}, "created_at", 1721428011.351242),
        ({"created_at": "2024-07-19T22:26:51"}, "created_at", 1721428011.0),
        ({"created_at": "soon"}, "created_at", 0.0),
        ({"errors": {"object": "list", "data": [{"code": "a"}, None]}}, "errors", ({"code": "a"},)),
        ({"errors": [{"code": "a"}]}, "errors", ({"code": "a"},)),
        ({"errors": {"data": None}}, "errors", ()),
        ({"metadata": None}, "name", ""),
        ({"metadata": {"spillway": 7}}, "name", ""),
    ],
)
def test_quirks_are_straightened(change: dict[str, Any], name: str, expected: object) -> None:
    seen = seen_of({"id": "batch_1", "status": "validating", **change})
    assert seen is not None
    assert getattr(seen, name) == expected


@pytest.mark.parametrize("payload", [None, [], "batch", {}, {"id": ""}, {"id": 7}, {"error": {"code": "x"}}])
def test_what_is_no_batch_is_none(payload: object) -> None:
    assert seen_of(payload) is None


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        *((status, True) for status in ("completed", "failed", "expired", "cancelled")),
        *((status, False) for status in ("validating", "in_progress", "finalizing", "cancelling", "deliberating", "")),
    ],
)
def test_a_status_that_nobody_knows_is_no_end(status: str, ended: bool) -> None:
    assert Seen("b", status).ended == ended


def test_the_quota_is_read_from_azures_words() -> None:
    message = "Enqueued token limit reached for gpt-4o-mini. Limit: 1,000,000 enqueued tokens. Please try again."
    assert quota_of([{"code": "token_limit_exceeded", "message": message}]) == 1_000_000
    assert quota_of([{"message": None}, {"message": "Limit: 90000 enqueued tokens"}]) == 90_000
    assert quota_of([{"message": "Limit reached"}]) is None


@pytest.mark.parametrize(("value", "seconds"), [(5, 5.0), (5.5, 5.5), (True, None), (None, None), ("", None)])
def test_times_are_numbers_or_texts(value: object, seconds: float | None) -> None:
    assert seconds_of(value) == seconds
