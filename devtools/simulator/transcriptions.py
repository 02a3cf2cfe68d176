"""`audio/transcriptions` and `audio/translations`: words for a recording."""

from __future__ import annotations

import math

import orjson

from devtools.simulator import admission, directives, errors, sound, transcript, transcription_rules
from devtools.simulator.admission import Admitted
from devtools.simulator.exchange import EVENT_STREAM, Call, Event, Reply
from devtools.simulator.prompts import text_tokens
from devtools.simulator.transcription_rules import Asked

PLAIN_TEXT = "text/plain; charset=utf-8"


async def serve(call: Call) -> Reply:
    """Answers `audio/transcriptions`; raises AzureError."""
    admission.require_kind(call, ("transcription",), "audioTranscription")
    return admission.admit(call, name="Transcriptions_Create", estimate=_estimate(call), work=_transcribe)


async def serve_translation(call: Call) -> Reply:
    """Answers `audio/translations`, which only whisper does; raises AzureError."""
    deployment = admission.require_kind(call, ("transcription",), "audioTranslation")
    if deployment.base.by_tokens:
        raise errors.operation_not_supported("audioTranslation", call.deployment_name)
    return admission.admit(call, name="Translations_Create", estimate=_estimate(call), work=_translate)


def _estimate(call: Call) -> int:
    return sum(len(file.data) for _, file in call.form.files) // sound.RECORDED_BYTES_PER_S * sound.TOKENS_PER_S


def _transcribe(admitted: Admitted) -> Reply:
    return _answer(admitted, "transcribe")


def _translate(admitted: Admitted) -> Reply:
    return _answer(admitted, "translate")


def _answer(admitted: Admitted, task: str) -> Reply:
    call, model = admitted.call, admitted.model
    asked = transcription_rules.check(call.form, model, task)
    wanted = directives.parse(asked.prompt, "prompt")
    words = transcript.words(call.world.seed, asked, wanted.chunks)
    text = " ".join(words)
    seconds = math.ceil(asked.duration_s)
    heard, read, written = sound.heard_tokens(asked.duration_s), text_tokens(asked.prompt), len(words)
    if model.by_tokens:
        usage = {
            "type": "tokens",
            "input_tokens": heard + read,
            "input_token_details": {"text_tokens": read, "audio_tokens": heard},
            "output_tokens": written,
            "total_tokens": heard + read + written,
        }
        line = admitted.open_line(stream=asked.stream, prompt_tokens=heard + read, input_audio_tokens=heard)
    else:
        usage = {"type": "duration", "seconds": seconds}
        line = admitted.open_line(stream=asked.stream, seconds=float(seconds))
    segments = transcript.segments(words, asked.duration_s)
    plain = asked.format in ("text", "srt", "vtt")
    content_type = EVENT_STREAM if asked.stream else PLAIN_TEXT if plain else None
    reply = admitted.reply(wanted, stream=asked.stream, content_type=content_type)
    reply.line = line
    if asked.stream:
        reply.events = _events(words, segments if asked.format == "diarized_json" else [], usage)
        return reply
    line.completion_tokens, line.finished = written if model.by_tokens else 0, True
    reply.first_ms += reply.delay_ms * len(words)
    reply.body = _body(asked, task, text, words, segments, usage)
    return reply


def _body(
    asked: Asked, task: str, text: str, words: list[str], segments: list[transcript.Segment], usage: dict[str, object]
) -> bytes:
    match asked.format:
        case "text":
            return f"{text}\n".encode()
        case "srt":
            return transcript.srt(segments).encode()
        case "vtt":
            return transcript.vtt(segments).encode()
        case "verbose_json":
            return orjson.dumps(transcript.verbose(asked, task, words, segments) | {"usage": usage})
        case "diarized_json":
            parts = [transcript.diarized(segment) for segment in segments]
            return orjson.dumps(
                {"task": task, "duration": asked.duration_s, "text": text, "segments": parts, "usage": usage}
            )
    return orjson.dumps({"text": text, "usage": usage})


def _events(words: list[str], segments: list[transcript.Segment], usage: dict[str, object]) -> list[Event]:
    """The stream: a delta for each word, a diarized recording's segments, and the end with its usage."""

    def frame(event: dict[str, object]) -> bytes:
        return b"data: " + orjson.dumps(event) + b"\n\n"

    out = [
        Event(frame({"type": "transcript.text.delta", "delta": word if at == 0 else f" {word}"}), tokens=1)
        for at, word in enumerate(words)
    ]
    out.extend(Event(frame(transcript.diarized(segment))) for segment in segments)
    out.append(Event(frame({"type": "transcript.text.done", "text": " ".join(words), "usage": usage})))
    return out
