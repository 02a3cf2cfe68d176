"""The comment at the end of a stream: who served it and what it cost."""

from __future__ import annotations

import re

import orjson

_TOLD = re.compile(rb": spillway (\{.*?\})\n\n")


def told(stream: bytes) -> dict[str, str]:
    """What the only such comment says."""
    [found] = _TOLD.findall(stream)
    headers: dict[str, str] = orjson.loads(found)
    return headers


def without_told(stream: bytes) -> bytes:
    """The stream without it."""
    return _TOLD.sub(b"", stream)
