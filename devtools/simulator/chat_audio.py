"""Chat that hears and speaks: `input_audio` parts, `modalities: ["text", "audio"]`, and answers referred to by id.

A spoken answer can be referred to for an hour, at the resource that gave it.
"""

from __future__ import annotations

import base64
from typing import Any

from devtools.simulator import checks, errors, sound
from devtools.simulator.answers import Answer, Spoken
from devtools.simulator.audio_store import AudioStore
from devtools.simulator.directives import Directives
from devtools.simulator.exchange import Call
from devtools.simulator.models import Model

FORMATS = ("wav", "mp3", "flac", "opus", "pcm16", "aac")
STREAM_FORMAT = "pcm16"
VOICES = ("alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer", "verse", "marin",
          "cedar")  # fmt: skip
LIFETIME_S = 3600
SECONDS_PER_CHAR = 0.06
ID_DIGITS = 32


def wanted(body: dict[str, Any]) -> bool:
    """Whether the answer is to be spoken."""
    return "audio" in checks.listing(body, "modalities")


def check(body: dict[str, Any], model: Model) -> None:
    """Raises AzureError 400 when the body asks for what the model or the stream cannot speak."""
    for name in checks.listing(body, "modalities"):
        if name not in ("text", "audio"):
            raise errors.invalid_value(name, ("text", "audio"), "modalities[0]")
    if not wanted(body):
        if body.get("audio") is not None:
            raise errors.invalid_request(
                "The 'audio' parameter is only allowed when 'modalities' contains 'audio'.", "audio"
            )
        return
    if not model.audio:
        raise errors.invalid_request("This model does not support audio output.", "modalities", "invalid_value")
    audio = checks.mapping(body, "audio")
    for name, supported in (("voice", VOICES), ("format", FORMATS)):
        if audio.get(name) is None:
            raise errors.missing_parameter(f"audio.{name}")
        if audio[name] not in supported:
            raise errors.invalid_value(audio[name], supported, f"audio.{name}")
    if body.get("stream") and audio["format"] != STREAM_FORMAT:
        raise errors.invalid_request(
            f"Unsupported value: 'audio.format' does not support '{audio['format']}' when stream=true. Supported "
            f"values are: '{STREAM_FORMAT}'.",
            "audio.format",
            "unsupported_value",
        )


def earlier_tokens(call: Call, store: AudioStore) -> int:
    """The audio tokens of the spoken answers that the messages refer to; raises AzureError for one not there."""
    tokens = 0
    for index, message in enumerate(call.body["messages"]):
        audio = message.get("audio") if isinstance(message, dict) else None
        if not isinstance(audio, dict):
            continue
        found = store.tokens(call.resource.name, str(audio.get("id")), call.world.time())
        if found is None:
            raise errors.invalid_request(
                f"Audio with id '{audio.get('id')}' was not found or has expired.", f"messages.[{index}].audio.id",
                "invalid_value",
            )  # fmt: skip
        tokens += found
    return tokens


def require_audio(body: dict[str, Any], model: Model, heard_tokens: int) -> None:
    """An audio model answers only when something is heard or spoken; raises AzureError 400."""
    if model.audio and not heard_tokens and not wanted(body):
        raise errors.invalid_request(
            "This model requires that either input content or output modality contain audio.", "model", "invalid_value"
        )


def speak(call: Call, store: AudioStore, answer: Answer, directed: Directives) -> None:
    """Gives every choice in words its sound."""
    kind, voice = call.body["audio"]["format"], call.body["audio"]["voice"]
    for choice in answer.choices:
        if not choice.pieces:
            continue
        size = int(len(choice.text) * SECONDS_PER_CHAR * sound.BYTES_PER_S[kind])
        data = sound.made(kind, size if directed.bytes is None else directed.bytes, f"{voice} {choice.text}")
        tokens = max(1, int(len(data) / sound.BYTES_PER_S[kind] * sound.SPOKEN_TOKENS_PER_S))
        audio_id = call.world.hex_id("audio_", ID_DIGITS)
        choice.spoken = Spoken(audio_id, int(call.world.time()) + LIFETIME_S, data, tokens)
        store.put(call.resource.name, choice.spoken)


def message_audio(spoken: Spoken, transcript: str) -> dict[str, Any]:
    """`message.audio` of a buffered answer."""
    return {
        "id": spoken.id,
        "data": base64.b64encode(spoken.data).decode(),
        "expires_at": spoken.expires_at,
        "transcript": transcript,
    }
