"""One instance's use of every deployment, packed for a row that the other instances read. Pure.

A row holds, for each deployment that was used within a minute: tokens and requests by age in seconds, what is under
way, what was wanted in ten seconds, and how long Azure told to wait. Ages need no clock that two machines share.

Amounts by age are kept as one integer of 32 bits a second, the youngest lowest: adding two such integers adds them
second by second, and shifting makes them older, at a fiftieth of what a loop costs.
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
LANE_BITS = 32
AMOUNT_MAX = 2**23 - 1
"""Of one second, by one instance: 500 instances' then fit into 32 bits."""
VERSION = 1
_AMOUNTS = struct.Struct(f"<{AGES}I")
_ALL = (1 << AGES * LANE_BITS) - 1


@dataclass(slots=True)
class Figures:
    """One deployment, by one instance. `tokens` and `requests` by age, as `lanes` makes them; `throttled_ms` from now
    on."""

    deployment_id: str
    tokens: int
    requests: int
    in_flight: int = 0
    wanted: int = 0
    throttled_ms: int = 0


def lanes(amounts: Sequence[int]) -> int:
    """Amounts by age, AGES of them, as one integer; one that is too large is cut to AMOUNT_MAX."""
    if max(amounts) > AMOUNT_MAX:
        amounts = [min(amount, AMOUNT_MAX) for amount in amounts]
    return int.from_bytes(_AMOUNTS.pack(*amounts), "little")


def older(lanes: int, seconds: int) -> int:
    """The same amounts so many seconds later; what is older than the window is gone."""
    return lanes << LANE_BITS * seconds & _ALL


def amounts(lanes: int) -> tuple[int, ...]:
    """Amounts by age, of an integer or of a sum of several."""
    return _AMOUNTS.unpack((lanes & _ALL).to_bytes(_AMOUNTS.size, "little"))


def pack(figures: Iterable[Figures]) -> bytes:
    """The figures as bytes, to be read by `unpack`."""
    heads: list[list[Any]] = []
    parts: list[bytes] = []
    for one in figures:
        heads.append([one.deployment_id, one.in_flight, one.wanted, one.throttled_ms])
        parts.append(one.tokens.to_bytes(_AMOUNTS.size, "little"))
        parts.append(one.requests.to_bytes(_AMOUNTS.size, "little"))
    head = orjson.dumps([VERSION, heads])
    return zlib.compress(len(head).to_bytes(4, "little") + head + b"".join(parts), 1)


def unpack(packed: bytes) -> list[Figures]:
    """What `pack` packed; nothing where it is of another version or cannot be read."""
    try:
        data = zlib.decompress(packed)
        start = 4 + int.from_bytes(data[:4], "little")
        version, heads = orjson.loads(data[4:start])
        if version != VERSION or len(data) != start + 2 * _AMOUNTS.size * len(heads):
            return []
        found: list[Figures] = []
        for id, in_flight, wanted, throttled_ms in heads:
            middle, end = start + _AMOUNTS.size, start + 2 * _AMOUNTS.size
            tokens = int.from_bytes(data[start:middle], "little")
            requests = int.from_bytes(data[middle:end], "little")
            start = end
            found.append(Figures(id, tokens, requests, in_flight, wanted, throttled_ms))
    except (ValueError, TypeError, zlib.error):
        return []
    return found
