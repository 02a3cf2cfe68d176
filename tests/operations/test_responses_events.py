"""A response's stream, event by event: what is held back, what is forwarded, what fails."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from shared.callers.caller import MASTER
from shared.errors import BadRequest, RateLimited, SpillwayError, StreamBroken, UpstreamFailed
from shared.operations.operation import Call
from shared.operations.responses_events import FINAL, ResponseEvents, StoredEvents, failure_of
from shared.seal import Seal, Sealer, tag
from shared.upstream.sse import data_of

EAST = tag("res_east")
SEAL = Seal(Sealer(["secret"]), tag("ann"))
HEX = "68f0c1d2e3a4b5c6d7e8f901234567890123456789abcdef"


def call(**body: Any) -> Call:
    return Call("call_1", MASTER, "m", body, True, SEAL, resource=EAST)


def event(kind: str, **fields: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


def told(raw: bytes) -> list[dict[str, Any]]:
    found = [data_of(one + b"\n\n") for one in raw.removesuffix(b"\n\n").split(b"\n\n")] if raw else []
    return [orjson.loads(data) for data in found if data is not None]


CREATED = event("response.created", response={"id": "resp_1", "status": "in_progress", "output": []})
DELTA = event("response.output_text.delta", item_id="msg_1", delta="four words of text")


def failed(code: str, **fields: Any) -> bytes:
    error = {"code": code, "message": f"Item with id 'msg_{HEX}' at x.openai.azure.com failed."}
    return event("response.failed", response={"id": "resp_1", "status": "failed", "error": error, **fields})


def test_the_beginning_is_held_back_until_data_comes() -> None:
    stream = ResponseEvents(call())
    assert stream.feed(CREATED) == b""
    assert not stream.began
    assert [one["type"] for one in told(stream.feed(DELTA))] == ["response.created", "response.output_text.delta"]
    assert stream.began


def test_a_comment_waits_with_the_beginning() -> None:
    stream = ResponseEvents(call())
    assert stream.feed(b": hello\n\n") + stream.feed(CREATED) == b""
    assert stream.feed(DELTA).startswith(b": hello\n\nevent: response.created\n")


def test_what_was_let_go_is_not_held_again() -> None:
    stream = ResponseEvents(call())
    stream.feed(CREATED)
    assert told(stream.release())[0]["type"] == "response.created"
    assert told(stream.feed(event("response.in_progress", response={"id": "resp_1"})))
    assert not stream.began


def test_ids_are_the_same_in_every_event_and_the_first_line_stays() -> None:
    stream = ResponseEvents(call())
    raw = stream.feed(CREATED) + stream.feed(DELTA) + stream.feed(DELTA)
    created, first, second = told(raw)
    assert first["item_id"] == second["item_id"] == SEAL.id("msg_1", EAST)
    assert created["response"]["id"] == SEAL.id("resp_1", EAST)
    assert raw.startswith(b"event: response.created\ndata: ")


def test_an_event_without_ids_is_forwarded_byte_for_byte() -> None:
    stream = ResponseEvents(call())
    odd = b'event: x\nid: 5\ndata: {"type" : "x",\ndata:  "n": 1.50}\n\n'
    assert stream.feed(odd) == odd


@pytest.mark.parametrize("kind", sorted(FINAL))
def test_a_final_event_makes_the_answer_whole(kind: str) -> None:
    stream = ResponseEvents(call())
    stream.feed(DELTA)
    before = stream.whole
    stream.feed(event(kind, response={"id": "resp_1", "usage": {"input_tokens": 3, "output_tokens": 4}}))
    assert (before, stream.whole) == (False, True)
    assert stream.usage is not None
    assert (stream.usage.prompt, stream.usage.completion) == (3, 4)


def test_deltas_are_counted_where_no_usage_comes() -> None:
    stream = ResponseEvents(call())
    stream.feed(DELTA)
    assert stream.usage is None
    assert stream.estimated_completion > 0


CODES: list[tuple[str, type[SpillwayError]]] = [
    ("rate_limit_exceeded", RateLimited),
    ("too_many_requests", RateLimited),
    ("server_error", UpstreamFailed),
    ("something_new", UpstreamFailed),
    ("invalid_prompt", BadRequest),
    ("image_too_large", BadRequest),
]


@pytest.mark.parametrize(("code", "kind"), CODES)
def test_a_failure_before_data_is_the_calls_own(code: str, kind: type[SpillwayError]) -> None:
    stream = ResponseEvents(call())
    assert stream.feed(CREATED) + stream.feed(failed(code)) == b""
    assert isinstance(stream.error, kind)
    assert not stream.began


def test_a_failure_names_our_ids_and_no_host() -> None:
    stream = ResponseEvents(call())
    stream.feed(failed("invalid_prompt"))
    assert stream.error is not None
    assert SEAL.id(f"msg_{HEX}", EAST) in stream.error.message
    assert "azure.com" not in stream.error.message


def test_a_failure_behind_data_is_forwarded_and_remembered() -> None:
    stream = ResponseEvents(call())
    stream.feed(DELTA)
    [last] = told(stream.feed(failed("rate_limit_exceeded", output=[{"id": "msg_1"}])))
    assert last["response"]["error"] == {"code": "rate_limit_exceeded", "message": RATE_LIMITED}
    assert last["response"]["output"][0]["id"] == SEAL.id("msg_1", EAST)
    assert stream.error is None
    assert isinstance(stream.failure, RateLimited)
    assert stream.whole


RATE_LIMITED = "The model is at its rate limit. Try again later."
SHAPES = [
    {"error": {"code": "rate_limit_exceeded", "message": "x.openai.azure.com", "headers": {"x-ms-fe-error": "true"}}},
    {"code": "rate_limit_exceeded", "message": "x.openai.azure.com"},
]


@pytest.mark.parametrize("shape", SHAPES)
def test_an_error_behind_data_keeps_its_shape_in_our_words(shape: dict[str, Any]) -> None:
    stream = ResponseEvents(call())
    stream.feed(DELTA)
    [last] = told(stream.feed(event("error", sequence_number=7, **shape)))
    inner = last.get("error", last)
    assert (inner["code"], inner["message"], last["sequence_number"]) == ("rate_limit_exceeded", RATE_LIMITED, 7)
    assert "headers" not in inner


def test_a_failure_without_an_error_is_still_one() -> None:
    stream = ResponseEvents(call())
    stream.feed(event("response.failed"))
    assert isinstance(stream.error, UpstreamFailed)


@pytest.mark.parametrize("data", [b"{", b"[]", b"5"])
def test_an_event_that_is_no_object_breaks_the_stream(data: bytes) -> None:
    stream = ResponseEvents(call())
    stream.feed(b"data: " + data + b"\n\n")
    assert isinstance(stream.error, StreamBroken)


def test_json_too_deep_to_be_written_again_breaks_the_stream() -> None:
    deep = orjson.loads(b"[" * 300 + b"]" * 300)
    raw = b'{"type":"x","item_id":"msg_1","deep":%s}' % (b"[" * 300 + b"]" * 300)
    assert deep
    with pytest.raises(StreamBroken):
        ResponseEvents(call()).feed(b"data: " + raw + b"\n\n")


def test_a_background_response_is_known_by_its_first_event() -> None:
    stream = ResponseEvents(call(background=True))
    stream.feed(CREATED)
    assert stream.goes_on == "resp_1"


def test_another_response_does_not_go_on() -> None:
    stream = ResponseEvents(call())
    stream.feed(CREATED)
    assert stream.goes_on is None


def test_a_stream_read_again_tells_a_failure_as_it_was() -> None:
    stream = StoredEvents(call())
    assert told(stream.feed(CREATED))
    [last] = told(stream.feed(failed("rate_limit_exceeded")))
    assert last["type"] == "response.failed"
    assert (stream.error, stream.failure) == (None, None)


def test_a_stream_read_again_costs_nothing_and_ends_where_it_ends() -> None:
    stream = StoredEvents(call())
    assert stream.whole
    stream.feed(event("response.completed", response={"id": "resp_1", "usage": {"input_tokens": 3}}))
    assert stream.usage is not None
    assert (stream.usage.prompt, stream.usage.completion) == (0, 0)


def test_a_stream_read_again_can_fail_itself() -> None:
    stream = StoredEvents(call())
    assert stream.feed(event("error", error={"code": "rate_limit_exceeded"})) == b""
    assert isinstance(stream.error, RateLimited)


def test_a_whole_response_fails_only_when_nothing_came_of_it() -> None:
    error = {"code": "rate_limit_exceeded", "message": "x"}
    assert isinstance(failure_of(call(), {"status": "failed", "error": error, "output": []}), RateLimited)
    assert failure_of(call(), {"status": "failed", "error": error, "output": [{"id": "msg_1"}]}) is None
    assert failure_of(call(), {"status": "incomplete", "output": []}) is None
