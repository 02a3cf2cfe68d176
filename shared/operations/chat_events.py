"""The events of a streamed chat or text completion: forwarded byte for byte, but for four rules (DESIGN §11).

1. Usage that the client did not ask for is hidden: Spillway forces `include_usage` upstream for its ledger.
2. Azure's first chunk, `{"id": "", "choices": [], "prompt_filter_results": [...]}`, breaks strict clients: its
   filter results are merged into the first real chunk.
3. The id of a spoken answer is sealed.
4. Azure's asynchronous filter sends annotation chunks without `id`, `object`, `model` or `delta`: they get the
   stream's own and an empty delta.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import orjson

from shared.errors import SpillwayError, StreamBroken
from shared.operations.operation import Splitter
from shared.upstream.answers import error_in_stream
from shared.upstream.sse import DONE, Framer, data_of, event
from shared.usage.estimate import message_weight, text_weight
from shared.usage.usage import Usage, chat_usage


class ChatEvents:
    """One chat stream. `fallback_id` and `model` name chunks of a stream whose upstream never names itself; `seal`
    replaces a chunk's ids in place and says whether there were any."""

    object_name = "chat.completion.chunk"
    empty_choice: ClassVar[dict[str, Any]] = {"index": 0, "delta": {}}

    def __init__(
        self,
        fallback_id: str,
        model: str,
        *,
        show_usage: bool,
        seal: Callable[[dict[str, Any]], bool] = lambda chunk: False,
    ) -> None:
        self.began = False
        self.ended = False
        self.error: SpillwayError | None = None
        self.failure: SpillwayError | None = None
        self.goes_on: str | None = None
        self.usage: Usage | None = None
        self.splitter: Splitter = Framer()
        self._show_usage = show_usage
        self._seal = seal
        self._head: dict[str, Any] = {"id": fallback_id, "object": self.object_name, "created": 0, "model": model}
        self._named = False
        self._prompt_filter: Any = None
        self._unnamed: list[dict[str, Any]] = []
        self._unfinished: set[int] = set()
        self._completion_weight = 0.0

    def feed(self, event_bytes: bytes) -> bytes:
        data = data_of(event_bytes)
        if not data:  # a comment, or an event without data, which some clients do not survive
            return event_bytes if data is None else b""
        if data == DONE:
            self.ended = True
            return b""
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            chunk = None
        if not isinstance(chunk, dict):
            self.error = StreamBroken("The model sent an event that is not JSON.")
            return b""
        if self._is_plain(chunk, data):
            self._count(chunk["choices"])
            return event_bytes
        if ("error" in chunk or "type" in chunk) and (error := error_in_stream(chunk)) is not None:
            self.error = error
            return b""
        return self._chunk(chunk, event_bytes, data)

    def release(self) -> bytes:
        """Nothing: filter results wait for the first real chunk, and a client needs no more than headers."""
        return b""

    def finish(self) -> bytes:
        """Filter results for which no real chunk came: in a chunk of their own, named as the stream is."""
        out = [event(orjson.dumps(self._named_chunk(chunk))) for chunk in self._unnamed]
        self._unnamed = []
        if self._prompt_filter is not None:
            chunk = {**self._head, "choices": [], "prompt_filter_results": self._prompt_filter}
            out.append(event(orjson.dumps(chunk)))
            self._prompt_filter = None
        return b"".join(out)

    @property
    def closing(self) -> bytes:
        return event(DONE)

    @property
    def whole(self) -> bool:
        return self.began and not self._unfinished

    @property
    def estimated_completion(self) -> int:
        return math.ceil(self._completion_weight)

    def _is_plain(self, chunk: dict[str, Any], data: bytes) -> bool:
        """Whether it only carries the text on, as nearly all do: then nothing else has to be looked at."""
        return (
            self._named
            and self._prompt_filter is None
            and chunk.get("usage") is None
            and "error" not in chunk
            and "type" not in chunk
            and bool(chunk.get("id"))
            and type(chunk.get("choices")) is list
            and bool(chunk["choices"])
            and b'"audio"' not in data
        )

    def _chunk(self, chunk: dict[str, Any], event_bytes: bytes, data: bytes) -> bytes:
        choices = _choices(chunk)
        usage = chat_usage(chunk)
        if usage is not None:
            self.usage = usage
        hidden = usage is not None and not self._show_usage
        if not choices and (hidden or (usage is None and "prompt_filter_results" in chunk)):
            self._prompt_filter = chunk.get("prompt_filter_results", self._prompt_filter)
            return b""
        if hidden:
            del chunk["usage"]
            event_bytes = event(data := orjson.dumps(chunk))
        if not chunk.get("id"):
            self._count(choices)
            if not self._named:
                self._unnamed.append(chunk)
                return b""
            self.began = True
            return event(orjson.dumps(self._named_chunk(chunk)))
        return self._real(chunk, choices, event_bytes, data)

    def _real(self, chunk: dict[str, Any], choices: list[Any], event_bytes: bytes, data: bytes) -> bytes:
        self.began = True
        self._count(choices)
        first = not self._named
        if first:
            self._named = True
            self._head = {name: chunk.get(name) or value for name, value in self._head.items()}
        if b'"audio"' in data and self._seal(chunk):
            event_bytes = event(data := orjson.dumps(chunk))
        if self._prompt_filter is not None and "prompt_filter_results" not in chunk:
            if b"\n" in data:  # several `data:` lines
                data = orjson.dumps(chunk)
            results = orjson.dumps(self._prompt_filter)
            event_bytes = event(b'{"prompt_filter_results":' + results + b"," + data.lstrip()[1:])
            self._prompt_filter = None
        if first and self._unnamed:
            unnamed, self._unnamed = self._unnamed, []
            event_bytes += b"".join(event(orjson.dumps(self._named_chunk(late))) for late in unnamed)
        return event_bytes

    def _named_chunk(self, chunk: dict[str, Any]) -> dict[str, Any]:
        """The chunk with the stream's id, object, created and model, and a delta in every choice."""
        choices = [
            {**self.empty_choice, **choice} if isinstance(choice, dict) else choice for choice in _choices(chunk)
        ]
        return {**chunk, **self._head, "choices": choices}

    def _count(self, choices: list[Any]) -> None:
        """Notes which choices are still open and how much text has passed."""
        for choice in choices:
            if not isinstance(choice, dict):
                continue
            index = choice.get("index", 0)
            index = index if isinstance(index, int) else 0
            weight = self._weight(choice)
            if choice.get("finish_reason"):
                self._unfinished.discard(index)
            elif weight is not None:
                self._unfinished.add(index)
            self._completion_weight += weight or 0.0

    def _weight(self, choice: dict[str, Any]) -> float | None:
        """Tokens in what a choice adds to the answer; None for a choice that adds nothing, as an annotation."""
        delta = choice.get("delta")
        return message_weight(delta) if isinstance(delta, dict) else None


class TextEvents(ChatEvents):
    """One stream of a text completion, whose choices hold `text`."""

    object_name = "text_completion"
    empty_choice: ClassVar[dict[str, Any]] = {"index": 0, "text": ""}

    def _weight(self, choice: dict[str, Any]) -> float | None:
        text = choice.get("text")
        return text_weight(text) if isinstance(text, str) else None


def _choices(chunk: dict[str, Any]) -> list[Any]:
    choices = chunk.get("choices")
    return choices if isinstance(choices, list) else []
