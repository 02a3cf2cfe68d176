"""Token counts of one attempt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, and what else is billed: `images`, `seconds` of audio heard, `characters` spoken.

    `cached` is part of `prompt`, `reasoning` part of `completion`, as in OpenAI's `usage` object.
    `source` is `upstream` when the model's deployment said so, `estimated` when we counted what passed by.
    """

    prompt: int
    completion: int
    cached: int = 0
    reasoning: int = 0
    images: int = 0
    seconds: float = 0.0
    characters: int = 0
    source: Literal["upstream", "estimated"] = "upstream"


def chat_usage(payload: Any) -> Usage | None:
    """Usage of a chat completion or of its last stream chunk; None when `usage` is absent, null or unreadable.

    Shape: `usage{prompt_tokens, completion_tokens, prompt_tokens_details{cached_tokens},
    completion_tokens_details{reasoning_tokens}}`.
    """
    usage = payload.get("usage") if isinstance(payload, dict) else None
    if not isinstance(usage, dict):
        return None
    return _tokens(usage, "prompt_tokens", "completion_tokens")


def typed_usage(payload: Any) -> Usage | None:
    """Usage of an image, a transcription, speech or a response, or of the last event of its stream.

    Shapes: `usage{input_tokens, output_tokens, input_tokens_details{cached_tokens},
    output_tokens_details{reasoning_tokens}}`, `usage{type: "duration", seconds}`, and `response{usage{…}}`.
    """
    if not isinstance(payload, dict):
        return None
    usage = payload.get("usage")
    if not isinstance(usage, dict):
        response = payload.get("response")
        usage = response.get("usage") if isinstance(response, dict) else None
    if not isinstance(usage, dict):
        return None
    seconds = usage.get("seconds")
    if usage.get("type") == "duration" and isinstance(seconds, int | float) and seconds >= 0:
        return Usage(0, 0, seconds=float(seconds))
    return _tokens(usage, "input_tokens", "output_tokens")


def image_usage(payload: Any) -> Usage | None:
    """Usage of generated images: tokens where the model tells them, and the number of images in `data`."""
    if not isinstance(payload, dict):
        return None
    told = typed_usage(payload)
    data = payload.get("data")
    images = len(data) if isinstance(data, list) else int("b64_json" in payload and told is not None)
    if told is None:
        return Usage(0, 0, images=images) if isinstance(data, list) else None
    return replace(told, images=images)


def transcription_usage(payload: Any) -> Usage | None:
    """Usage of a transcription: told, or the `duration` in seconds of a verbose reply."""
    told = typed_usage(payload)
    duration = payload.get("duration") if isinstance(payload, dict) else None
    if told is None and isinstance(duration, int | float) and duration >= 0:
        return Usage(0, 0, seconds=float(duration))
    return told


def _tokens(usage: dict[str, Any], prompts: str, completions: str) -> Usage | None:
    """Usage under the names that this kind of answer has for tokens in and out."""
    prompt = _count(usage, prompts)
    if prompt is None:
        return None
    return Usage(
        prompt=prompt,
        completion=_count(usage, completions) or 0,
        cached=_count(usage.get(f"{prompts}_details"), "cached_tokens") or 0,
        reasoning=_count(usage.get(f"{completions}_details"), "reasoning_tokens") or 0,
    )


def _count(fields: Any, name: str) -> int | None:
    value = fields.get(name) if isinstance(fields, dict) else None
    return value if type(value) is int and value >= 0 else None  # JSON's true is no count
