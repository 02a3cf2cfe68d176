"""The batches of every resource: what was asked, how far each is, and the files that it writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devtools.simulator.batch_check import Check
from devtools.simulator.resources import SettingsError

BATCHES_MAX = 100_000
SETTABLE = frozenset({"held", "expiring", "shown_status"})
ENDED = frozenset({"completed", "failed", "cancelled", "expired"})


@dataclass(slots=True)
class Results:
    """A file of results while it is written."""

    path: Path
    size: int = 0

    def write(self, lines: list[bytes]) -> None:
        data = b"".join(lines)
        with self.path.open("ab") as file:
            file.write(data)
        self.size += len(data)


@dataclass(slots=True)
class Batch:
    """One batch. `since` is when its status began, in monotonic seconds; `epoch` added to such gives unix seconds.

    `check` validates the input, whose own copy is at `input`; `at` is the offset of the first line that is not read
    yet and `waiting` are lines that are read and not answered. `times` are unix seconds by field, `in_progress_at`.
    `tokens` is an estimate of the whole input; as `enqueued_tokens` it counts against the quota of the `deployment`,
    until the batch has ended. `held` stops it where it is, `expiring` ends it as `expired`, `shown_status` is told
    instead of its status.
    """

    id: str
    resource: str
    endpoint: str
    input_file_id: str
    completion_window: str
    metadata: dict[str, str] | None
    output_expiry_s: int | None
    input: Path
    output: Results
    error: Results
    check: Check
    tokens: int
    since: float
    epoch: float
    status: str = "validating"
    times: dict[str, float] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    deployment: str = ""
    enqueued_tokens: int = 0
    total: int = 0
    completed: int = 0
    failed: int = 0
    at: int = 0
    waiting: list[bytes] = field(default_factory=list)
    blocks: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    held: bool = False
    expiring: bool = False
    shown_status: str | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def done(self) -> int:
        """Lines that have their result."""
        return self.completed + self.failed

    def become(self, status: str, at: float) -> None:
        """Takes a status at a moment in monotonic seconds."""
        self.status, self.since = status, at
        self.times[f"{status}_at"] = at + self.epoch
        if self.ended:
            self.enqueued_tokens = 0
            self.waiting.clear()
            self.check.stop()
            self.input.unlink(missing_ok=True)

    def configure(self, settings: dict[str, Any]) -> None:
        """Takes what SETTABLE names. Raises SettingsError."""
        unknown = set(settings) - SETTABLE
        if unknown:
            raise SettingsError(f"unknown batch settings: {', '.join(sorted(unknown))}")
        for name, value in settings.items():
            setattr(self, name, value)

    def to_json(self) -> dict[str, Any]:
        """What a test may want to know of it and the service does not tell."""
        names = ("id", "resource", "deployment", "status", "enqueued_tokens", "total", "completed", "failed")
        return {name: getattr(self, name) for name in (*names, *sorted(SETTABLE))}


class BatchStore:
    """Batches by resource and id, oldest first. An id of another resource is not found."""

    def __init__(self) -> None:
        self._batches: dict[str, dict[str, Batch]] = {}

    def clear(self) -> None:
        """Forgets all; who still holds one finds it held, because its files are gone."""
        for batch in self._everywhere():
            batch.held = True
        self._batches.clear()

    def put(self, batch: Batch) -> None:
        batches = self._batches.setdefault(batch.resource, {})
        batches[batch.id] = batch
        if len(batches) > BATCHES_MAX:
            oldest = next((one for one in batches.values() if one.ended), None)
            if oldest is not None:
                del batches[oldest.id]

    def get(self, resource: str, batch_id: str) -> Batch | None:
        return self._batches.get(resource, {}).get(batch_id)

    def all(self, resource: str) -> list[Batch]:
        return list(self._batches.get(resource, {}).values())

    def open(self) -> list[Batch]:
        """Every batch that has not ended."""
        return [batch for batch in self._everywhere() if not batch.ended]

    def named(self, batch_id: str) -> Batch:
        """The batch of whichever resource; raises KeyError."""
        for batch in self._everywhere():
            if batch.id == batch_id:
                return batch
        raise KeyError(batch_id)

    def enqueued_tokens(self, resource: str, deployment: str) -> int:
        """The tokens that count against the quota of one deployment."""
        return sum(batch.enqueued_tokens for batch in self.all(resource) if batch.deployment == deployment)

    def _everywhere(self) -> Iterator[Batch]:
        for batches in self._batches.values():
            yield from batches.values()
