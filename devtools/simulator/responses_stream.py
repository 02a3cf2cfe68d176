"""Encodes a response as its stream: `event:` and `data:` lines, numbered, from `response.created` to its end."""

from __future__ import annotations

from typing import Any

import orjson

from devtools.simulator.exchange import Event
from devtools.simulator.responses_output import Output

_OPEN = {"status": "in_progress"}


class Writer:
    """Collects the events of one stream and numbers them from 0."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, kind: str, *, tokens: int = 0, reasoning_tokens: int = 0, **fields: Any) -> None:
        data = orjson.dumps({"type": kind, "sequence_number": len(self.events), **fields})
        frame = b"event: %s\ndata: %s\n\n" % (kind.encode(), data)
        self.events.append(Event(frame, tokens, reasoning_tokens))


def events(start: dict[str, Any], end: dict[str, Any], outputs: list[Output], failed_after: int | None) -> list[Event]:
    """The whole stream of a response that is `start` at first and `end` at last.

    `failed_after`: `end` has failed, and only so many events come before it.
    """
    writer = Writer()
    first = start | {"status": "queued"} if start["background"] else start
    writer.add("response.created", response=first)
    if start["background"]:
        writer.add("response.queued", response=first)
    writer.add("response.in_progress", response=start)
    for index, output in enumerate(outputs):
        _WRITERS[output.item["type"]](writer, index, output)
    if failed_after is not None:
        del writer.events[failed_after:]
    writer.add(f"response.{end['status']}", response=end)
    return writer.events


def _reasoning(writer: Writer, index: int, output: Output) -> None:
    item = output.item
    at = {"item_id": item["id"], "output_index": index, "summary_index": 0}
    writer.add("response.output_item.added", output_index=index, item=item | {"summary": []})
    if output.pieces:
        [part] = item["summary"]
        writer.add("response.reasoning_summary_part.added", **at, part=part | {"text": ""})
        for piece in output.pieces:
            writer.add("response.reasoning_summary_text.delta", **at, delta=piece)
        writer.add("response.reasoning_summary_text.done", **at, text=part["text"])
        writer.add("response.reasoning_summary_part.done", **at, part=part)
    writer.add("response.output_item.done", reasoning_tokens=output.reasoning_tokens, output_index=index, item=item)


def _message(writer: Writer, index: int, output: Output) -> None:
    item = output.item
    [part] = item["content"]
    at = {"item_id": item["id"], "output_index": index, "content_index": 0}
    writer.add("response.output_item.added", output_index=index, item=item | _OPEN | {"content": []})
    writer.add("response.content_part.added", **at, part=part | {"text": ""})
    for piece, tokens in zip(output.pieces, output.tokens, strict=True):
        writer.add("response.output_text.delta", tokens=tokens, **at, delta=piece, logprobs=[])
    writer.add("response.output_text.done", **at, text=part["text"], logprobs=[])
    writer.add("response.content_part.done", **at, part=part)
    writer.add("response.output_item.done", output_index=index, item=item)


def _function_call(writer: Writer, index: int, output: Output) -> None:
    item = output.item
    at = {"item_id": item["id"], "output_index": index}
    writer.add(
        "response.output_item.added", tokens=output.name_tokens, output_index=index,
        item=item | _OPEN | {"arguments": ""},
    )  # fmt: skip
    for piece, tokens in zip(output.pieces, output.tokens, strict=True):
        writer.add("response.function_call_arguments.delta", tokens=tokens, **at, delta=piece)
    writer.add("response.function_call_arguments.done", **at, arguments=item["arguments"], name=item["name"])
    writer.add("response.output_item.done", output_index=index, item=item)


def _code_interpreter(writer: Writer, index: int, output: Output) -> None:
    item = output.item
    at = {"item_id": item["id"], "output_index": index}
    writer.add("response.output_item.added", output_index=index, item=item | _OPEN | {"code": "", "outputs": None})
    writer.add("response.code_interpreter_call.in_progress", **at)
    for piece, tokens in zip(output.pieces, output.tokens, strict=True):
        writer.add("response.code_interpreter_call_code.delta", tokens=tokens, **at, delta=piece)
    writer.add("response.code_interpreter_call_code.done", **at, code=item["code"])
    writer.add("response.code_interpreter_call.interpreting", **at)
    writer.add("response.code_interpreter_call.completed", **at)
    writer.add("response.output_item.done", output_index=index, item=item)


_WRITERS = {
    "reasoning": _reasoning,
    "message": _message,
    "function_call": _function_call,
    "code_interpreter_call": _code_interpreter,
}
