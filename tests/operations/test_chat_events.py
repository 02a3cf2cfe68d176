from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ContentFiltered, RateLimited, StreamBroken, UpstreamFailed
from shared.operations.chat_events import ChatEvents
from shared.upstream.sse import DONE, Framer, data_of, event
from shared.usage.usage import Usage

FILTERS = [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}]
PROMPT_FILTER = {
    "id": "", "object": "", "created": 0, "model": "", "prompt_filter_results": FILTERS, "choices": [], "usage": None
}  # fmt: skip
ANNOTATION = {
    "id": "", "object": "", "created": 0, "model": "",
    "choices": [
        {
            "index": 0,
            "finish_reason": None,
            "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}},
            "content_filter_raw": [],
            "content_filter_offsets": {"check_offset": 44, "start_offset": 44, "end_offset": 198},
        }
    ],
    "usage": None,
}  # fmt: skip
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "gpt-4o-2024-11-20"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}


def chunk(content: str = "", *, finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    delta = {"content": content} if content else {}
    return {**HEAD, "choices": [{"index": index, "delta": delta, "finish_reason": finish}], **more}


def usage_chunk(**more: Any) -> dict[str, Any]:
    return {**HEAD, "choices": [], "usage": USAGE, **more}


def events(*payloads: Any) -> list[bytes]:
    return [event(orjson.dumps(one)) for one in payloads]


def fed(*payloads: Any, show_usage: bool = False) -> tuple[ChatEvents, list[Any]]:
    """The translator after these payloads and its finish, and the payloads that it gave out."""
    translator = ChatEvents("call_1", "gpt-4o", show_usage=show_usage)
    out = b"".join(translator.feed(one) for one in events(*payloads)) + translator.finish()
    return translator, read(out)


def read(out: bytes) -> list[Any]:
    data = [data_of(one) for one in Framer().feed(out)]
    return [orjson.loads(one) for one in data if one is not None]


# Byte for byte.


@pytest.mark.parametrize(
    "written",
    [
        b'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
        b'data:{ "id" : "chatcmpl-1" , "choices":[ ] }\r\n\r\n',
        b'event: message\ndata: {"id":"chatcmpl-1","choices":[{"delta":{}}],"usage":null}\n\n',
        b'data: {"id":"chatcmpl-1","choices":[{"delta":{"content":"\\u00e9"}}],"x":1.0}\n\n',
        b": keep-alive\n\n",
        b": comment\r\n\r\n",
        b"event: ping\n\n",
        b"\n",
    ],
)
def test_an_event_that_no_rule_changes_is_forwarded_byte_for_byte(written: bytes) -> None:
    assert ChatEvents("call_1", "gpt-4o", show_usage=False).feed(written) == written


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
DELTAS = st.fixed_dictionaries({}, optional={"content": JSON, "role": JSON, "tool_calls": JSON, "refusal": JSON})
CHOICES = st.lists(
    st.fixed_dictionaries({"index": st.integers(0, 3), "delta": DELTAS}, optional={"finish_reason": JSON, "x": JSON}),
    max_size=3,
)
CHUNKS = st.fixed_dictionaries(
    {"id": st.text(min_size=1, max_size=5), "choices": CHOICES}, optional={"usage": st.none(), "x": JSON, "model": JSON}
)
WRITTEN = st.builds(
    lambda one, pretty, end: b"data: " + orjson.dumps(one, option=pretty) + end,
    CHUNKS,
    st.sampled_from([None, orjson.OPT_SORT_KEYS]),
    st.sampled_from([b"\n\n", b"\r\n\r\n"]),
)


@given(st.lists(WRITTEN | st.just(b": keep-alive\n\n"), max_size=6))
def test_a_stream_that_no_rule_touches_is_forwarded_byte_for_byte(stream: list[bytes]) -> None:
    translator = ChatEvents("call_1", "gpt-4o", show_usage=False)
    assert [translator.feed(one) for one in stream] == stream
    assert translator.finish() == b""


@given(st.lists(WRITTEN, max_size=6))
def test_a_client_that_asked_for_usage_gets_every_byte(stream: list[bytes]) -> None:
    last = event(orjson.dumps(usage_chunk()))
    translator = ChatEvents("call_1", "gpt-4o", show_usage=True)
    assert [translator.feed(one) for one in [*stream, last]] == [*stream, last]


# Rule 1: usage.


def test_usage_that_was_not_asked_for_is_hidden() -> None:
    _, out = fed(chunk("a"), usage_chunk())
    assert out == [chunk("a")]


def test_hidden_usage_is_still_read() -> None:
    translator, _ = fed(chunk("a"), usage_chunk())
    assert translator.usage == Usage(9, 3)


def test_usage_that_was_asked_for_is_shown() -> None:
    _, out = fed(chunk("a"), usage_chunk(), show_usage=True)
    assert out == [chunk("a"), usage_chunk()]


def test_usage_beside_choices_is_taken_out() -> None:
    _, out = fed(chunk("a", usage=USAGE))
    assert out == [chunk("a")]


def test_usage_beside_choices_is_shown_to_whom_asked() -> None:
    _, out = fed(chunk("a", usage=USAGE), show_usage=True)
    assert out == [chunk("a", usage=USAGE)]


def test_the_last_usage_counts() -> None:
    translator, _ = fed(chunk("a", usage={**USAGE, "completion_tokens": 1}), usage_chunk())
    assert translator.usage == Usage(9, 3)


def test_a_usage_chunk_is_no_beginning_when_it_is_hidden() -> None:
    assert not fed(usage_chunk())[0].began


def test_usage_in_a_chunk_without_a_name_is_hidden_too() -> None:
    _, out = fed(chunk("a"), {**ANNOTATION, "usage": USAGE})
    assert all(one.get("usage") is None for one in out)


def test_filter_results_in_the_hidden_usage_chunk_are_not_lost() -> None:
    _, out = fed(chunk("a"), usage_chunk(prompt_filter_results=FILTERS))
    assert [one.get("prompt_filter_results") for one in out] == [None, FILTERS]
    assert all(one.get("usage") is None for one in out)


# Rule 2: the prompt's filter results.


def test_azures_first_chunk_is_merged_into_the_first_real_one() -> None:
    _, out = fed(PROMPT_FILTER, chunk("a"), chunk("b"))
    assert out == [chunk("a", prompt_filter_results=FILTERS), chunk("b")]


def test_azures_first_chunk_is_held_back_and_begins_nothing() -> None:
    translator = ChatEvents("call_1", "gpt-4o", show_usage=False)
    assert (translator.feed(events(PROMPT_FILTER)[0]), translator.began) == (b"", False)


def test_a_filter_chunk_with_an_id_is_merged_too() -> None:
    _, out = fed({**PROMPT_FILTER, **HEAD}, chunk("a"))
    assert out == [chunk("a", prompt_filter_results=FILTERS)]


def test_a_real_chunk_with_its_own_filter_results_keeps_them() -> None:
    own = chunk("a", prompt_filter_results=[{"prompt_index": 1}])
    _, out = fed(PROMPT_FILTER, own)
    assert out[0] == own


def test_what_is_merged_into_usage_beside_choices_hides_it_still() -> None:
    _, out = fed(PROMPT_FILTER, chunk("a", usage=USAGE))
    assert out == [chunk("a", prompt_filter_results=FILTERS)]


def test_filter_results_that_no_chunk_took_come_at_the_end() -> None:
    _, out = fed(PROMPT_FILTER)
    assert [(one["id"], one["model"], one["choices"], one["prompt_filter_results"]) for one in out] == [
        ("call_1", "gpt-4o", [], FILTERS)
    ]


def test_they_come_at_the_end_once() -> None:
    translator, _ = fed(PROMPT_FILTER)
    assert translator.finish() == b""


def test_merging_into_an_event_of_several_lines_keeps_it_one_event() -> None:
    translator = ChatEvents("call_1", "gpt-4o", show_usage=False)
    translator.feed(events(PROMPT_FILTER)[0])
    pretty = orjson.dumps(chunk("a"), option=orjson.OPT_INDENT_2).replace(b"\n", b"\ndata: ")
    assert read(translator.feed(b"data: " + pretty + b"\n\n")) == [chunk("a", prompt_filter_results=FILTERS)]


# Rule 3: the asynchronous filter.


def test_an_annotation_gets_the_streams_name_and_an_empty_delta() -> None:
    _, out = fed(chunk("a"), ANNOTATION)
    assert {name: out[1][name] for name in HEAD} == HEAD
    assert out[1]["choices"] == [{**ANNOTATION["choices"][0], "delta": {}}]  # type: ignore[index]


def test_an_annotation_before_the_first_real_chunk_waits_for_the_name() -> None:
    _, out = fed(PROMPT_FILTER, ANNOTATION, chunk("a"))
    assert [(one["id"], one["choices"][0]["delta"]) for one in out] == [
        ("chatcmpl-1", {"content": "a"}),
        ("chatcmpl-1", {}),
    ]


def test_an_annotation_after_the_end_of_the_text_is_forwarded() -> None:
    translator, out = fed(chunk("a"), chunk(finish="stop"), ANNOTATION)
    assert (len(out), translator.whole) == (3, True)


def test_an_annotation_in_a_stream_without_a_name_gets_the_calls() -> None:
    _, out = fed(ANNOTATION)
    assert (out[0]["id"], out[0]["object"], out[0]["model"]) == ("call_1", "chat.completion.chunk", "gpt-4o")


def test_a_violation_found_late_ends_its_choice() -> None:
    late = {**ANNOTATION, "choices": [{"index": 0, "finish_reason": "content_filter"}]}
    translator, out = fed(chunk("a"), late)
    assert (translator.whole, out[1]["choices"][0]["finish_reason"]) == (True, "content_filter")


@pytest.mark.parametrize(
    "stream",
    [
        [PROMPT_FILTER, chunk("a"), chunk(finish="stop"), usage_chunk()],
        [PROMPT_FILTER, chunk("a"), ANNOTATION, chunk(finish="stop"), ANNOTATION, usage_chunk()],
        [PROMPT_FILTER, ANNOTATION],
        [ANNOTATION, ANNOTATION, chunk("a")],
    ],
)
@pytest.mark.parametrize("show_usage", [True, False])
def test_no_strict_client_ever_sees_a_chunk_without_name_or_delta(stream: list[Any], show_usage: bool) -> None:
    _, out = fed(*stream, show_usage=show_usage)
    assert out
    assert all(one["id"] and one["object"] and one["model"] for one in out)
    assert all("delta" in choice for one in out for choice in one["choices"])


# Ends and errors.


def test_done_ends_the_stream_and_is_not_forwarded() -> None:
    translator = ChatEvents("call_1", "gpt-4o", show_usage=False)
    assert (translator.feed(event(DONE)), translator.ended) == (b"", True)


@pytest.mark.parametrize("data", [b"not json", b'{"id":', b"[]", b"7", b'"text"', b"null"])
def test_an_event_that_is_no_json_object_breaks_the_stream(data: bytes) -> None:
    translator = ChatEvents("call_1", "gpt-4o", show_usage=False)
    assert (translator.feed(event(data)), type(translator.error)) == (b"", StreamBroken)


def test_an_event_with_empty_data_is_skipped_as_clients_do() -> None:
    translator = ChatEvents("call_1", "gpt-4o", show_usage=False)
    translator.feed(b"data:\n\n")
    assert translator.error is None


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"error": {"code": "429", "message": "x"}}, RateLimited),
        ({"error": {"code": "content_filter", "message": "x"}}, ContentFiltered),
        ({"error": {"type": "server_error", "message": "x", "code": None}}, UpstreamFailed),
        ({"type": "error", "error": {"code": "too_many_requests", "message": "x"}}, RateLimited),
        ({"type": "error", "code": "too_many_requests", "message": "x"}, RateLimited),
    ],
)
def test_an_error_event_is_an_error_and_not_forwarded(payload: dict[str, Any], kind: type[Exception]) -> None:
    translator = ChatEvents("call_1", "gpt-4o", show_usage=False)
    assert (translator.feed(events(payload)[0]), type(translator.error)) == (b"", kind)


