"""What a resource tells of a job, in OpenAI's words and without its own ids. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

STATUSES = {
    "validatingfiles": "validating_files",
    "pending": "validating_files",
    "created": "validating_files",
    "notrunning": "queued",
    "queued": "queued",
    "running": "running",
    "pausing": "running",
    "resuming": "queued",
    "paused": "paused",
    "succeeded": "succeeded",
    "completed": "succeeded",
    "failed": "failed",
    "canceling": "running",
    "cancelling": "running",
    "canceled": "cancelled",
    "cancelled": "cancelled",
}
"""Azure's and OpenAI's words without case and underscores. One that is not here means that the job is under way."""
KEPT = ("fine_tuned_model", "hyperparameters", "method", "seed", "trainingType", "error", "trained_tokens")
_NAMES = re.compile(r"(?<![\w.-])(?:file-[A-Za-z0-9_-]{4,}|ftjob-[A-Za-z0-9_-]{4,}|ft-[0-9a-f]{24,})")


@dataclass(frozen=True, slots=True)
class Seen:
    """A job at its resource: its id there, what is told of it, the file that it trains with and those of its results.
    `created_at` is in seconds since 1970, 0 when it is not told."""

    job: str
    told: Mapping[str, Any]
    training: str
    results: tuple[str, ...]
    created_at: float

    @property
    def status(self) -> str:
        return str(self.told["status"])


def seen_of(payload: Any) -> Seen | None:
    """A job as a resource sends it, None for anything else."""
    if not isinstance(payload, dict) or not isinstance(payload.get("id"), str) or not payload["id"]:
        return None
    told: dict[str, Any] = {name: payload[name] for name in KEPT if payload.get(name) is not None}
    told["status"] = status_of(payload.get("status"))
    told |= {name: int(at) for name in ("finished_at", "estimated_finish") if (at := _seconds(payload.get(name)))}
    tokens = told.pop("trained_tokens", None)
    if type(tokens) is int and tokens >= 0:
        told["trained_tokens"] = tokens
    if not (error := told.pop("error", None)) or not isinstance(error, dict) or not error.get("message"):
        error = None  # OpenAI sends one whose fields are null, Azure none
    told["error"] = error
    if told["status"] != "succeeded":
        told.pop("fine_tuned_model", None)
    files = payload.get("result_files")
    results = tuple(str(one) for one in files if isinstance(one, str) and one) if isinstance(files, list) else ()
    training = payload.get("training_file")
    return Seen(
        payload["id"], told, training if isinstance(training, str) else "", results, _seconds(payload.get("created_at"))
    )


def status_of(written: Any) -> str:
    """A status in OpenAI's words."""
    return STATUSES.get(str(written or "").replace("_", "").lower(), "running")


def scrubbed(value: Any, known: Mapping[str, str]) -> Any:
    """JSON with the ids of a resource replaced: by ours where `known` has them, else by a dash."""
    if isinstance(value, str):
        return _NAMES.sub(lambda found: known.get(found[0], "-"), value)
    if isinstance(value, list):
        return [scrubbed(one, known) for one in value]
    if isinstance(value, dict):
        return {name: scrubbed(one, known) for name, one in value.items()}
    return value


def _seconds(written: Any) -> float:
    """A time in seconds since 1970, however it is written; 0 for none."""
    if isinstance(written, bool) or written is None:
        return 0.0
    if isinstance(written, int | float):
        return float(written)
    try:
        return datetime.fromisoformat(str(written)).timestamp()
    except ValueError:
        return 0.0
