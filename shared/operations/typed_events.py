"""Streams whose events have a `type`: images, transcription, speech, Responses.

Their last event is one of `final`, after which the upstream just ends; some send `[DONE]` as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import orjson

from shared.errors import SpillwayError, StreamBroken
from shared.operations.operation import Splitter
from shared.upstream.answers import error_in_stream
from shared.upstream.sse import DONE, Framer, data_of
from shared.upstream.sse import event as event_of
from shared.usage.estimate import text_weight
from shared.usage.usage import Usage

UsageReader = Callable[[Any], Usage | None]


class TypedEvents:
    """One stream. `final`: types that end the answer. `dataless`: types that tell a client nothing yet, kept back
    until data comes, so that a failure before it can still fail over. `usage` reads an event's JSON.

    A subclass may know more failures (`_failure`), forward them (`_failed`), and change events (`_forwarded`).
    """

    def __init__(self, final: frozenset[str], usage: UsageReader, dataless: frozenset[str] = frozenset()) -> None:
        self.began = False
        self.ended = False
        self.error: SpillwayError | None = None
        self.failure: SpillwayError | None = None
        self.goes_on: str | None = None
        self.usage: Usage | None = None
        self.splitter: Splitter = Framer()
        self._final = final
        self._read_usage = usage
        self._dataless = dataless
        self._held = b""
        self._holds = True
        self._whole = False
        self._said_done = False
        self._weight = 0.0

    def feed(self, event: bytes) -> bytes:
        data = data_of(event)
        if data is None:
            return self._hold(event) if self._holds else event
        if data == DONE:
            self.ended = self._said_done = True
            return b""
        try:
            payload = orjson.loads(data)
        except orjson.JSONDecodeError:
            payload = None
        if not isinstance(payload, dict):
            self.error = StreamBroken("The model sent an event that is not JSON.")
            return b""
        failure = self._failure(payload)
        if failure is not None:
            return self._failed(failure, event, payload)
        kind = payload.get("type")
        if kind in self._dataless and self._holds:
            return self._hold(self._forwarded(event, payload))
        if kind in self._dataless:
            return self._forwarded(event, payload)
        self.usage = self._read_usage(payload) or self.usage
        delta = payload.get("delta")
        if isinstance(delta, str):
            self._weight += text_weight(delta)
        self.began = True
        self._whole = self._whole or kind in self._final
        return self.release() + self._forwarded(event, payload)

    def release(self) -> bytes:
        held, self._held = self._held, b""
        self._holds = False
        return held

    def finish(self) -> bytes:
        return self.release()

    @property
    def closing(self) -> bytes:
        return event_of(DONE) if self._said_done else b""

    @property
    def whole(self) -> bool:
        return self._whole

    @property
    def estimated_completion(self) -> int:
        return math.ceil(self._weight)

    def _failure(self, payload: dict[str, Any]) -> SpillwayError | None:
        """The failure that an event stands for."""
        if payload.get("type") == "error" or isinstance(payload.get("error"), dict):
            return error_in_stream(payload)
        return None

    def _failed(self, failure: SpillwayError, event: bytes, payload: dict[str, Any]) -> bytes:
        """What the client gets of a failure's event; nothing, when it is to be told in our own words."""
        self.error = failure
        return b""

    def _forwarded(self, event: bytes, payload: dict[str, Any]) -> bytes:
        """The event as the client gets it."""
        return event

    def _hold(self, event: bytes) -> bytes:
        self._held += event
        return b""
