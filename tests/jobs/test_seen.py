"""What resources tell of jobs, in OpenAI's words, and without an id of theirs."""

from __future__ import annotations

from typing import Any

import pytest

from shared.jobs.seen import scrubbed, seen_of, status_of


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("notRunning", "queued"),
        ("NotRunning", "queued"),
        ("pending", "validating_files"),
        ("validating_files", "validating_files"),
        ("Running", "running"),
        ("canceled", "cancelled"),
        ("Canceling", "running"),
        ("pausing", "running"),
        ("paused", "paused"),
        ("scaling_up", "running"),
        (None, "running"),
    ],
)
def test_statuses_are_openais(written: Any, shown: str) -> None:
    assert status_of(written) == shown


def test_azures_quirks_are_put_right() -> None:
    seen = seen_of(
        {
            "id": "ftjob-1",
            "status": "Succeeded",
            "created_at": "2026-07-01T12:00:00Z",
            "finished_at": "2026-07-01T13:00:00Z",
            "error": {"code": None, "message": None},
            "result_files": ["file-1", None, ""],
            "trained_tokens": 7,
            "training_file": "file-2",
            "fine_tuned_model": "gpt-4o.ft-1",
            "organization_id": "org-secret",
        }
    )
    assert seen is not None
    assert (seen.created_at, seen.results, seen.training) == (1782907200.0, ("file-1",), "file-2")
    assert seen.told == {
        "status": "succeeded",
        "finished_at": 1782910800,
        "error": None,
        "trained_tokens": 7,
        "fine_tuned_model": "gpt-4o.ft-1",
    }


@pytest.mark.parametrize("payload", [None, [], "x", {}, {"id": ""}, {"id": 7}])
def test_what_is_no_job_is_none(payload: Any) -> None:
    assert seen_of(payload) is None


def test_ids_of_resources_are_replaced_wherever_they_stand() -> None:
    known = {"file-aaaa1111": "file-ours"}
    value = {"a": ["see file-aaaa1111 and ftjob-bbbb2222"], "b": "gpt-4o.ft-" + "c" * 32, "n": 3}
    assert scrubbed(value, known) == {"a": ["see file-ours and -"], "b": "gpt-4o.ft-" + "c" * 32, "n": 3}
