"""Streams made of whole responses."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from shared.errors import UpstreamFailed
from shared.operations.responses_simulated import streamed_response
from shared.upstream.sse import Framer, data_of

WHOLE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 5,
    "status": "completed",
    "model": "o1-pro",
    "error": None,
    "incomplete_details": None,
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "output": [
        {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Because."}]},
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [
                {"type": "output_text", "text": "水 flows", "annotations": [], "logprobs": []},
                {"type": "refusal", "refusal": "No."},
            ],
        },
        {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a":1}',
         "status": "completed"},
        {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "aGk="},
    ],
    "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3,
              "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
              "output_tokens_details": {"reasoning_tokens": 0}},
}  # fmt: skip


def events(whole: dict[str, Any]) -> list[dict[str, Any]]:
    found = Framer().feed(streamed_response(orjson.dumps(whole)))
    return [orjson.loads(data_of(one) or b"") for one in found]


def test_the_stream_has_the_events_of_a_real_one_in_order() -> None:
    assert [one["type"].removeprefix("response.") for one in events(WHOLE)] == [
        "created", "in_progress",
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done",
        "content_part.added", "refusal.delta", "refusal.done", "content_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "output_item.added", "output_item.done",
        "completed",
    ]  # fmt: skip


def test_events_are_numbered_and_the_last_is_the_response() -> None:
    found = events(WHOLE)
    assert [one["sequence_number"] for one in found] == list(range(len(found)))
    assert found[-1]["response"] == WHOLE
    assert (found[0]["response"]["status"], found[0]["response"]["output"]) == ("in_progress", [])


def test_the_sdk_reads_every_event_and_puts_the_response_together() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    state: Any = ResponseStreamState(text_format=omit, input_tools=omit)
    for one in events(WHOLE):
        state.handle_event(adapter.validate_python(one))
    assert state._completed_response is not None
    assert state._completed_response.output_text == "水 flows"


@pytest.mark.parametrize("status", ["failed", "incomplete", "cancelled", "completed"])
def test_the_end_says_how_it_ended(status: str) -> None:
    assert events({**WHOLE, "status": status})[-1]["type"] == f"response.{status}"


def test_an_item_begins_empty() -> None:
    added = [one["item"] for one in events(WHOLE) if one["type"] == "response.output_item.added"]
    assert [item.get("content", item.get("summary", item.get("arguments"))) for item in added] == [[], [], "", None]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"output": 5}'])
def test_what_is_no_response_is_a_failure(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        streamed_response(body)


@pytest.mark.parametrize(
    "output", [[5], [{}], [{"type": "message", "content": [5, {}]}], [{"type": "mcp_call", "arguments": None}]]
)
def test_odd_items_are_tolerated(output: list[Any]) -> None:
    assert events({**WHOLE, "output": output})[-1]["response"]["output"] == output
