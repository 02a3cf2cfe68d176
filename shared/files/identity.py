"""Ids of files, uploads, batches and fine-tuning jobs, and where in a table their rows are. Pure.

    file-<48 bits: milliseconds since 1970><32 bits: owner><48 bits: random>      32 hex digits

A row is in its owner's partition, newest first, and both are read off the id: no index, and any instance finds it.
The owner's bits only say where to look; whose a row is stands in the row.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from shared.seal import tag

FILE, UPLOAD, BATCH, JOB = "file", "upload", "batch", "ftjob"
_WRITTEN = {FILE: "file-", UPLOAD: "upload_", BATCH: "batch_", JOB: "ftjob-"}
_ID = re.compile(r"(file-|upload_|batch_|ftjob-)([0-9a-f]{12})([0-9a-f]{8})([0-9a-f]{12})")
_KINDS = {written: kind for kind, written in _WRITTEN.items()}
_LATEST = 0xFFFFFFFFFFFF


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose things are meant: those of a key, by its `key_id`; one that `sees_all` opens everybody's."""

    key_id: str
    sees_all: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row is."""

    partition: str
    key: str


def new_id(kind: str, owner: Owner, now: float, random_bytes: Callable[[int], bytes]) -> str:
    """An id for a FILE, an UPLOAD, a BATCH or a JOB of this owner; `now` is in seconds since 1970."""
    return f"{_WRITTEN[kind]}{int(now * 1000):012x}{_bits(owner)}{random_bytes(6).hex()}"


def place_of(kind: str, our_id: str) -> Place | None:
    """Where the row of an id is, None for what is no id of this kind."""
    found = _ID.fullmatch(our_id)
    if found is None or _KINDS[found[1]] != kind:
        return None
    return Place(f"{kind}_{found[3]}", f"{_LATEST - int(found[2], 16):012x}{found[4]}")


def partition_of(kind: str, owner: Owner) -> str:
    """The partition of an owner's rows; rarely, another owner has the same."""
    return f"{kind}_{_bits(owner)}"


def hex_of(our_id: str) -> str:
    """The 32 hex digits of an id."""
    return our_id[-32:]


def made_at(our_id: str) -> float:
    """When an id was given, in seconds since 1970."""
    return int(our_id[-32:-20], 16) / 1000


def _bits(owner: Owner) -> str:
    return tag(owner.key_id)[:4].hex()
