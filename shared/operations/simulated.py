"""A stream made of a whole chat completion, where the model itself cannot stream (o1).

The client asked for a stream and gets one: the role, the message in one piece, the end, the usage, `[DONE]`. Azure's
`prompt_filter_results` are in its first chunk.
"""

from __future__ import annotations

from typing import Any

import orjson

from shared.errors import UpstreamFailed
from shared.upstream.sse import DONE, event

_ONCE = frozenset({"choices", "usage", "object", "prompt_filter_results"})
"""Fields of the whole answer that do not come with every chunk."""


def streamed_completion(body: bytes) -> bytes:
    """The bytes of the stream that says what `body`, a chat completion, says. Raises UpstreamFailed."""
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError:
        whole = None
    choices = whole.get("choices") if isinstance(whole, dict) else None
    if not isinstance(whole, dict) or not isinstance(choices, list):
        raise UpstreamFailed("The model's deployment answered with something that is not a chat completion.")
    head = {name: value for name, value in whole.items() if name not in _ONCE}
    head["object"] = "chat.completion.chunk"
    chunks = [{**head, "choices": [part]} for choice in choices if isinstance(choice, dict) for part in _parts(choice)]
    chunks.append({**head, "choices": [], "usage": whole.get("usage")})
    if "prompt_filter_results" in whole:
        chunks[0]["prompt_filter_results"] = whole["prompt_filter_results"]
    return b"".join(event(orjson.dumps(chunk)) for chunk in chunks) + event(DONE)


def _parts(choice: dict[str, Any]) -> list[dict[str, Any]]:
    """A choice as its delta, then its end."""
    message = choice.get("message")
    delta = {name: value for name, value in message.items() if value is not None} if isinstance(message, dict) else {}
    calls = delta.get("tool_calls")
    if isinstance(calls, list):
        delta["tool_calls"] = [{"index": i, **call} for i, call in enumerate(calls) if isinstance(call, dict)]
    rest = {name: value for name, value in choice.items() if name not in ("message", "finish_reason")}
    end = {"index": choice.get("index", 0), "delta": {}, "finish_reason": choice.get("finish_reason") or "stop"}
    return [{**rest, "delta": delta, "finish_reason": None}, end]
