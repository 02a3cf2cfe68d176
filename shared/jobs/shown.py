"""Fine-tuning jobs as OpenAI's API shows them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.jobs.job import Job
from shared.jobs.seen import scrubbed

_TOLD = ("hyperparameters", "method", "seed", "trainingType")
"""As the resource has it, else as it was asked for."""


def job_shown(job: Job) -> dict[str, Any]:
    """The job; its ids are ours. `spillway` says which deployment's resource has it."""
    seen = job.seen
    told = {name: seen.get(name, job.request.get(name)) for name in _TOLD}
    shown: dict[str, Any] = {
        "object": "fine_tuning.job",
        "id": job.id,
        "created_at": int(job.created_at),
        "status": job.status,
        "model": job.model,
        "fine_tuned_model": seen.get("fine_tuned_model"),
        "finished_at": seen.get("finished_at"),
        "estimated_finish": seen.get("estimated_finish"),
        "error": _error(job),
        "training_file": job.training,
        "validation_file": job.validation or None,
        "result_files": [ours for _, ours in job.results] if job.copied else [],
        "trained_tokens": seen.get("trained_tokens"),
        "organization_id": "",
        "integrations": job.request.get("integrations") or [],
        "metadata": job.request.get("metadata"),
        "user_provided_suffix": job.request.get("suffix"),
        **{name: value for name, value in told.items() if value is not None},
    }
    shown.setdefault("hyperparameters", {})
    shown.setdefault("seed", 0)
    if job.label:
        shown["spillway"] = {"deployment": job.label, "model_id": job.deployment}
    return shown


def known_ids(job: Job) -> dict[str, str]:
    """The resource's ids of a job, with ours for them."""
    ours = {"training": job.training, "validation": job.validation}
    ids = {theirs: ours[which] for which, theirs in job.files.items()}
    ids |= dict(job.results)
    return ids | {job.job: job.id} if job.job else ids


def events_shown(job: Job, payload: Mapping[str, Any]) -> dict[str, Any]:
    """A page of a job's events."""
    known = known_ids(job)
    data = _data(payload)
    for one in data:
        one |= {name: scrubbed(one[name], known) for name in ("message", "data") if name in one}
    return _list(payload, data)


def checkpoints_shown(job: Job, payload: Mapping[str, Any]) -> dict[str, Any]:
    """A page of a job's checkpoints."""
    return _list(payload, [{**one, "fine_tuning_job_id": job.id} for one in _data(payload)])


def empty() -> dict[str, Any]:
    """A page of nothing."""
    return {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


def _error(job: Job) -> dict[str, Any] | None:
    error = job.seen.get("error")
    if not isinstance(error, dict):
        return None
    told = {name: error.get(name) for name in ("code", "message", "param")}
    return dict(scrubbed({**told, "code": told["code"] or "failed"}, known_ids(job)))


def _data(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    data = payload.get("data")
    return [dict(one) for one in data if isinstance(one, dict)] if isinstance(data, list) else []


def _list(payload: Mapping[str, Any], data: list[dict[str, Any]]) -> dict[str, Any]:
    ids = [one.get("id") for one in data]
    edges = {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}
    return {"object": "list", "data": data, **edges, "has_more": bool(payload.get("has_more"))}
