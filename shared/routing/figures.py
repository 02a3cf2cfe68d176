"""One instance's use of every deployment, packed for a row that the other instances read. Pure.

A row holds, for each deployment that was used within a minute: tokens and requests by age in seconds, what is under
way, what was wanted in ten seconds, and how long Azure told to wait. Ages need no clock that two machines share.

What was used by age is kept as one integer of 64 bits a second, the youngest lowest, each with its tokens above its
requests: adding two such integers adds them second by second, and shifting makes them older, at a fiftieth of what a
loop costs.
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
LANE_BITS = 64
REQUESTS_BITS = 24
REQUESTS_MAX = 2**15 - 1
TOKENS_MAX = 2**31 - 1
"""Of one second, by one instance: the sums of 500 instances then still fit into their bits."""
VERSION = 2
_LANES = struct.Struct(f"<{AGES}Q")
_ALL = (1 << AGES * LANE_BITS) - 1
_REQUESTS = (1 << REQUESTS_BITS) - 1


@dataclass(slots=True)
class Figures:
    """One deployment, by one instance. `used` by age, as `lanes` makes it; `throttled_ms` from now on."""

    deployment_id: str
    used: int
    in_flight: int = 0
    wanted: int = 0
    throttled_ms: int = 0


def lanes(tokens: Sequence[int], requests: Sequence[int]) -> int:
    """Tokens and requests by age, AGES of each, as one integer; what is too large for a second is cut."""
    if max(tokens) > TOKENS_MAX or max(requests) > REQUESTS_MAX:
        tokens = [min(amount, TOKENS_MAX) for amount in tokens]
        requests = [min(amount, REQUESTS_MAX) for amount in requests]
    both = [amount << REQUESTS_BITS | count for amount, count in zip(tokens, requests, strict=True)]
    return int.from_bytes(_LANES.pack(*both), "little")


def older(used: int, seconds: int) -> int:
    """The same so many seconds later; what is older than the window is gone."""
    return used << LANE_BITS * seconds & _ALL


def amounts(used: int) -> tuple[list[int], list[int]]:
    """Tokens and requests by age, of an integer or of a sum of several."""
    both = _LANES.unpack((used & _ALL).to_bytes(_LANES.size, "little"))
    return [lane >> REQUESTS_BITS for lane in both], [lane & _REQUESTS for lane in both]


def pack(figures: Iterable[Figures]) -> bytes:
    """The figures as bytes, to be read by `unpack`."""
    heads: list[list[Any]] = []
    parts: list[bytes] = []
    for one in figures:
        heads.append([one.deployment_id, one.in_flight, one.wanted, one.throttled_ms])
        parts.append(one.used.to_bytes(_LANES.size, "little"))
    head = orjson.dumps([VERSION, heads])
    return zlib.compress(len(head).to_bytes(4, "little") + head + b"".join(parts), 1)


def unpack(packed: bytes) -> list[Figures]:
    """What `pack` packed; nothing where it is of another version or cannot be read."""
    try:
        data = zlib.decompress(packed)
        end = 4 + int.from_bytes(data[:4], "little")
        version, heads = orjson.loads(data[4:end])
        if version != VERSION or len(data) != end + _LANES.size * len(heads):
            return []
        found: list[Figures] = []
        for id, in_flight, wanted, throttled_ms in heads:
            start, end = end, end + _LANES.size
            used = int.from_bytes(data[start:end], "little")
            found.append(Figures(id, used, in_flight, wanted, throttled_ms))
    except (ValueError, TypeError, zlib.error):
        return []
    return found
