"""What an image in a prompt counts, by the rule of its model, and how large it is, by its first bytes. Pure.

Rules are those of OpenAI's "Images and vision" guide: older models cut an image into tiles of 512 pixels, newer and
smaller ones into patches of 32. A model that it does not list is taken for gpt-4o; what a deployment then really counts
corrects the estimate (shared/routing/estimates.py).
"""

from __future__ import annotations

import binascii
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

SIDE_DEFAULT = 1024
"""Of an image behind a link, which is not looked at."""
HEAD_CHARS = 65_536
"""Base64 of so much is looked at for the size: a JPEG may have a preview before it."""
PATCH, TILE = 32, 512
LOW_PATCHES = 256
"""Low detail is an image of 512 by 512."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """`base` tokens and `tile` for each square of 512 pixels, after the image was made to fit 2048 by 2048 and its
    shorter side 768; at low detail the base alone."""

    base: int
    tile: int

    def tokens(self, width: int, height: int, detail: str) -> int:
        """Tokens of one image."""
        if detail == "low":
            return self.base
        scale = min(1.0, 2048 / max(width, height))
        scale = min(scale, 768 / min(width, height))
        across, down = math.ceil(width * scale / TILE), math.ceil(height * scale / TILE)
        return self.base + self.tile * max(1, across) * max(1, down)


@dataclass(frozen=True, slots=True)
class Patches:
    """`factor` tokens for each square of 32 pixels, after the image was made to need no more than `most` of them;
    `original` at the detail of that name."""

    factor: float
    most: int = 1536
    original: int = 1536

    def tokens(self, width: int, height: int, detail: str) -> int:
        """Tokens of one image."""
        most = LOW_PATCHES if detail == "low" else self.original if detail == "original" else self.most
        patches = math.ceil(width / PATCH) * math.ceil(height / PATCH)
        return math.ceil(min(patches, most) * self.factor)


Rule = Tiles | Patches
GPT_4O = Tiles(85, 170)
_O_SERIES, _GPT_5 = Tiles(75, 150), Tiles(70, 140)
_MINI, _NANO = 1.62, 2.46
_RULES: Mapping[str, Rule] = {
    "gpt-4o-mini": Tiles(2833, 5667),
    "o1": _O_SERIES,
    "o3": _O_SERIES,
    "gpt-5": _GPT_5,
    "gpt-5.1": _GPT_5,
    "computer-use-preview": Tiles(65, 129),
    "gpt-4.1-mini": Patches(_MINI),
    "gpt-4.1-nano": Patches(_NANO),
    "gpt-5-mini": Patches(_MINI),
    "gpt-5-nano": Patches(_NANO),
    "o4-mini": Patches(1.72),
    "gpt-5.4": Patches(1.0, 2500, 10_000),
    "gpt-5.4-mini": Patches(_MINI),
    "gpt-5.4-nano": Patches(_NANO),
    "gpt-5.5": Patches(1.0, 2500, 10_000),
}


@lru_cache(maxsize=1024)
def rule_of(model: str) -> Rule:
    """The rule of a model by its known name, whatever date or variant is behind it."""
    name = model
    while name:
        if name in _RULES:
            return _RULES[name]
        name = name.rpartition("-")[0]
    return GPT_4O


@dataclass(slots=True)
class Counted:
    """Counts the images of one call by `rule` and remembers them, so that what another rule counts needs no second
    look. `seen`: width, height, detail."""

    rule: Rule = GPT_4O
    seen: list[tuple[int, int, str]] = field(default_factory=list)

    def tokens(self, width: int, height: int, detail: str) -> int:
        """Tokens of one image."""
        self.seen.append((width, height, detail))
        return self.rule.tokens(width, height, detail)

    def more(self, rule: Rule) -> int:
        """Tokens that this rule counts more, perhaps less, for all of them."""
        if rule is self.rule:
            return 0
        return sum(rule.tokens(*one) - self.rule.tokens(*one) for one in self.seen)


def image_tokens(part: Mapping[str, Any], rule: Rule | Counted) -> int:
    """Tokens of an image part of chat (`image_url: {url, detail}`) or of Responses (`image_url`, `detail`). Tolerates
    any JSON."""
    url: Any = part.get("image_url")
    detail: Any = part.get("detail")
    if isinstance(url, dict):
        url, detail = url.get("url"), url.get("detail")
    width, height = (size_of(url) if isinstance(url, str) else None) or (SIDE_DEFAULT, SIDE_DEFAULT)
    return rule.tokens(width, height, detail if isinstance(detail, str) else "")


def size_of(url: str) -> tuple[int, int] | None:
    """Width and height of a PNG, JPEG, GIF or WebP in a `data:` URL; None for anything else."""
    if not url.startswith("data:"):
        return None
    head, _, data = url[: HEAD_CHARS + 100].partition(",")
    if not head.endswith(";base64"):
        return None
    try:
        found = _size(binascii.a2b_base64(data[: min(len(data), HEAD_CHARS) // 4 * 4]))
    except (binascii.Error, ValueError, struct.error):
        return None
    return found if found is not None and min(found) > 0 else None


def _size(raw: bytes) -> tuple[int, int] | None:
    width: int
    height: int
    if raw.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack_from(">II", raw, 16)
        return width, height
    if raw.startswith((b"GIF87a", b"GIF89a")):
        width, height = struct.unpack_from("<HH", raw, 6)
        return width, height
    if raw.startswith(b"\xff\xd8"):
        return _jpeg_size(raw)
    if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        return _webp_size(raw)
    return None


def _jpeg_size(raw: bytes) -> tuple[int, int] | None:
    """The size in the frame header, which comes behind segments that are skipped."""
    at = 2
    while at + 9 <= len(raw) and raw[at] == 0xFF:
        marker = raw[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", raw, at + 5)
            return width, height
        at += 2 + struct.unpack_from(">H", raw, at + 2)[0]
    return None


def _webp_size(raw: bytes) -> tuple[int, int] | None:
    if raw[12:16] == b"VP8X":
        return 1 + int.from_bytes(raw[24:27], "little"), 1 + int.from_bytes(raw[27:30], "little")
    if raw[12:16] == b"VP8L":
        bits = int.from_bytes(raw[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", raw, 26)
    return width & 0x3FFF, height & 0x3FFF
