"""Encodes a chat answer as Azure's stream: with the default filter, or with the asynchronous one.

Shapes: facts captured from "Content streaming" in Azure's content filter pages. The parts that are the same in every
chunk are encoded once.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import orjson

from devtools.simulator import content_filter
from devtools.simulator.answers import Answer, Choice, Spoken
from devtools.simulator.exchange import SSE_DONE, Event
from devtools.simulator.prompts import text_tokens

_SAFE = orjson.dumps(content_filter.categories())
_NO_TEXT = b"{}"
ARGUMENTS_PIECE_CHARS = 12
_FOREIGN = {"id": "", "object": "", "created": 0, "model": ""}
"""What Azure writes in chunks that are its own and not the model's."""


class Encoder:
    """Encodes the chunks of one stream. `include_usage`: every chunk but the last has `"usage": null`."""

    def __init__(self, envelope: dict[str, Any], *, include_usage: bool, asynchronous: bool) -> None:
        head = orjson.dumps(envelope | {"object": "chat.completion.chunk"})
        self._head = b"data: " + head[:-1] + b',"choices":['
        self._tail = b'],"usage":null}\n\n' if include_usage else b"]}\n\n"
        self._include_usage = include_usage
        self.asynchronous = asynchronous

    def prompt_results(self) -> Event:
        """The first chunk: Azure's, with an empty id."""
        chunk = _FOREIGN | {"prompt_filter_results": content_filter.PROMPT_RESULTS, "choices": []}
        return self._own(chunk)

    def delta(self, index: int, delta: bytes, *, filter_results: bytes = _SAFE, finish: str | None = None,
              tokens: int = 0, audio_tokens: int = 0, logprobs: bytes = b"null") -> Event:  # fmt: skip
        """A chunk of the model's; `delta`, `filter_results` and `logprobs` are encoded already."""
        results = b"" if self.asynchronous else b'"content_filter_results":' + filter_results + b","
        reason = b"null" if finish is None else b'"' + finish.encode() + b'"'
        data = b"".join((
            self._head, b"{", results, b'"delta":', delta, b',"finish_reason":', reason, b',"index":%d' % index,
            b',"logprobs":', logprobs, b"}", self._tail,
        ))  # fmt: skip
        return Event(data, tokens, audio_tokens=audio_tokens)

    def annotation(self, index: int, start: int, end: int, *, filtered: str | None = None) -> Event:
        """The asynchronous filter's verdict on characters `start` to `end`: a choice without a delta."""
        choice: dict[str, Any] = {
            "index": index,
            "finish_reason": "content_filter" if filtered else None,
            "content_filter_results": content_filter.categories(filtered),
            "content_filter_raw": [],
            "content_filter_offsets": {"check_offset": start, "start_offset": start, "end_offset": end},
        }
        return self._own(_FOREIGN | {"choices": [choice]})

    def usage(self, usage: dict[str, Any]) -> Event:
        return Event(self._head + b'],"usage":' + orjson.dumps(usage) + b"}\n\n")

    def _own(self, chunk: dict[str, Any]) -> Event:
        if self._include_usage:
            chunk = chunk | {"usage": None}
        return Event(b"data: " + orjson.dumps(chunk) + b"\n\n")


def events(
    answer: Answer,
    encoder: Encoder,
    usage: dict[str, Any] | None,
    *,
    legacy_functions: bool,
    logprobs: bool,
    context: dict[str, Any] | None = None,
) -> list[Event]:
    """The whole stream, `[DONE]` included; choices take turns. `context` is what On Your Data found."""
    streams = [
        _choice_events(choice, encoder, legacy_functions=legacy_functions, logprobs=logprobs, context=context)
        for choice in answer.choices
    ]
    out = [encoder.prompt_results()]
    for turn in range(max(len(stream) for stream in streams)):
        out.extend(stream[turn] for stream in streams if turn < len(stream))
    first = out[1]
    out[1] = first._replace(reasoning_tokens=answer.reasoning_tokens)
    if encoder.asynchronous:
        out = _annotated(out, answer, encoder)
    if usage is not None:
        out.append(encoder.usage(usage))
    out.append(Event(SSE_DONE))
    return out


