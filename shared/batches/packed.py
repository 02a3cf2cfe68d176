"""A batch as the bytes of its row: JSON, compressed. Pure."""

from __future__ import annotations

import base64
import zlib
from dataclasses import MISSING, fields
from typing import Any

import orjson

from shared.batches.document import Batch, Mark, Shard


def encoded(batch: Batch) -> bytes:
    """The document as bytes; only what differs from its default is written."""
    written = _written(batch)
    written["shards"] = [_shard_written(one) for one in batch.shards]
    return zlib.compress(orjson.dumps(written), 1)


def decoded(payload: bytes) -> Batch:
    """The batch of a document. Fields that a newer Spillway added are passed over."""
    values = _known(Batch, orjson.loads(zlib.decompress(payload)))
    values["shards"] = tuple(_shard_read(one) for one in values.get("shards", ()))
    for name in ("tags", "errors"):
        values[name] = tuple(values.get(name, ()))
    return Batch(**values)


def _written(one: Any) -> dict[str, Any]:
    told = ((known, getattr(one, known.name)) for known in fields(one))
    return {known.name: value for known, value in told if known.default is MISSING or value != known.default}


def _shard_written(shard: Shard) -> dict[str, Any]:
    written = _written(shard)
    if "mark" in written:
        mark = _written(shard.mark)
        written["mark"] = mark | {name: _packed(mark[name]) for name in ("seen", "again") if name in mark}
    return written


def _shard_read(values: dict[str, Any]) -> Shard:
    if "mark" in values:
        mark = _known(Mark, values["mark"])
        values["mark"] = Mark(**mark | {name: _unpacked(mark[name]) for name in ("seen", "again") if name in mark})
    if "left" in values:
        values["left"] = tuple(values["left"])
    return Shard(**_known(Shard, values))


def _known(kind: Any, values: dict[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {name: value for name, value in values.items() if name in names}


def _packed(bits: bytes) -> str:
    return base64.b85encode(zlib.compress(bits, 1)).decode() if bits else ""


def _unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b85decode(text)) if text else b""
