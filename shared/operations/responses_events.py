"""The events of a response's stream: ids sealed, the beginning held back, failures told with their true status."""

from __future__ import annotations

from typing import Any

import orjson

from shared import sealed_ids
from shared.errors import SpillwayError, StreamBroken
from shared.operations import responses_ids
from shared.operations.operation import Call
from shared.operations.typed_events import TypedEvents
from shared.shapes import replace
from shared.upstream.answers import error_in_stream
from shared.upstream.sse import with_data
from shared.usage.usage import Usage, response_usage

FINAL = frozenset({"response.completed", "response.failed", "response.incomplete", "response.cancelled"})
_UNDER_WAY = ("queued", "in_progress")
DATALESS = frozenset({"response.created", "response.queued", "response.in_progress"})


class ResponseEvents(TypedEvents):
    """The stream of a response that is being made.

    Before the first data event a failure is the call's: nothing is forwarded and another deployment may be tried.
    Behind it, `error` and `response.failed` are the stream's own last event, and the call is recorded as failed.
    """

    def __init__(self, call: Call) -> None:
        super().__init__(FINAL, response_usage, DATALESS)
        self._call = call
        self._seal = responses_ids.sealing(call)

    def _failure(self, payload: dict[str, Any]) -> SpillwayError | None:
        if payload.get("type") == "response.failed":
            return _told(self._call, payload.get("response"))
        failure = super()._failure(payload)
        if failure is not None:
            failure.message = responses_ids.scrub(self._call, failure.message)
        return failure

    def _failed(self, failure: SpillwayError, event: bytes, payload: dict[str, Any]) -> bytes:
        if self._holds:
            self.error = failure
            return b""
        self.failure, self._whole = failure, True
        self.usage = self._read_usage(payload) or self.usage
        _tell(failure, payload)
        return self.release() + self._forwarded(event, payload)

    def _forwarded(self, event: bytes, payload: dict[str, Any]) -> bytes:
        if self.goes_on is None:
            self.goes_on = going_on(self._call, payload.get("response"))
        if not replace(payload, sealed_ids.EVENT, self._seal) and self.failure is None:
            return event
        try:
            return with_data(event, orjson.dumps(payload))
        except orjson.JSONEncodeError:
            raise StreamBroken("The model sent an event that is nested too deeply.") from None


class StoredEvents(ResponseEvents):
    """The stream of a response that was made before, read again: whatever became of it is what was asked for.

    Its end is the end, also of one that was cancelled, and it costs nothing.
    """

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._dataless = frozenset()
        self._read_usage = lambda payload: None
        self.usage = Usage(0, 0)

    @property
    def whole(self) -> bool:
        return True

    def _failure(self, payload: dict[str, Any]) -> SpillwayError | None:
        return None if payload.get("type") == "response.failed" else super()._failure(payload)


def going_on(call: Call, response: Any) -> str | None:
    """The upstream id of a response that is made in the background and has not ended."""
    if call.body.get("background") is not True or not isinstance(response, dict):
        return None
    identifier = response.get("id")
    return identifier if response.get("status") in _UNDER_WAY and isinstance(identifier, str) else None


def failure_of(call: Call, response: dict[str, Any]) -> SpillwayError | None:
    """The failure that a whole response tells which failed before it gave anything; None for any other."""
    if response.get("status") != "failed" or response.get("output"):
        return None
    return _told(call, response)


def _told(call: Call, response: Any) -> SpillwayError:
    error = response.get("error") if isinstance(response, dict) else None
    failure = error_in_stream({"type": "error", "error": error or {}})
    assert failure is not None
    failure.message = responses_ids.scrub(call, failure.message)
    return failure


def _tell(failure: SpillwayError, payload: dict[str, Any]) -> None:
    """Puts our words into the upstream's event, which may name its hosts."""
    response = payload.get("response")
    holder = response if isinstance(response, dict) else payload
    if isinstance(holder.get("error"), dict):
        told = holder["error"]
        told.pop("headers", None)
        told["message"] = failure.message
    elif "message" in payload:
        payload["message"] = failure.message
