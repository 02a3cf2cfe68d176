from __future__ import annotations

import logging

import orjson
import pytest

from shared.telemetry import CallRecord, call_ended


def test_a_call_is_one_line_of_json(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "spillway"):
        call_ended(CallRecord("call_1", "chat_completions", "master", model="gpt-4o", prompt_tokens=7))
    written = orjson.loads(caplog.messages[0].removeprefix("call "))
    assert (written["call_id"], written["model"], written["prompt_tokens"]) == ("call_1", "gpt-4o", 7)


def test_who_writes_the_record_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "spillway"):
        call_ended(CallRecord("call_1", "chat_completions", "master", owned=True))
    assert "owned" not in caplog.messages[0]


def test_nothing_is_written_when_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "spillway"):
        call_ended(CallRecord("call_1", "chat_completions", "master"))
    assert caplog.messages == []
