"""What was used where the upstream told no tokens, for prices that are per token; a charge that rests on it says so."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

from shared.usage.usage import Usage

HEARD_TOKENS_PER_S = 10
"""Audio into a model, as gpt-4o-transcribe counts it."""
SPOKEN_TOKENS_PER_S = 20
"""Audio out of a voice: at 12 USD per 1M tokens the 0.015 USD a minute that OpenAI's price list gives."""
READ_TOKENS_PER_S = 3.75
"""Text that a voice reads: 15 characters of English a second."""
IMAGE_TOKENS = {"low": 272, "medium": 1056, "high": 4160}
"""One image of 1024x1024 (OpenAI's image generation guide); other sizes by their pixels."""
SIZE_DEFAULT = (1024, 1024)
_PIXELS = 1024 * 1024
_DEFAULT_QUALITIES = ("standard", "high")
"""dall-e's own default; gpt-image's is `auto`, for which the dearest is taken."""


def heard(usage: Usage) -> Usage:
    """`usage` of audio whose length is known, in tokens."""
    tokens = math.ceil(usage.seconds * HEARD_TOKENS_PER_S)
    return replace(usage, prompt=tokens, audio_prompt=tokens)


def spoken(usage: Usage) -> Usage:
    """`usage` of a speech whose text is known, in tokens."""
    text = max(usage.prompt, usage.spoken_tokens)
    audio = math.ceil(text / READ_TOKENS_PER_S * SPOKEN_TOKENS_PER_S)
    return replace(usage, prompt=text, completion=audio, audio_completion=audio)


def painted(usage: Usage) -> Usage:
    """`usage` of images whose size and quality are known, in tokens."""
    each = IMAGE_TOKENS.get(usage.image_quality, max(IMAGE_TOKENS.values()))
    tokens = usage.images * math.ceil(each * pixels(usage) / _PIXELS)
    return replace(usage, completion=tokens, image_completion=tokens)


def pixels(usage: Usage) -> int:
    """Pixels of one image; of the default size where none is known."""
    width, height = _size(usage.image_size)
    return width * height


def image_price(prices: Mapping[str, int], usage: Usage) -> tuple[str, bool] | None:
    """(`quality/size` of the price list, whether that is what was made); None when there is no list.

    What is not in the list is taken for the dearest image of its quality, so that nothing is billed too low.
    """
    if not prices:
        return None
    quality = usage.image_quality or _default_quality(prices)
    width, height = _size(usage.image_size)
    key = f"{quality}/{width}x{height}"
    if key in prices:
        return key, bool(usage.image_quality) or quality == "standard"
    alike = [one for one in prices if one.startswith(f"{quality}/")] or list(prices)
    return max(alike, key=lambda one: prices[one]), False


def _default_quality(prices: Collection[str]) -> str:
    return next((one for one in _DEFAULT_QUALITIES if any(key.startswith(f"{one}/") for key in prices)), "")


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and len(text) < 12):
        return SIZE_DEFAULT
    return int(width), int(height)
