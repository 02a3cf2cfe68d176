"""A batch as its resource tells it, its quirks straightened. Pure.

Azure was seen to write statuses with a capital letter, times as ISO 8601 texts, ids of files as "" where there is none,
and null for counts (REST samples of its batch page). A status that nobody knows is one of a batch that goes on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.batches.document import ENDED, ERRORS_MAX

FULL = "token_limit_exceeded"
_LIMIT = re.compile(r"Limit: ([\d,]+) enqueued tokens")
NAME = "spillway"
"""The metadata of a batch at a resource that says which shard it is."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A batch at a resource: lower-case words, times in seconds since 1970, "" for an id that it lacks. `name` is that
    of the shard, "" for a batch of somebody else's. `tokens` is what it counts against the quota and `limit` the quota,
    where the resource says so."""

    job: str
    status: str
    input_file: str = ""
    output: str = ""
    error: str = ""
    total: int = 0
    completed: int = 0
    failed: int = 0
    errors: tuple[Mapping[str, Any], ...] = ()
    name: str = ""
    created_at: float = 0.0
    tokens: int | None = None
    limit: int | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED


def seen_of(payload: Any) -> Seen | None:
    """The batch of an answer, None for what is no batch."""
    if not isinstance(payload, dict) or not isinstance(payload.get("id"), str) or not payload["id"]:
        return None
    counts = payload.get("request_counts")
    counts = counts if isinstance(counts, dict) else {}
    metadata = payload.get("metadata")
    return Seen(
        job=payload["id"],
        status=_text(payload.get("status")).lower(),
        input_file=_text(payload.get("input_file_id")),
        output=_text(payload.get("output_file_id")),
        error=_text(payload.get("error_file_id")),
        total=_count(counts.get("total")),
        completed=_count(counts.get("completed")),
        failed=_count(counts.get("failed")),
        errors=_errors(payload.get("errors")),
        name=_text(metadata.get(NAME)) if isinstance(metadata, dict) else "",
        created_at=seconds_of(payload.get("created_at")) or 0.0,
    )


def quota_of(errors: Sequence[Mapping[str, Any]]) -> int | None:
    """The enqueued-token quota that an error names: "Limit: 90,000 enqueued tokens"."""
    found = next((limit for one in errors if (limit := _LIMIT.search(str(one.get("message"))))), None)
    return None if found is None else int(found[1].replace(",", ""))


def seconds_of(value: Any) -> float | None:
    """A time that is a number or an ISO 8601 text, in seconds since 1970."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _errors(errors: Any) -> tuple[Mapping[str, Any], ...]:
    data = errors.get("data") if isinstance(errors, dict) else errors
    return tuple(one for one in data if isinstance(one, dict))[:ERRORS_MAX] if isinstance(data, list) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return value if type(value) is int and value >= 0 else 0
