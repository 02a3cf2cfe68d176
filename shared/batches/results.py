"""Results of a batch on their way to the caller: straightened, each with its id, and what it is charged. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from shared import sealed_ids
from shared.seal import Seal
from shared.sealed_ids import RESPONSE, sealing
from shared.shapes import replace
from shared.upstream.answers import scrub
from shared.usage.usage import Usage, chat_usage, response_usage

PASSING = frozenset({429, *range(500, 600)})
"""Statuses of lines that may go well when they are sent again."""
EXPIRED = "batch_expired"
READERS: Mapping[str, Callable[[Any], Usage | None]] = {
    "chat/completions": chat_usage,
    "embeddings": chat_usage,
    "responses": response_usage,
}
FILTERED = frozenset({"content_filter", "contentFilter", "content_policy_violation", "ResponsibleAIPolicyViolation"})


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one request. `passing`: it may go well when it is sent again. `filtered`: Azure's content filter
    refused the prompt, which is billed. `usage` is None where nothing was told."""

    custom_id: str
    status: int
    response: dict[str, Any] | None
    error: Any
    code: str = ""
    usage: Usage | None = None
    request_id: str = ""

    @property
    def completed(self) -> bool:
        return self.status == 200

    @property
    def expired(self) -> bool:
        return self.code == EXPIRED

    @property
    def passing(self) -> bool:
        return self.expired or (self.status in PASSING and not self.filtered)

    @property
    def filtered(self) -> bool:
        return self.code in FILTERED


def result_of(line: bytes, kind: str) -> Result | None:
    """The result in a line of an output or error file; None for what is none."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("custom_id"), str):
        return None
    response = found.get("response")
    if not isinstance(response, dict):
        error = found.get("error")
        return Result(found["custom_id"], 0, None, error, code=_code(error))
    status, body = response.get("status_code"), response.get("body")
    status = status if type(status) is int else 0
    request_id = response.get("request_id")
    return Result(
        found["custom_id"],
        status,
        response,
        found.get("error"),
        code="" if status == 200 else _code(body.get("error") if isinstance(body, dict) else None),
        usage=READERS[kind](body) if status == 200 else None,
        request_id=request_id if isinstance(request_id, str) else "",
    )


@dataclass(frozen=True, slots=True)
class Ids:
    """How ids in the results of one resource (its tag) become those of their owner."""

    seal: Seal
    resource: bytes

    def put(self, body: Any) -> None:
        """Seals the ids of a response, in place."""
        replace(body, RESPONSE, sealing(self.seal, self.resource, lambda _: None))

    def scrub(self, text: str) -> str:
        """An error's words without the resource's own ids."""
        return sealed_ids.scrub(text, self.seal, self.resource)


def told(result: Result, batch: str, line: int, model: str, ids: Ids) -> bytes:
    """The line for the caller: Azure's answer as it is, under the name of the model that was asked for, with ids that
    `/v1/responses/{id}` takes."""
    response = result.response
    if response is not None:
        body = response.get("body")
        if isinstance(body, dict) and "model" in body:
            body["model"] = model
        if isinstance(body, dict) and body.get("object") == "response":
            ids.put(body)
        error = body.get("error") if isinstance(body, dict) else None
        if isinstance(error, dict) and isinstance(error.get("message"), str):
            error["message"] = ids.scrub(scrub(error["message"]))
    shown = {"id": id_of(batch, line), "custom_id": result.custom_id, "response": response, "error": result.error}
    return orjson.dumps(shown) + b"\n"


def without(custom_id: str, batch: str, line: int, code: str, message: str) -> bytes:
    """The line of a request that has no result."""
    error = {"code": code, "message": message}
    return orjson.dumps({"id": id_of(batch, line), "custom_id": custom_id, "response": None, "error": error}) + b"\n"


def id_of(batch: str, line: int) -> str:
    """The id of a result: that of its request."""
    return "batch_req_" + hashlib.sha256(f"{batch}.{line}".encode()).hexdigest()[:32]


def _code(error: Any) -> str:
    """The code of an error, as far in as Azure hides a filter's."""
    if not isinstance(error, dict):
        return ""
    inner = error.get("innererror") or error.get("inner_error")
    if isinstance(inner, dict) and inner.get("code") == "ResponsibleAIPolicyViolation":
        return "content_filter"
    code = error.get("code")
    return str(code) if isinstance(code, str | int) else ""
