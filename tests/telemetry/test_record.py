from __future__ import annotations

import logging

import orjson
import pytest

from shared.telemetry import CallRecord, call_asked, call_ended


def test_a_call_is_one_line_of_json(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "spillway"):
        call_ended(CallRecord("call_1", "chat_completions", "master", model="gpt-4o", prompt_tokens=7))
    written = orjson.loads(caplog.messages[0].removeprefix("call "))
    assert (written["call_id"], written["model"], written["prompt_tokens"]) == ("call_1", "gpt-4o", 7)


def test_what_belongs_to_the_gateway_alone_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "spillway"):
        call_ended(CallRecord("call_1", "chat_completions", "master", owned=True))
    written = orjson.loads(caplog.messages[0].removeprefix("call "))
    assert {"owned", "tried", "listener"} & set(written) == set()


def test_nothing_is_written_when_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "spillway"):
        call_ended(CallRecord("call_1", "chat_completions", "master"))
    assert caplog.messages == []


def test_a_listener_is_given_the_record_also_when_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[CallRecord] = []
    record = CallRecord("call_1", "chat_completions", "master", listener=heard.append)
    with caplog.at_level(logging.WARNING, "spillway"):
        call_ended(record)
    assert heard == [record]


def test_a_listener_that_fails_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def fails(record: CallRecord) -> None:
        raise ValueError("broken")

    call_ended(CallRecord("call_1", "chat_completions", "master", listener=fails))
    assert "call call_1 could not be told of" in caplog.messages


def test_a_prompt_is_what_the_caller_wrote_cut_to_a_length(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "spillway"):
        call_asked("call_1", {"model": "m", "messages": [{"role": "user", "content": "hi" * 10_000}], "user": "u"})
    line = caplog.messages[0]
    assert line.startswith('prompt of call_1 {"messages":[{"role":"user","content":"hihi')
    assert len(line) == len("prompt of call_1 ") + 8192
    assert '"user":' not in line