def _choice_events(
    choice: Choice, encoder: Encoder, *, legacy_functions: bool, logprobs: bool, context: dict[str, Any] | None
) -> list[Event]:
    index = choice.index
    if choice.tool_calls:
        out = [encoder.delta(index, b'{"content":null,"role":"assistant"}', filter_results=_NO_TEXT)]
        for position in range(len(choice.tool_calls)):
            out.extend(_tool_events(choice, position, encoder, legacy_functions))
    elif choice.spoken:
        out = [encoder.delta(index, b'{"content":null,"refusal":null,"role":"assistant"}', filter_results=_NO_TEXT)]
        out.extend(_spoken_events(choice, choice.spoken, encoder))
    else:
        role = b'{"content":"","refusal":null,"role":"assistant"}'
        if context is not None:
            role = role[:-1] + b',"context":' + orjson.dumps(context) + b"}"
        out = [encoder.delta(index, role, filter_results=_NO_TEXT)]
        out.extend(
            encoder.delta(
                index, b'{"content":' + orjson.dumps(piece) + b"}", tokens=choice.piece_tokens,
                logprobs=orjson.dumps({"content": [token_logprob(piece)], "refusal": None}) if logprobs else b"null",
            )
            for piece in choice.pieces
        )  # fmt: skip
    if choice.filtered and encoder.asynchronous:
        return out  # the filter's own chunk ends it
    results = orjson.dumps(content_filter.categories("violence")) if choice.filtered else _NO_TEXT
    out.append(encoder.delta(index, b"{}", filter_results=results, finish=choice.finish))
    return out


def _spoken_events(choice: Choice, spoken: Spoken, encoder: Encoder) -> list[Event]:
    """Transcript and sound in turns, a piece of each, then the expiry."""
    count = max(1, len(choice.pieces))
    step = -(-len(spoken.data) // count)
    step += step % 2  # whole samples of pcm16

    def delta(audio: dict[str, Any], tokens: int = 0, audio_tokens: int = 0) -> Event:
        data = orjson.dumps({"audio": {"id": spoken.id, **audio}})
        return encoder.delta(choice.index, data, tokens=tokens, audio_tokens=audio_tokens)

    out = []
    for at, piece in enumerate(choice.pieces):
        out.append(delta({"transcript": piece}, tokens=choice.piece_tokens))
        due = spoken.tokens * (at + 1) // count - spoken.tokens * at // count
        data = base64.b64encode(spoken.data[at * step : (at + 1) * step]).decode()
        out.append(delta({"data": data}, audio_tokens=due))
    return [*out, delta({"expires_at": spoken.expires_at})]


def _tool_events(choice: Choice, position: int, encoder: Encoder, legacy_functions: bool) -> list[Event]:
    """The name in one chunk, then the arguments in pieces; their tokens leave with the last."""
    call = choice.tool_calls[position]

    def delta(part: dict[str, Any], **head: Any) -> bytes:
        if legacy_functions:
            return orjson.dumps({"function_call": part})
        return orjson.dumps({"tool_calls": [head | {"index": position, "function": part}]})

    first = delta(
        {"name": call.name, "arguments": ""}, id=call_id(choice.index, position, call.arguments), type="function"
    )
    out = [encoder.delta(choice.index, first, filter_results=_NO_TEXT, tokens=text_tokens(call.name))]
    total, sent = text_tokens(call.arguments), 0
    for at in range(0, len(call.arguments), ARGUMENTS_PIECE_CHARS):
        piece = call.arguments[at : at + ARGUMENTS_PIECE_CHARS]
        due = total * (at + len(piece)) // len(call.arguments)
        out.append(encoder.delta(choice.index, delta({"arguments": piece}), filter_results=_NO_TEXT, tokens=due - sent))
        sent = due
    return out


def _annotated(out: list[Event], answer: Answer, encoder: Encoder) -> list[Event]:
    """Adds the asynchronous filter's chunks: one on the way, one after the finish, which may be a violation."""
    middle = len(out) // 2
    half = len(answer.choices[0].text) // 2
    after = [
        encoder.annotation(choice.index, half if choice.index == 0 else 0, len(choice.text),
                           filtered="violence" if choice.filtered else None)
        for choice in answer.choices
    ]  # fmt: skip
    return [*out[:middle], encoder.annotation(0, 0, half), *out[middle:], *after]


def call_id(choice: int, position: int, arguments: str) -> str:
    """A tool call's id: the same for the same call, in a stream and in a buffered answer."""
    return f"call_{choice:02d}{position:03d}{zlib.crc32(arguments.encode()):019d}"


def token_logprob(piece: str) -> dict[str, Any]:
    """One token of `logprobs.content`."""
    return {"token": piece, "logprob": -0.25, "bytes": list(piece.encode()), "top_logprobs": []}
