"""What one attempt used, read from the upstream's own figures: tokens by kind, and what else is billed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from shared.values import replacer, statically_frozen

_NO_DETAILS: dict[str, Any] = {}


@statically_frozen
@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, and what else is billed: `images` made, `seconds` of audio heard, `characters` spoken.

    `cached`, `cache_write`, `audio_prompt` and `image_prompt` are parts of `prompt`; `cached_audio` and `cached_image`
    are parts of `cached`; `reasoning`, `audio_completion` and `image_completion` are parts of `completion`, as in
    OpenAI's `usage` object. `image_size` and `image_quality` are those of every image, "" when nobody said.
    `spoken_tokens` estimates the text of a speech whose upstream tells no tokens, for voices that are billed by them.
    `web_searches`, `file_searches` and `containers` (of a code interpreter) are built-in tools of a response.
    `tier` is the `service_tier` that the reply names, `model` the model that it names, which is no part of a usage.
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
    cache_write: int = 0
    audio_prompt: int = 0
    audio_completion: int = 0
    cached_audio: int = 0
    image_prompt: int = 0
    image_completion: int = 0
    cached_image: int = 0
    image_size: str = ""
    image_quality: str = ""
    spoken_tokens: int = 0
    web_searches: int = 0
    file_searches: int = 0
    containers: int = 0
    tier: str | None = None
    model: str = field(default="", compare=False)


changed_usage = replacer(Usage)
"""A usage with other values."""


def chat_usage(payload: Any) -> Usage | None:
    """Usage of a chat completion or of its last stream chunk; None when `usage` is absent, null or unreadable.

    Shape: `service_tier`, `usage{prompt_tokens, completion_tokens, prompt_tokens_details{cached_tokens,
    cache_write_tokens, audio_tokens, image_tokens}, completion_tokens_details{reasoning_tokens, audio_tokens}}`.
    """
    usage = payload.get("usage") if isinstance(payload, dict) else None
    if not isinstance(usage, dict):
        return None
    return _tokens(usage, "prompt_tokens", "completion_tokens", payload)


def typed_usage(payload: Any) -> Usage | None:
    """Usage of an image, a transcription or speech, or of the last event of its stream.

    Shapes: `usage{input_tokens, output_tokens, input_tokens_details{cached_tokens, cache_write_tokens, audio_tokens,
    image_tokens}, output_tokens_details{reasoning_tokens, audio_tokens, image_tokens}}`, where a transcription writes
    `input_token_details`, and `usage{type: "duration", seconds}`.
    """
    usage = payload.get("usage") if isinstance(payload, dict) else None
    if not isinstance(usage, dict):
        return None
    seconds = _duration(usage, "seconds") if usage.get("type") == "duration" else None
    if seconds is not None:
        return Usage(0, 0, seconds=seconds)
    return _tokens(usage, "input_tokens", "output_tokens", payload)


def response_usage(payload: Any) -> Usage | None:
    """Usage of a response, or of the last event of its stream, which holds it as `response`; with its built-in tools.

    Shape: `typed_usage`'s, and `output[{type: "web_search_call" | "file_search_call" | "code_interpreter_call"}]`.
    """
    if not isinstance(payload, dict):
        return None
    response = payload if "usage" in payload else payload.get("response")
    told = typed_usage(response)
    if told is None or not isinstance(response, dict):
        return None
    output = response.get("output")
    return _with_tools(told, output) if isinstance(output, list) else told


def image_usage(payload: Any) -> Usage | None:
    """Usage of generated images: tokens where the model tells them, and the number of images in `data`.

    All tokens that it writes are an image's unless `output_tokens_details` says otherwise. `size` and `quality` are
    those of the reply, where it names them.
    """
    if not isinstance(payload, dict):
        return None
    told = typed_usage(payload)
    data = payload.get("data")
    if told is None and not isinstance(data, list):
        return None
    images = len(data) if isinstance(data, list) else int("b64_json" in payload)
    used = told or Usage(0, 0)
    painted = used.image_completion
    if told is not None and not isinstance(payload["usage"].get("output_tokens_details"), dict):
        painted = used.completion
    return replace(
        used,
        images=images,
        image_completion=painted,
        image_size=_text(payload, "size"),
        image_quality=_text(payload, "quality"),
    )


def transcription_usage(payload: Any) -> Usage | None:
    """Usage of a transcription: told, or the `duration` in seconds of a verbose reply."""
    told = typed_usage(payload)
    if told is None and (seconds := _duration(payload, "duration")) is not None:
        return Usage(0, 0, seconds=seconds)
    return told


def spoken_usage(payload: Any) -> Usage | None:
    """Usage of speech as its last event tells it: whatever was written is audio."""
    told = typed_usage(payload)
    return None if told is None else replace(told, audio_completion=told.completion)


def _with_tools(told: Usage, output: list[Any]) -> Usage:
    """`told` with the built-in tools of a response's items. A container that several calls share counts once."""
    searches = files = 0
    containers: set[str] = set()
    for item in output:
        kind = item.get("type") if isinstance(item, dict) else None
        if kind == "web_search_call":
            action = item.get("action")  # to open a page, or to find something in it, is no search and is free
            searches += not isinstance(action, dict) or action.get("type", "search") == "search"
        elif kind == "file_search_call":
            files += 1
        elif kind == "code_interpreter_call":
            containers.add(str(item.get("container_id")))
    if not (searches or files or containers):
        return told
    return replace(told, web_searches=searches, file_searches=files, containers=len(containers))


def _tokens(usage: dict[str, Any], prompts: str, completions: str, payload: dict[str, Any]) -> Usage | None:
    """The `usage` of a reply, under the names that this kind of answer has for tokens in and out."""
    prompt = _count(usage, prompts)
    if prompt is None:
        return None
    given = usage.get(f"{prompts}_details") or usage.get("input_token_details") or _NO_DETAILS
    written = usage.get(f"{completions}_details") or _NO_DETAILS
    cached = given.get("cached_tokens_details") if isinstance(given, dict) else None
    return Usage(
        prompt=prompt,
        completion=_count(usage, completions) or 0,
        cached=_count(given, "cached_tokens") or 0,
        reasoning=_count(written, "reasoning_tokens") or 0,
        cache_write=_count(given, "cache_write_tokens") or 0,
        audio_prompt=_count(given, "audio_tokens") or 0,
        audio_completion=_count(written, "audio_tokens") or 0,
        cached_audio=_count(cached, "audio_tokens") or 0 if cached else 0,
        image_prompt=_count(given, "image_tokens") or 0,
        image_completion=_count(written, "image_tokens") or 0,
        cached_image=_count(cached, "image_tokens") or 0 if cached else 0,
        tier=_text(payload, "service_tier") or None,
        model=_text(payload, "model"),
    )


def _count(fields: Any, name: str) -> int | None:
    value = fields.get(name) if isinstance(fields, dict) else None
    return value if type(value) is int and value >= 0 else None  # JSON's true is no count


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _duration(fields: Any, name: str) -> float | None:
    value = fields.get(name) if isinstance(fields, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        return None
    return float(value)
