"""`POST /v1/audio/transcriptions`, `/v1/audio/translations` and `/v1/audio/speech`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shared.catalog.capabilities import Capability
from shared.operations.encoding import encode
from shared.operations.forms import form_call, form_for, needs_file
from shared.operations.operation import Call, EventTranslator, Incoming, Proxied
from shared.operations.parsing import call_of, missing, number, text, wrong_type
from shared.operations.passed_bytes import PassedBytes
from shared.operations.typed_events import TypedEvents
from shared.spend.estimates import heard, spoken
from shared.usage.estimate import audio_seconds, inputs_tokens, no_tokens, tokens_of
from shared.usage.usage import Usage, spoken_usage, transcription_usage

AUDIO_BYTES_MAX = 26_214_400
"""25 MiB: Azure's limit for one audio file."""


def parse_transcript(incoming: Incoming) -> Call:
    """A Call of a transcription or translation: a form with `file`. Raises BadRequest or PayloadTooLarge."""
    call = form_call(incoming)
    needs_file(call.files, ("file",), AUDIO_BYTES_MAX)
    _string(incoming.body, "response_format")
    return call


def parse_speech(incoming: Incoming) -> Call:
    """A Call of a speech request; its audio is always streamed. Raises BadRequest.

    Which voices, formats and speeds there are is in the model's row.
    """
    body = incoming.body
    text(body, "input")
    voice = body.get("voice")
    if voice is None:
        raise missing("voice")
    if not isinstance(voice, str | dict):
        raise wrong_type("voice", "a string", voice)
    for name in ("response_format", "stream_format", "instructions"):
        _string(body, name)
    number(body, "speed")
    call = call_of(incoming, streams=False)
    return replace(call, stream=True)


def _string(body: dict[str, Any], name: str) -> None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise wrong_type(name, "a string", value)


def _transcript_estimate(call: Call) -> Usage:
    return Usage(0, 0, seconds=audio_seconds(call.files[0].file, call.files[0].bytes_count), source="estimated")


def _heard_at(call: Call, estimated: Usage, model: Capability) -> tuple[int, int | None]:
    """Tokens that a model counts for the audio and the prompt; whisper counts none. Of a model that is not known, the
    most is taken."""
    if model.transcription is not None and not model.transcription.tokens:
        return 0, 0
    return heard(estimated).prompt + inputs_tokens(call.body.get("prompt")), None


def _spoken_at(call: Call, estimated: Usage, model: Capability) -> tuple[int, int]:
    """Tokens that a voice counts for the text, the instructions and its audio; tts counts none."""
    if model.speech is not None and not model.speech.tokens:
        return 0, 0
    usage = spoken(estimated)
    return usage.prompt + inputs_tokens(call.body.get("instructions")), usage.completion


def _transcript_tokens(payload: dict[str, Any]) -> int:
    written = payload.get("text")
    return tokens_of(written) if isinstance(written, str) else 0


def _transcript_events(call: Call) -> EventTranslator:
    return TypedEvents(frozenset({"transcript.text.done"}), transcription_usage)


def _speech_estimate(call: Call) -> Usage:
    return replace(speech_usage(call), source="estimated")


def as_events(call: Call) -> bool:
    """Whether the speech is asked for as events, and not as bytes of audio."""
    return call.body.get("stream_format") == "sse"


def _speech_events(call: Call) -> EventTranslator:
    if as_events(call):
        return TypedEvents(frozenset({"speech.audio.done"}), spoken_usage)
    return PassedBytes(speech_usage(call))


def speech_usage(call: Call) -> Usage:
    """A spoken character is billed as it was sent: nothing of it has to be told by the upstream."""
    spoken = call.body["input"]
    return Usage(0, 0, characters=len(spoken), spoken_tokens=tokens_of(spoken))


def _transcript(path: str) -> Proxied:
    return Proxied(
        upstream_path=path,
        modes=frozenset({"audio_transcription"}),
        providers=frozenset({"azure", "openai"}),
        billing_unit="seconds of audio, or tokens of gpt-4o-transcribe models",
        parse=parse_transcript,
        encode=form_for,
        usage=transcription_usage,
        estimate=_transcript_estimate,
        completion_tokens=_transcript_tokens,
        translator=_transcript_events,
        body="form",
        body_bytes_max=AUDIO_BYTES_MAX,
        replies_json=False,
        tokens_at=_heard_at,
    )


TRANSCRIPTION = _transcript("audio/transcriptions")
TRANSLATION = _transcript("audio/translations")
SPEECH = Proxied(
    upstream_path="audio/speech",
    modes=frozenset({"audio_speech"}),
    providers=frozenset({"azure", "openai"}),
    billing_unit="characters, or tokens of gpt-4o-mini-tts",
    parse=parse_speech,
    encode=encode,
    usage=spoken_usage,
    estimate=_speech_estimate,
    completion_tokens=no_tokens,
    translator=_speech_events,
    speaks_events=as_events,
    tokens_at=_spoken_at,
)
