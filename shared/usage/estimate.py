"""Token estimates by Unicode class, where the upstream gave no count.

Characters per token of o200k_base differ by script: length/4 holds for English and is 3-4 times too low for
Chinese. The figures are rounded towards more tokens.
"""

from __future__ import annotations

import math
from typing import Any

_ASCII = 1 / 4
_LATIN = 1 / 3  # accented Latin, Greek, Cyrillic, Hebrew, Arabic: U+0080 to U+08FF
_INDIC = 1 / 2  # Devanagari to the end of the small scripts: U+0900 to U+1FFF
_WIDE = 0.9  # CJK, Hangul, Kana
_ASTRAL = 2.0  # emoji and rare scripts

MESSAGE_TOKENS = 4
"""What a chat message costs beyond its text (OpenAI's token-counting guide: 3, and 1 for the name)."""
IMAGE_TOKENS = 765
"""A 1024x1024 image at high detail: 85 + 4 tiles of 170 (OpenAI's vision guide)."""


def text_weight(text: str) -> float:
    """Tokens in `text`, as a fraction that may be summed before it is rounded."""
    if text.isascii():
        return len(text) * _ASCII
    return sum(_weight(ord(character)) for character in text)


def tokens_of(text: str) -> int:
    """Tokens in `text`, rounded up."""
    return math.ceil(text_weight(text))


def chat_prompt_tokens(body: dict[str, Any]) -> int:
    """Prompt tokens of a chat request: its messages, tools and images. Tolerates any JSON."""
    weight = 3.0
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else []:
        weight += MESSAGE_TOKENS + _strings_weight(message)
    for field in ("tools", "functions", "response_format"):
        weight += _strings_weight(body.get(field))
    return math.ceil(weight)


def _strings_weight(value: Any) -> float:
    """Tokens of every string in a JSON value; an image counts as an image, audio as ten tokens a second of MP3."""
    if isinstance(value, str):
        return text_weight(value)
    if isinstance(value, list):
        return sum(map(_strings_weight, value))
    if isinstance(value, dict):
        if value.get("type") == "image_url":
            return IMAGE_TOKENS
        if value.get("type") == "input_audio":
            data = value.get("input_audio")
            encoded = data.get("data") if isinstance(data, dict) else None
            return len(encoded) / 2000 if isinstance(encoded, str) else 0.0
        return sum(1 + _strings_weight(item) for item in value.values())
    return 1.0 if value is not None else 0.0


def _weight(codepoint: int) -> float:
    if codepoint < 0x80:
        return _ASCII
    if codepoint < 0x900:
        return _LATIN
    if codepoint < 0x2000:
        return _INDIC
    return _WIDE if codepoint < 0x10000 else _ASTRAL