def test_an_error_that_is_null_is_none() -> None:
    translator, out = fed({**chunk("a"), "error": None})
    assert (translator.error, len(out)) == (None, 1)


@pytest.mark.parametrize(
    ("stream", "whole"),
    [
        ([], False),
        ([PROMPT_FILTER], False),
        ([chunk("a")], False),
        ([chunk("a"), chunk(finish="stop")], True),
        ([chunk("a", index=0), chunk("b", index=1), chunk(finish="stop", index=0)], False),
        (
            [chunk("a", index=0), chunk("b", index=1), chunk(finish="stop", index=1), chunk(finish="length", index=0)],
            True,
        ),
    ],
)
def test_an_answer_is_whole_when_every_choice_has_finished(stream: list[Any], whole: bool) -> None:
    assert fed(*stream)[0].whole is whole


def test_the_text_that_passed_by_is_counted() -> None:
    translator, _ = fed(chunk("x" * 40), chunk("y" * 40))
    assert translator.estimated_completion == 20


def test_tool_calls_that_passed_by_are_counted() -> None:
    call = {"index": 0, "function": {"name": "find", "arguments": "x" * 36}}
    translator, _ = fed({**HEAD, "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
    assert translator.estimated_completion == 10


@given(st.lists(st.dictionaries(st.sampled_from(["id", "choices", "usage", "error", "prompt_filter_results"]), JSON)))
def test_no_json_makes_the_translator_fail(stream: list[Any]) -> None:
    translator, out = fed(*stream)
    assert translator.estimated_completion >= 0
    assert all(isinstance(one, dict) for one in out)
