from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest

from shared import errors
from shared.errors import (
    BadRequest,
    ContentFiltered,
    MethodNotAllowed,
    ModelNotFound,
    RateLimited,
    Replay,
    SpillwayError,
    UpstreamFailed,
)

# The tree at the head of shared/errors.py: class, status, type, code, should retry, replay.
TABLE = [
    ("BadRequest", 400, "invalid_request_error", None, False, Replay.NEVER),
    ("ContentFiltered", 400, "invalid_request_error", "content_filter", False, Replay.NEVER),
    ("ContextLengthExceeded", 400, "invalid_request_error", "context_length_exceeded", False, Replay.NEVER),
    ("Unauthorized", 401, "invalid_request_error", "invalid_api_key", False, Replay.NEVER),
    ("BudgetExceeded", 402, "insufficient_quota", "insufficient_quota", False, Replay.NEVER),
    ("Forbidden", 403, "permission_error", "permission_denied", False, Replay.NEVER),
    ("NotFound", 404, "invalid_request_error", "not_found", False, Replay.NEVER),
    ("UnknownPath", 404, "invalid_request_error", "unknown_url", False, Replay.NEVER),
    ("ModelNotFound", 404, "invalid_request_error", "model_not_found", False, Replay.NEVER),
    ("DeploymentNotFound", 404, "invalid_request_error", "DeploymentNotFound", False, Replay.FREELY),
    ("MethodNotAllowed", 405, "invalid_request_error", "method_not_supported", False, Replay.NEVER),
    ("Conflict", 409, "invalid_request_error", None, False, Replay.NEVER),
    ("PayloadTooLarge", 413, "invalid_request_error", "request_too_large", False, Replay.NEVER),
    ("RangeNotSatisfiable", 416, "invalid_request_error", "range_not_satisfiable", False, Replay.NEVER),
    ("RateLimited", 429, "rate_limit_error", "rate_limit_exceeded", True, Replay.FREELY),
    ("ClientClosedRequest", 499, "invalid_request_error", "client_closed_request", False, Replay.NEVER),
    ("InternalError", 500, "server_error", "internal_error", False, Replay.NEVER),
    ("UpstreamFailed", 502, "upstream_error", "upstream_error", True, Replay.FAILED),
    ("UpstreamUnreachable", 502, "upstream_error", "upstream_unreachable", True, Replay.FREELY),
    ("UpstreamNoReply", 502, "upstream_error", "upstream_no_reply", True, Replay.BROKEN),
    ("UpstreamMisconfigured", 502, "upstream_error", "upstream_misconfigured", False, Replay.FREELY),
    ("StreamBroken", 502, "upstream_error", "stream_broken", False, Replay.NEVER),
    ("Unavailable", 503, "server_error", "service_unavailable", True, Replay.FREELY),
    ("StorageFailed", 503, "server_error", "storage_unavailable", True, Replay.FREELY),
    ("UpstreamTimeout", 504, "upstream_error", "upstream_timeout", False, Replay.UNKNOWN),
]


@pytest.mark.parametrize(("name", "status", "type_", "code", "should_retry", "replay"), TABLE)
def test_each_error_has_its_status_type_code_and_retry_signal(
    name: str, status: int, type_: str, code: str | None, should_retry: bool, replay: Replay
) -> None:
    found = getattr(errors, name)
    assert (found.status, found.type, found.code, found.should_retry, found.replay) == (
        status,
        type_,
        code,
        should_retry,
        replay,
    )


def test_the_table_names_every_error_there_is() -> None:
    assert {name for name, *_ in TABLE} == {error.__name__ for error in subclasses(SpillwayError)}


def test_the_head_of_the_module_names_every_error_there_is() -> None:
    assert all(f"{error.__name__} " in (errors.__doc__ or "") for error in subclasses(SpillwayError))


def test_the_body_has_openais_four_fields() -> None:
    body = orjson.loads(BadRequest("No.", param="model", code="nope").body())
    assert body == {"error": {"message": "No.", "type": "invalid_request_error", "param": "model", "code": "nope"}}


def test_azures_innererror_is_passed_on_as_it_came() -> None:
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}}
    assert orjson.loads(ContentFiltered("No.", inner=inner).body())["error"]["innererror"] == inner


def test_a_body_without_innererror_does_not_mention_it() -> None:
    assert b"innererror" not in ContentFiltered("No.").body()


@pytest.mark.parametrize(("wait_ms", "seconds"), [(1, "1"), (999, "1"), (1000, "1"), (1001, "2"), (60_000, "60")])
def test_retry_after_is_in_whole_seconds_rounded_up(wait_ms: int, seconds: str) -> None:
    headers = RateLimited("Full.", retry_after_ms=wait_ms).headers()
    assert (headers["retry-after-ms"], headers["retry-after"]) == (str(wait_ms), seconds)


def test_without_a_known_wait_there_is_no_retry_after() -> None:
    assert RateLimited("Full.").headers() == {"x-should-retry": "true"}


def test_should_retry_can_be_given() -> None:
    assert UpstreamFailed("No.", should_retry=False).headers()["x-should-retry"] == "false"


def test_giving_one_error_a_code_leaves_its_class_alone() -> None:
    BadRequest("No.", code="odd", type="odd_error")
    assert (BadRequest.code, BadRequest.type) == (None, "invalid_request_error")


def test_an_error_does_not_share_its_headers_with_the_next() -> None:
    given = {"x-one": "1"}
    SpillwayError("a", headers=given).extra_headers["x-two"] = "2"
    assert given == {"x-one": "1"}


def test_method_not_allowed_says_what_is() -> None:
    error = MethodNotAllowed("GET", "/v1/chat/completions", ["POST", "PUT"])
    assert error.headers()["allow"] == "POST, PUT"


def test_an_unknown_model_is_told_what_there_is() -> None:
    assert "Available models: gpt-4o, o3." in ModelNotFound("gpt-5", ["gpt-4o", "o3"]).message


def test_an_unknown_model_is_told_at_most_twenty_names() -> None:
    message = ModelNotFound("x", [f"model-{i}" for i in range(25)]).message
    assert "model-19 and 5 more" in message
    assert "model-20" not in message


def test_an_unknown_model_where_nothing_is_available() -> None:
    assert ModelNotFound("x", []).message.endswith("Available models: none.")


def test_a_callers_own_word_is_shown_back_shortened() -> None:
    message = ModelNotFound("m" * 5000, ["gpt-4o"]).message
    assert f"`{'m' * 100}…`" in message
    assert len(message) < 300


def test_a_callers_own_word_is_shown_back_without_control_characters() -> None:
    assert "`a�b�`" in ModelNotFound("a\nb\x1b", []).message


def subclasses(of: type[SpillwayError]) -> Iterator[type[SpillwayError]]:
    for one in of.__subclasses__():
        if one.__module__ == errors.__name__:
            yield one
            yield from subclasses(one)
