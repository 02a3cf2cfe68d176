"""A stream made of a whole response, where the model itself cannot stream (o1-pro, o3-pro).

The client asked for a stream and gets one, each text in one piece: created, in progress, the items with their parts,
and the end as it was.
"""

from __future__ import annotations

from typing import Any

import orjson

from shared.errors import UpstreamFailed

_ENDS = {"failed": "response.failed", "incomplete": "response.incomplete", "cancelled": "response.cancelled"}
# Of a part that is streamed: the field that holds its text, and how its events are called.
_TEXTS = {"output_text": ("text", "response.output_text"), "refusal": ("refusal", "response.refusal")}
_SUMMARY = "response.reasoning_summary"
# Of an item that is streamed: the field that holds what the model wrote, and how its events are called.
_WRITTEN = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
    "mcp_call": ("arguments", "response.mcp_call_arguments"),
    "code_interpreter_call": ("code", "response.code_interpreter_call_code"),
}


def streamed_response(body: bytes) -> bytes:
    """The bytes of the stream that says what `body`, a response, says. Raises UpstreamFailed."""
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError:
        whole = None
    output = whole.get("output") if isinstance(whole, dict) else None
    if not isinstance(whole, dict) or not isinstance(output, list):
        raise UpstreamFailed("The model's deployment answered with something that is not a response.")
    stream = _Stream()
    start = {**whole, "status": "in_progress", "output": [], "usage": None, "error": None, "incomplete_details": None}
    stream.add("response.created", response=start)
    stream.add("response.in_progress", response=start)
    for index, item in enumerate(output):
        if isinstance(item, dict):
            stream.item(index, item)
    stream.add(_ENDS.get(str(whole.get("status")), "response.completed"), response=whole)
    return b"".join(stream.events)


class _Stream:
    def __init__(self) -> None:
        self.events: list[bytes] = []

    def add(self, kind: str, **fields: Any) -> None:
        data = orjson.dumps({"type": kind, "sequence_number": len(self.events), **fields})
        self.events.append(b"event: %s\ndata: %s\n\n" % (kind.encode(), data))

    def item(self, index: int, item: dict[str, Any]) -> None:
        parts, summary = _dicts(item.get("content")), _dicts(item.get("summary"))
        written, events = _WRITTEN.get(str(item.get("type")), ("", ""))
        empty: dict[str, Any] = {name: [] for name in ("content", "summary") if isinstance(item.get(name), list)}
        if isinstance(item.get(written), str):
            empty[written] = ""
        if "status" in item:
            empty["status"] = "in_progress"
        at = {"item_id": item.get("id"), "output_index": index}
        self.add("response.output_item.added", output_index=index, item={**item, **empty})
        for i, part in enumerate(summary):
            self._part(_SUMMARY + "_part", _SUMMARY + "_text", "text", part, {**at, "summary_index": i})
        for i, part in enumerate(parts):
            field, texts = _TEXTS.get(str(part.get("type")), ("", ""))
            self._part("response.content_part", texts, field, part, {**at, "content_index": i})
        if isinstance(item.get(written), str):
            self.add(f"{events}.delta", **at, delta=item[written])
            self.add(f"{events}.done", **at, **{written: item[written]})
        self.add("response.output_item.done", output_index=index, item=item)

    def _part(self, parts: str, texts: str, field: str, part: dict[str, Any], at: dict[str, Any]) -> None:
        text = part.get(field)
        if not isinstance(text, str):
            self.add(f"{parts}.added", **at, part=part)
            self.add(f"{parts}.done", **at, part=part)
            return
        logprobs = {"logprobs": part.get("logprobs") or []} if texts == "response.output_text" else {}
        self.add(f"{parts}.added", **at, part={**part, field: ""})
        self.add(f"{texts}.delta", **at, delta=text, **logprobs)
        self.add(f"{texts}.done", **at, **{field: text}, **logprobs)
        self.add(f"{parts}.done", **at, part=part)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
