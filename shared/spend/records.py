"""How entries are kept in a row: arrays in a fixed order, as JSON, compressed, in properties of at most 64 KiB.

A payload begins with a byte that says its version. Fields are only ever added at the end of an array: a shorter one has
the defaults, what a newer Spillway added is passed over.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import orjson

from shared.errors import StorageFailed
from shared.spend.entry import RANK, STATUSES, Entry
from shared.storage.tables import Row, Value

VERSION = 1
PIECE_BYTES = 60 * 1024
"""Of a property, which may have 64 KiB."""
ROW_BYTES_MAX = 15 * PIECE_BYTES
"""Of an entity, which may have 1 MiB."""
TEXT_CHARS_MAX = 512
"""Of a text; with the most of them in an entry it stays far below a row."""
TAGS_MAX = 32
_LEVEL = 1
_INT_MAX = 2**63 - 1
_NAMES = ("key_id", "key_alias", "model", "deployment", "deployment_id")
_names = attrgetter(*_NAMES)
_FIELDS = (
    *("entry_id", "status", "continued", "operation", "key_id", "key_alias", "tags", "model", "deployment"),
    *("deployment_id", "base_model", "stream", "started_at", "estimate", "reserved", "usage", "cost", "price_source"),
    *("http_status", "code", "outcome", "ended_at", "duration_ms", "first_byte_ms", "request_id"),
)


def encoded(entries: Sequence[Entry], bytes_max: int = ROW_BYTES_MAX) -> list[bytes]:
    """The entries' payloads in order, as few as fit into `bytes_max` each; the same entries give the same payloads."""
    return packed([_array(entry) for entry in entries], bytes_max)


def decoded(payload: bytes) -> list[Entry]:
    """The entries of one payload. Raises StorageFailed for what a newer Spillway wrote."""
    return [_entry(array) for array in unpacked(payload)]


def packed(items: Sequence[Any], bytes_max: int = ROW_BYTES_MAX, level: int = _LEVEL) -> list[bytes]:
    """JSON values as payloads of at most `bytes_max`, in order; [] for none. One that alone is more is kept whole."""
    if not items:
        return []
    payload = bytes([VERSION]) + zlib.compress(written(items), level)
    if len(payload) <= bytes_max or len(items) == 1:
        return [payload]
    half = len(items) // 2
    return packed(items[:half], bytes_max, level) + packed(items[half:], bytes_max, level)


def unpacked(payload: bytes) -> list[Any]:
    """The JSON values of a payload. Raises StorageFailed."""
    if not payload or payload[0] != VERSION:
        raise StorageFailed("The ledger has rows that a newer version of Spillway wrote.")
    try:
        items = orjson.loads(zlib.decompress(memoryview(payload)[1:]))
    except (zlib.error, orjson.JSONDecodeError) as error:
        raise StorageFailed("The ledger has a row that cannot be read.") from error
    return list(items)


def written(value: Any) -> bytes:
    """A value as JSON. What JSON cannot hold must not stop the log: it is mended."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_mended(value))


def storable(entry: Entry) -> Entry:
    """The entry with names as they are written, so that the totals count it under the names that the log has."""
    names = _names(entry)
    short: tuple[Any, ...] = tuple(map(_short, names))
    return entry if short == names else replace(entry, **dict(zip(_NAMES, short, strict=True)))


def properties(payload: bytes) -> dict[str, Value]:
    """A payload as the properties of a row."""
    starts = range(0, len(payload), PIECE_BYTES)
    return {f"d{number}": payload[start : start + PIECE_BYTES] for number, start in enumerate(starts)}


def payload_of(row: Row) -> bytes:
    """The payload in the properties of a row; empty when there is none."""
    pieces: list[bytes] = []
    while isinstance(piece := row.properties.get(f"d{len(pieces)}"), bytes):
        pieces.append(piece)
    return b"".join(pieces)


def entries_of(row: Row) -> list[Entry]:
    """The entries in a row. Raises StorageFailed."""
    payload = payload_of(row)
    return decoded(payload) if payload else []


def _array(entry: Entry) -> list[Any]:
    return [
        entry.entry_id,
        RANK[entry.status],
        entry.continued,
        entry.operation,
        _short(entry.key_id),
        _short(entry.key_alias),
        [_short(tag) for tag in entry.tags[:TAGS_MAX]],
        _short(entry.model),
        _short(entry.deployment),
        _short(entry.deployment_id),
        _short(entry.base_model),
        entry.stream,
        round(entry.started_at, 3),
        _bounded(entry.estimate),
        entry.reserved,
        _bounded(entry.usage),
        entry.cost,
        _short(entry.price_source),
        entry.http_status,
        _short(entry.code),
        entry.outcome,
        round(entry.ended_at, 3),
        entry.duration_ms,
        entry.first_byte_ms,
        _short(entry.request_id),
    ]


def _entry(array: Sequence[Any]) -> Entry:
    values = dict(zip(_FIELDS, array, strict=False))  # shorter or longer: another version wrote it
    rank = values["status"]
    values["status"] = STATUSES[rank] if isinstance(rank, int) and 0 <= rank < len(STATUSES) else "unknown"
    values["tags"] = tuple(values.get("tags") or ())
    return Entry(**values)


def _bounded(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Usage whose texts a caller or an upstream wrote, as the size of an image."""
    return {name: _short(value) if isinstance(value, str) else value for name, value in usage.items()}


def _short(text: str) -> str:
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= TEXT_CHARS_MAX else text[:TEXT_CHARS_MAX]


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return max(min(value, _INT_MAX), -_INT_MAX)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_mended(str(name)): _mended(one) for name, one in value.items()}
    if isinstance(value, Iterable):
        return [_mended(one) for one in value]
    return _mended(str(value))
