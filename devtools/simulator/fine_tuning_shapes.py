"""What is told of fine-tuning jobs: the job, its events, its checkpoints, its results file."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from devtools.simulator.authoring import Authoring
from devtools.simulator.exchange import Call
from devtools.simulator.fine_tuning_store import AZURE_STATUSES, Job
from devtools.simulator.surfaces import CLASSIC

CHECKPOINTS_KEPT = 3
EVENT_STEPS_MAX = 100
ROWS_MAX = 2000
COLUMNS = (
    "step", "train_loss", "train_mean_token_accuracy", "valid_loss", "validation_mean_token_accuracy",
    "full_valid_loss", "full_valid_mean_token_accuracy",
)  # fmt: skip


class Shown(NamedTuple):
    """An entry of a list: its id, and how it is sent."""

    id: str
    body: dict[str, Any]


def job(job: Job, call: Call, now: float) -> dict[str, Any]:
    """The job as it is sent on this surface."""
    done = job.status == "succeeded"
    return {
        "object": "fine_tuning.job",
        "id": job.id,
        "created_at": int(job.created + job.epoch),
        "status": _status(job.status, call),
        "error": job.error,
        "fine_tuned_model": job.fine_tuned_model if done else None,
        "finished_at": None if job.finished is None else int(job.finished + job.epoch),
        "organization_id": None,
        "result_files": job.result_files,
        "trained_tokens": job.trained_tokens(now) if job.ended else None,
        "estimated_finish": None,
        **job.fields,
    }


def _status(status: str, call: Call) -> str:
    settings: Authoring = call.resource.authoring
    words = settings.job_statuses
    azure = words == "azure" or (words == "surface" and call.surface == CLASSIC)
    return AZURE_STATUSES.get(status, status) if azure else status


def events(job: Job, now: float) -> list[Shown]:
    """What happened so far, oldest first: the changes, and up to EVENT_STEPS_MAX of the steps."""
    found: list[tuple[float, str, str, dict[str, Any] | None]] = []
    started = next((at for at, _, message in job.notes if message == "Job started."), None)
    steps = job.steps_done(now)
    if started is not None and steps:
        every = max(1, job.plan.steps // EVENT_STEPS_MAX)
        per_step_s = job.train_s / job.plan.steps
        for step in range(every, steps + 1, every):
            message = f"Step {step}: training loss={metrics(job, step)['train_loss']}"
            at = min(started + step * per_step_s, now if job.finished is None else job.finished)
            found.append((at, "info", message, metrics(job, step)))
    found.extend((*note, None) for note in job.notes)
    found.sort(key=lambda one: one[0])
    return [_event(job, at, level, message, data) for at, level, message, data in found]


def _event(job: Job, at: float, level: str, message: str, data: dict[str, Any] | None) -> Shown:
    event_id = f"ftevent-{_digest(job.id, message, at)}"
    return Shown(event_id, {
        "object": "fine_tuning.job.event",
        "id": event_id,
        "created_at": int(at + job.epoch),
        "level": level,
        "message": message,
        "type": "message" if data is None else "metrics",
        "data": data or {},
    })  # fmt: skip


def checkpoints(job: Job, now: float) -> list[Shown]:
    """The last CHECKPOINTS_KEPT epochs that are done, oldest first."""
    per_epoch = job.plan.steps_per_epoch
    epochs = range(1, job.steps_done(now) // per_epoch + 1)
    return [_checkpoint(job, epoch * per_epoch) for epoch in epochs[-CHECKPOINTS_KEPT:]]


def _checkpoint(job: Job, step: int) -> Shown:
    checkpoint_id = f"ftchkpt-{_digest(job.id, 'checkpoint', step)}"
    return Shown(checkpoint_id, {
        "object": "fine_tuning.job.checkpoint",
        "id": checkpoint_id,
        "created_at": int(job.created + job.epoch),
        "fine_tuned_model_checkpoint": f"{job.fine_tuned_model}:ckpt-step-{step}",
        "fine_tuning_job_id": job.id,
        "step_number": step,
        "metrics": metrics(job, step),
    })  # fmt: skip


def metrics(job: Job, step: int) -> dict[str, Any]:
    """The figures of one step, a function of the job and the step."""
    progress = step / job.plan.steps
    noise = int(_digest(job.id, "noise", step)[:4], 16) / 0xFFFF / 10
    loss = round(2.0 - 1.6 * progress + noise, 4)
    accuracy = round(min(0.99, 0.5 + 0.45 * progress - noise / 10), 4)
    found = {"step": step, "train_loss": loss, "train_mean_token_accuracy": accuracy}
    if job.fields["validation_file"]:
        found |= {
            "valid_loss": round(loss * 1.1, 4), "valid_mean_token_accuracy": round(accuracy * 0.95, 4),
            "full_valid_loss": round(loss * 1.05, 4), "full_valid_mean_token_accuracy": round(accuracy * 0.97, 4),
        }  # fmt: skip
    return found


def results(job: Job) -> bytes:
    """`results.csv`: a row a step, or fewer where they would be more than ROWS_MAX."""
    rows = [",".join(COLUMNS)]
    for step in range(1, job.plan.steps + 1, -(-job.plan.steps // ROWS_MAX)):
        found = metrics(job, step)
        found["validation_mean_token_accuracy"] = found.get("valid_mean_token_accuracy", "")
        rows.append(",".join(str(found.get(column, "")) for column in COLUMNS))
    return ("\n".join(rows) + "\n").encode()


def _digest(*parts: object) -> str:
    return hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=16).hexdigest()
