"""`audio/speech`: sound from text, in pieces as it is spoken, or as events."""

from __future__ import annotations

import base64
from typing import Any

import orjson

from devtools.simulator import admission, checks, directives, errors, sound
from devtools.simulator.admission import Admitted
from devtools.simulator.exchange import EVENT_STREAM, Call, Event, Reply
from devtools.simulator.models import Model
from devtools.simulator.prompts import text_tokens
from devtools.simulator.surfaces import date_of

FIELDS = frozenset({"model", "input", "voice", "response_format", "speed", "instructions", "stream_format"})
INPUT_CHARS_MAX = 4096
VOICES = ("alloy", "echo", "fable", "onyx", "nova", "shimmer")
VOICES_NEW = (*VOICES, "ash", "ballad", "coral", "sage", "verse", "marin", "cedar")
"""Those of gpt-4o-mini-tts."""
FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
FORMATS_EARLY = FORMATS[:4]
WAV_SINCE = "2024-04-01"
SECONDS_PER_CHAR = 0.06
CHUNK_BYTES = 16_384


async def serve(call: Call) -> Reply:
    """Answers a speech call; raises AzureError."""
    admission.require_kind(call, ("speech",), "audioSpeech")
    estimate = len(str(call.body.get("input") or "")) // 4
    return admission.admit(call, name="Audio_Speech", estimate=estimate, work=_answer)


def _answer(admitted: Admitted) -> Reply:
    call, model = admitted.call, admitted.model
    text, kind, speed = _check(call.body, model, date_of(call.api_version))
    wanted = directives.parse(text, "input")
    seconds = len(text) * SECONDS_PER_CHAR / speed
    size = int(seconds * sound.BYTES_PER_S[kind]) if wanted.bytes is None else wanted.bytes
    data = sound.made(kind, size, f"{call.world.seed} {call.body['voice']} {kind} {text}")
    step = max(1, wanted.chunk_bytes or CHUNK_BYTES)
    pieces = [data[at : at + step] for at in range(0, len(data), step)] or [b""]
    input_tokens = text_tokens(text) + text_tokens(str(call.body.get("instructions") or ""))
    spoken = max(1, int(len(data) / sound.BYTES_PER_S[kind] * sound.SPOKEN_TOKENS_PER_S))
    shares = _shares(spoken if model.by_tokens else 0, len(pieces))
    events = call.body.get("stream_format") == "sse"
    reply = admitted.reply(wanted, content_type=EVENT_STREAM if events else sound.CONTENT_TYPES[kind])
    if model.by_tokens:
        reply.line = admitted.open_line(stream=events, prompt_tokens=input_tokens)
    else:
        reply.line = admitted.open_line(stream=events, characters=len(text))
    if not events:
        reply.events = [Event(piece, audio_tokens=share) for piece, share in zip(pieces, shares, strict=True)]
        return reply
    reply.events = [
        Event(_frame({"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()}), audio_tokens=share)
        for piece, share in zip(pieces, shares, strict=True)
    ]
    usage = {"input_tokens": input_tokens, "output_tokens": spoken, "total_tokens": input_tokens + spoken}
    reply.events.append(Event(_frame({"type": "speech.audio.done", "usage": usage})))
    return reply


def _frame(event: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(event) + b"\n\n"


def _shares(total: int, count: int) -> list[int]:
    """A total, spread over so many pieces."""
    return [total * (at + 1) // count - total * at // count for at in range(count)]


def _check(body: dict[str, Any], model: Model, date: str) -> tuple[str, str, float]:
    """The text, the format and the speed of a valid request; raises AzureError 400."""
    checks.known(body, FIELDS, "")
    text = checks.text(body, "input", INPUT_CHARS_MAX)
    if not text:
        raise errors.invalid_request("Invalid 'input': input cannot be an empty string.", "input")
    if body.get("voice") is None:
        raise errors.missing_parameter("voice")
    checks.choice(body, "voice", VOICES_NEW if model.by_tokens else VOICES, "alloy")
    kind = checks.choice(body, "response_format", FORMATS if date >= WAV_SINCE else FORMATS_EARLY, "mp3")
    checks.number(body, "speed", 0.25, 4.0)
    for name in ("instructions", "stream_format"):
        if body.get(name) is not None and not model.by_tokens:
            raise errors.unsupported_parameter(name)
    checks.choice(body, "stream_format", ("audio", "sse"), "audio")
    return text, kind, body.get("speed") or 1.0
