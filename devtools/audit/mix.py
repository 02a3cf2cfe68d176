"""What an audit asks: calls of every operation that is billed, streamed and not, some long, some filtered or frail."""

from __future__ import annotations

import io
import random
import wave
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CONFIG = """
model_list:
{entries}
  - model_name: frail
    litellm_params: {{model: azure/gpt-4.1, api_base: SIM/sweden, api_key: sim-key-sweden, api_version: "2024-10-21"}}
    model_info: {{id: sweden-frail, base_model: gpt-4.1, mode: chat}}
router_settings:
  num_retries: 2
  cooldown_time: 0.2
  fallbacks: [{{frail: [gpt-4o-mini]}}]
general_settings: {{disconnect_drain_s: 1.0, speech_retention_days: 0}}
"""
"""`frail` fails half of the time and falls back to another model."""
MODELS = {
    "gpt-4o": ("gpt-4o", "gpt-4o", "chat"),
    "gpt-4o-mini": ("gpt-4o-mini", "gpt-4o-mini", "chat"),
    "o4-mini": ("o_series/o4-mini", "o4-mini", "chat"),
    "audio": ("azure-openai-4o-audio", "gpt-4o-audio-preview", "chat"),
    "instruct": ("gpt-35-turbo-instruct", "gpt-35-turbo-instruct", "completion"),
    "embed": ("text-embedding-3-small", "text-embedding-3-small", "embedding"),
    "dall-e": ("dall-e-3", "dall-e-3", "image_generation"),
    "image": ("gpt-image-1", "gpt-image-1", "image_generation"),
    "tts": ("tts", "tts", "audio_speech"),
    "voice": ("gpt-4o-mini-tts", "gpt-4o-mini-tts", "audio_speech"),
    "whisper": ("whisper", "whisper", "audio_transcription"),
    "hear": ("gpt-4o-transcribe", "gpt-4o-transcribe", "audio_transcription"),
}
"""Public name: the deployment, its base model, its mode; each at two resources."""
WORDS = tuple(
    "the water of the lake runs over the spillway when the gates are shut and the rain goes on".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `files` makes it a form. `long`: its answer takes longer than a client that left is waited for."""

    kind: str
    path: str
    body: Mapping[str, Any]
    files: Mapping[str, tuple[str, bytes, str]] = field(default_factory=dict)
    long: bool = False

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream")) or self.path.endswith("/speech")


def config(sim: str) -> str:
    """The configuration file, for a simulator at this URL."""
    entries = []
    for name, (deployment, base, mode) in MODELS.items():
        for resource in ("east", "west"):
            entries.append(
                f"  - model_name: {name}\n"
                f"    litellm_params: {{model: azure/{deployment}, api_base: {sim}/{resource}, "
                f"api_key: sim-key-{resource}, api_version: 2025-04-01-preview}}\n"
                f"    model_info: {{id: {resource}-{name}, base_model: {base}, mode: {mode}}}"
            )
    return CONFIG.format(entries="\n".join(entries)).replace("SIM", sim)


def calls(count: int, seed: int, *, background: bool = True) -> list[Asked]:
    """So many calls, a mix of everything; the same for the same seed."""
    chance = random.Random(seed)
    kinds = [kind for kind in KINDS if background or kind != "background"]
    return [_call(chance.choices(kinds, [KINDS[kind] for kind in kinds])[0], chance) for _ in range(count)]


KINDS = {
    "chat": 14,
    "chat_stream": 20,
    "long_stream": 3,
    "filtered": 2,
    "reasoning": 4,
    "audio_chat": 2,
    "frail": 8,
    "completion": 4,
    "completion_stream": 4,
    "embedding": 8,
    "dall_e": 2,
    "image": 2,
    "image_stream": 2,
    "speech": 3,
    "speech_events": 2,
    "whisper": 2,
    "transcription": 2,
    "transcription_stream": 2,
    "translation": 1,
    "response": 6,
    "response_stream": 7,
    "background": 2,
}
"""Each kind and its share."""


def _call(kind: str, chance: random.Random) -> Asked:
    text = " ".join(chance.choices(WORDS, k=chance.randint(3, 60)))
    pace = f" [[sim chunks={chance.randint(3, 40)} delay_ms={chance.choice((0, 0, 2, 5))}]]"
    messages = [{"role": "user", "content": text + pace}]
    stream = kind.endswith("_stream")
    usage = {"stream_options": {"include_usage": True}} if stream and chance.random() < 0.3 else {}
    chat = "/v1/chat/completions"
    if kind in ("chat", "chat_stream"):
        return Asked(kind, chat, {"model": "gpt-4o", "messages": messages, "stream": stream, **usage})
    if kind == "long_stream":
        messages = [{"role": "user", "content": text + " [[sim chunks=150 delay_ms=20]]"}]
        return Asked(kind, chat, {"model": "gpt-4o", "messages": messages, "stream": True}, long=True)
    if kind == "filtered":
        messages = [{"role": "user", "content": text + " [[sim filter=prompt]]"}]
        return Asked(kind, chat, {"model": "gpt-4o", "messages": messages, "stream": chance.random() < 0.5})
    if kind == "reasoning":
        return Asked(kind, chat, {"model": "o4-mini", "messages": messages, "stream": chance.random() < 0.5})
    if kind == "audio_chat":
        audio = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}
        return Asked(kind, chat, {"model": "audio", "messages": messages, **audio})
    if kind == "frail":
        return Asked(kind, chat, {"model": "frail", "messages": messages, "stream": chance.random() < 0.5})
    if kind in ("completion", "completion_stream"):
        return Asked(kind, "/v1/completions", {"model": "instruct", "prompt": text + pace, "stream": stream})
    if kind == "embedding":
        return Asked(kind, "/v1/embeddings", {"model": "embed", "input": [text, text[:20]]})
    if kind.startswith(("response", "background")):
        body = {"model": "gpt-4o", "input": text + pace, "stream": stream}
        return Asked(kind, "/v1/responses", body | ({"background": True} if kind == "background" else {}))
    return _media(kind, text, chance, stream=stream)


def _media(kind: str, text: str, chance: random.Random, *, stream: bool) -> Asked:
    if kind == "dall_e":
        size, quality = chance.choice(("1024x1024", "1792x1024")), chance.choice(("standard", "hd"))
        body = {"model": "dall-e", "prompt": text, "size": size, "quality": quality}
        return Asked(kind, "/v1/images/generations", body)
    if kind in ("image", "image_stream"):
        body = {"model": "image", "prompt": text + " [[sim bytes=2000]]", "quality": "low", "size": "1024x1024"}
        return Asked(kind, "/v1/images/generations", body | ({"stream": True, "partial_images": 1} if stream else {}))
    if kind == "speech":
        return Asked(kind, "/v1/audio/speech", {"model": "tts", "voice": "alloy", "input": text})
    if kind == "speech_events":
        body = {"model": "voice", "voice": "alloy", "input": text, "stream_format": "sse"}
        return Asked(kind, "/v1/audio/speech", body)
    files = {"file": ("a.wav", _sound(chance.uniform(0.5, 4)), "audio/wav")}
    if kind == "translation":
        return Asked(kind, "/v1/audio/translations", {"model": "whisper"}, files)
    if kind == "whisper":
        body = {"model": "whisper", "response_format": chance.choice(("json", "text", "verbose_json"))}
        return Asked(kind, "/v1/audio/transcriptions", body, files)
    return Asked(kind, "/v1/audio/transcriptions", {"model": "hear", **({"stream": "true"} if stream else {})}, files)


def _sound(seconds: float) -> bytes:
    """A silent WAV file of 8 kHz, 16 bits."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(int(seconds * 8000) * 2))
    return out.getvalue()
