"""Token counts of one attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. `cached` is part of `prompt`, `reasoning` part of `completion`, as in OpenAI's `usage` object.

    `source` is `upstream` when the model's deployment said so, `estimated` when we counted what passed by.
    """

    prompt: int
    completion: int
    cached: int = 0
    reasoning: int = 0
    source: Literal["upstream", "estimated"] = "upstream"


def chat_usage(payload: Any) -> Usage | None:
    """Usage of a chat completion or of its last stream chunk; None when `usage` is absent, null or unreadable.

    Shape: `usage{prompt_tokens, completion_tokens, prompt_tokens_details{cached_tokens},
    completion_tokens_details{reasoning_tokens}}`.
    """
    usage = payload.get("usage") if isinstance(payload, dict) else None
    if not isinstance(usage, dict):
        return None
    prompt = _count(usage, "prompt_tokens")
    if prompt is None:
        return None
    return Usage(
        prompt=prompt,
        completion=_count(usage, "completion_tokens") or 0,
        cached=_count(usage.get("prompt_tokens_details"), "cached_tokens") or 0,
        reasoning=_count(usage.get("completion_tokens_details"), "reasoning_tokens") or 0,
    )


def _count(fields: Any, name: str) -> int | None:
    value = fields.get(name) if isinstance(fields, dict) else None
    return value if type(value) is int and value >= 0 else None  # JSON's true is no count
