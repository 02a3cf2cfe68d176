"""The timer's jobs, side by side."""

from __future__ import annotations

import asyncio
import logging

import pytest

from shared.errors import StorageFailed
from shared.operations import minutely


async def test_every_job_is_done_though_one_fails(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="spillway")
    done: list[str] = []

    async def fails() -> None:
        raise StorageFailed("down")

    async def works() -> None:
        await asyncio.sleep(0)
        done.append("works")

    with pytest.raises(StorageFailed):
        await minutely.run({"ledger": fails, "files": works})
    assert done == ["works"]
    assert [record.getMessage() for record in caplog.records] == [
        "the timer's ledger did not end well (StorageFailed); the next run goes on"
    ]


async def test_a_job_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minutely, "RUN_S", 0.01)
    with pytest.raises(TimeoutError):
        await minutely.run({"ledger": asyncio.Event().wait})


async def _nothing() -> None:
    """Is done."""


def test_jobs_take_turns_after_a_first_run_that_does_all() -> None:
    turns = minutely.Turns("keys", "files")
    jobs = dict.fromkeys(("ledger", "files", "keys"), _nothing)
    assert [list(turns.of(jobs)) for _ in range(4)] == [
        ["ledger", "files", "keys"],
        ["ledger", "files"],
        ["ledger", "keys"],
        ["ledger", "files"],
    ]
