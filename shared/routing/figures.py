"""One instance's use of every deployment, packed for a row that the other instances read. Pure.

A row holds, for each deployment that was used within a minute: tokens and requests by age in seconds, what is under
way, what was wanted in ten seconds, and how long Azure told to wait. Ages need no clock that two machines share.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from shared.routing.windows import MINUTE_S

AGES = MINUTE_S + 1
_AMOUNTS = struct.Struct(f"<{AGES}I")
_UINT32_MAX = 2**32 - 1
VERSION = 1


@dataclass(frozen=True, slots=True)
class Figures:
    """One deployment, by one instance. `tokens` and `requests` by age, `throttled_ms` from now on."""

    deployment_id: str
    tokens: Sequence[int]
    requests: Sequence[int]
    in_flight: int = 0
    wanted: int = 0
    throttled_ms: int = 0


def pack(figures: Iterable[Figures]) -> bytes:
    """The figures as bytes, to be read by `unpack`."""
    heads: list[list[Any]] = []
    amounts: list[bytes] = []
    for one in figures:
        heads.append([one.deployment_id, one.in_flight, one.wanted, one.throttled_ms])
        amounts.append(_AMOUNTS.pack(*(min(max(0, amount), _UINT32_MAX) for amount in one.tokens)))
        amounts.append(_AMOUNTS.pack(*(min(max(0, amount), _UINT32_MAX) for amount in one.requests)))
    head = orjson.dumps([VERSION, heads])
    return zlib.compress(len(head).to_bytes(4, "little") + head + b"".join(amounts), 1)


def unpack(packed: bytes) -> list[Figures]:
    """What `pack` packed; nothing where it is of another version or cannot be read."""
    try:
        data = zlib.decompress(packed)
        start = 4 + int.from_bytes(data[:4], "little")
        version, heads = orjson.loads(data[4:start])
        if version != VERSION:
            return []
        found: list[Figures] = []
        for id, in_flight, wanted, throttled_ms in heads:
            tokens = _AMOUNTS.unpack_from(data, start)
            requests = _AMOUNTS.unpack_from(data, start + _AMOUNTS.size)
            start += 2 * _AMOUNTS.size
            found.append(Figures(id, tokens, requests, in_flight, wanted, throttled_ms))
    except (ValueError, TypeError, struct.error, zlib.error):
        return []
    return found
