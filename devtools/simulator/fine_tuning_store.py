"""The fine-tuning jobs of every resource, and how they move on: a function of the clock, evaluated when they are seen.

validating_files -> queued -> running -> succeeded; and failed, cancelled, paused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from devtools.simulator.authoring import Authoring

ENDED = frozenset({"succeeded", "failed", "cancelled"})
AZURE_STATUSES = {"validating_files": "pending", "queued": "notRunning", "cancelled": "canceled"}
"""OpenAI's words for what the classic surface calls otherwise."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job trains: examples in steps of `batch_size`, for so many epochs, and the tokens of one epoch."""

    examples: int
    tokens: int
    epochs: int
    batch_size: int

    @property
    def steps_per_epoch(self) -> int:
        return max(1, -(-self.examples // self.batch_size))

    @property
    def steps(self) -> int:
        return self.steps_per_epoch * self.epochs


@dataclass(slots=True)
class Job:
    """One job. Times are monotonic seconds; `epoch` added to them gives unix seconds.

    `fields` are what was asked, as they are shown. `since` is when the status began; `trained_s` is training before
    that; `train_s` is what the whole training takes. `left` is when it last stopped running. `invalid` says why the
    files cannot be used.
    """

    id: str
    fields: dict[str, Any]
    base: str
    fine_tuned_model: str
    plan: Plan
    invalid: str | None
    created: float
    epoch: float
    train_s: float
    since: float
    surface: str
    api_version: str
    status: str = "validating_files"
    trained_s: float = 0.0
    left: float = 0.0
    error: dict[str, Any] | None = None
    finished: float | None = None
    result_files: list[str] = field(default_factory=list)
    notes: list[tuple[float, str, str]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def become(self, status: str, at: float, message: str, level: str = "info") -> None:
        """Takes a status at a moment, and notes it as an event."""
        if self.status == "running":
            self.trained_s = min(self.train_s, self.trained_s + at - self.since)
            self.left = at
        self.status, self.since = status, at
        self.notes.append((at, level, message))
        if self.ended:
            self.finished = at

    def steps_done(self, now: float) -> int:
        """The training steps that are done by now."""
        trained = self.trained_s + (now - self.since if self.status == "running" else 0.0)
        share = 1.0 if self.status == "succeeded" else min(1.0, max(0.0, trained) / self.train_s if self.train_s else 1)
        return int(self.plan.steps * share + 1e-9)

    def trained_tokens(self, now: float) -> int:
        """The tokens that were trained by now: those that are charged."""
        return self.plan.tokens * self.plan.epochs * self.steps_done(now) // self.plan.steps

    def due(self, settings: Authoring, running: int, freed: float) -> float | None:
        """When its next change comes by itself; None when it does not. `freed` is when a job last stopped running."""
        if self.status == "validating_files":
            return self.since + settings.job_stage_s
        if self.status == "queued":
            return max(self.since, freed) if running < settings.jobs_running_max else None
        if self.status == "running":
            return self.since + self.train_s - self.trained_s
        return None


class JobStore:
    """Jobs by resource and id, oldest first. An id of another resource is not found."""

    def __init__(self) -> None:
        self._jobs: dict[str, dict[str, Job]] = {}

    def clear(self) -> None:
        self._jobs.clear()

    def put(self, resource: str, job: Job) -> None:
        self._jobs.setdefault(resource, {})[job.id] = job

    def get(self, resource: str, job_id: str) -> Job | None:
        return self._jobs.get(resource, {}).get(job_id)

    def delete(self, resource: str, job_id: str) -> None:
        self._jobs.get(resource, {}).pop(job_id, None)

    def all(self, resource: str) -> list[Job]:
        return list(self._jobs.get(resource, {}).values())

    def counts(self, resource: str, *statuses: str) -> int:
        return sum(job.status in statuses for job in self.all(resource))

    def move_on(self, resource: str, settings: Authoring, now: float, on_end: Callable[[Job], None]) -> None:
        """Makes every change that was due by now, in the order of time; `on_end` learns of jobs that end by it."""
        while True:
            jobs = self.all(resource)
            running = self.counts(resource, "running")
            freed = max((job.left for job in jobs), default=0.0)
            found = [(due, job) for job in jobs if (due := job.due(settings, running, freed)) is not None]
            at, job = min(found, key=lambda one: one[0], default=(now + 1, None))
            if job is None or at > now:
                return
            _change(job, at)
            if job.ended:
                on_end(job)


def _change(job: Job, at: float) -> None:
    if job.status == "validating_files" and job.invalid is not None:
        job.error = {"code": "invalidPayload", "message": job.invalid, "param": "training_file"}
        job.become("failed", at, f"Job failed: {job.invalid}", "error")
    elif job.status == "validating_files":
        job.become("queued", at, "Job enqueued. Waiting for jobs ahead to complete.")
    elif job.status == "queued":
        job.become("running", at, "Job started.")
    else:
        job.become("succeeded", at, "Job succeeded.")
