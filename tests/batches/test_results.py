"""Lines of results as Azure writes them, and as they are told."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from shared.batches.results import Ids, Result, id_of, result_of, told, without
from shared.seal import Seal, tag
from tests.batches.world import SEALER

IDS = Ids(Seal(SEALER, tag("ann")), b"")
FILTERED = {"code": "ResponsibleAIPolicyViolation"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def raw(status: Any = 200, body: Any = None, **more: Any) -> bytes:
    body = {"model": "dep-2024", "usage": USAGE} if body is None else body
    line = {"custom_id": "a", "response": {"status_code": status, "request_id": "r", "body": body}, "error": None}
    return orjson.dumps(line | more)


def read(line: bytes) -> Result:
    result = result_of(line, "chat/completions")
    assert result is not None
    return result


def test_a_result_has_its_usage_and_the_resources_request_id() -> None:
    result = read(raw())
    assert result.usage is not None
    assert (result.completed, result.usage.prompt, result.usage.completion) == (True, 3, 4)
    assert (result.request_id, result.code) == ("r", "")


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"null", b"{}", b'{"custom_id": 7}'])
def test_what_is_no_result_is_none(line: bytes) -> None:
    assert result_of(line, "chat/completions") is None


@pytest.mark.parametrize(
    ("line", "passing", "expired", "filtered"),
    [
        (raw(429, {"error": {"code": "429"}}), True, False, False),
        (raw(503, {"error": {"code": "busy"}}), True, False, False),
        (raw(400, {"error": {"code": "bad"}}), False, False, False),
        (raw(400, {"error": {"code": "content_filter"}}), False, False, True),
        (
            raw(400, {"error": {"code": "400", "innererror": FILTERED}}),
            False,
            False,
            True,
        ),
        (raw(500, {"error": {"inner_error": FILTERED}}), False, False, True),
        (raw(response=None, error={"code": "batch_expired", "message": "late"}), True, True, False),
        (raw(response=None, error={"code": "batch_cancelled"}), False, False, False),
        (raw(response=None), False, False, False),
        (raw("200"), False, False, False),
        (raw(429, "text"), True, False, False),
    ],
)
def test_only_what_failed_for_a_passing_reason_is_sent_again(
    line: bytes, passing: bool, expired: bool, filtered: bool
) -> None:
    result = read(line)
    assert (result.passing, result.expired, result.filtered, result.completed) == (passing, expired, filtered, False)


@pytest.mark.parametrize("body", ["text", [], 7])
def test_a_body_that_is_no_object_has_no_usage(body: Any) -> None:
    assert read(raw(200, body)).usage is None


def test_azures_answer_is_told_as_it_is_under_the_public_name() -> None:
    body = {"model": "dep-2024", "usage": USAGE, "content_filter_results": {"hate": None}, "x": 1.25}
    shown = orjson.loads(told(read(raw(body=body)), "batch_1", 7, "public", IDS))
    assert shown == {
        "id": id_of("batch_1", 7),
        "custom_id": "a",
        "response": {"status_code": 200, "request_id": "r", "body": {**body, "model": "public"}},
        "error": None,
    }


def test_an_error_does_not_name_the_resource() -> None:
    message = "Try https://my-resource.openai.azure.com/openai/deployments/dep instead."
    shown = orjson.loads(told(read(raw(400, {"error": {"code": "x", "message": message}})), "batch_1", 0, "m", IDS))
    assert "my-resource" not in shown["response"]["body"]["error"]["message"]


def test_a_request_without_a_result_is_told_why() -> None:
    assert orjson.loads(without("a", "batch_1", 3, "no_result", "none")) == {
        "id": id_of("batch_1", 3),
        "custom_id": "a",
        "response": None,
        "error": {"code": "no_result", "message": "none"},
    }


def test_each_request_has_an_id_of_its_own() -> None:
    ids = {id_of(batch, line) for batch in ("batch_1", "batch_2") for line in range(100)}
    assert len(ids) == 200
    assert all(one.startswith("batch_req_") and len(one) == 42 for one in ids)
