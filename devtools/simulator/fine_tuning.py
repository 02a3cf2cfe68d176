"""`fine_tuning/jobs`: create, list, retrieve, cancel, pause, resume, delete, events, checkpoints."""

from __future__ import annotations

import re

from devtools.simulator import (
    authoring_errors,
    errors,
    files,
    fine_tuning_rules,
    fine_tuning_run,
    fine_tuning_shapes,
    pages,
)
from devtools.simulator.exchange import Call, Reply
from devtools.simulator.files_store import StoredFile
from devtools.simulator.fine_tuning_store import Job, Plan
from devtools.simulator.models import Model

STEPS_MAX = 10_000
LIST_LIMIT, LIST_LIMIT_MAX = 20, 100
CHARS_PER_TOKEN = 4
SUFFIX = re.compile(r"[A-Za-z0-9_-]{1,40}")
OPEN = ("validating_files", "queued", "running", "paused")


async def serve_create(call: Call) -> Reply:
    """`POST fine_tuning/jobs` with `model`, `training_file` and more; raises AzureError."""
    body = files.body_of(call)
    base = fine_tuning_rules.base_of(body.get("model"))
    if body.get("training_file") is None:
        raise errors.missing_parameter("training_file")
    training = _file(call, str(body["training_file"]))
    if body.get("validation_file"):
        _file(call, str(body["validation_file"]))
    suffix = body.get("suffix")
    if suffix is not None and not (isinstance(suffix, str) and SUFFIX.fullmatch(suffix)):
        raise authoring_errors.invalid_payload(f"Invalid suffix: '{suffix}'.")
    method = fine_tuning_rules.method_of(body)
    given = fine_tuning_rules.hyperparameters_of(body, method)
    examples, invalid = await fine_tuning_rules.examples_of(training, call.resource.authoring.job_examples_min)
    hyperparameters = fine_tuning_rules.settled(given, examples)
    plan = Plan(examples, training.bytes // CHARS_PER_TOKEN, hyperparameters["n_epochs"], hyperparameters["batch_size"])
    if plan.steps > STEPS_MAX:
        raise authoring_errors.invalid_payload(f"The job would have more than {STEPS_MAX} steps.")
    _settle(call)
    _check_quotas(call)
    job = _made(call, base, plan, invalid)
    job.fields = {
        "model": f"{base.name}-{base.version}",
        "training_file": training.id,
        "validation_file": body.get("validation_file") or None,
        "hyperparameters": hyperparameters,
        "method": {"type": method, method: {"hyperparameters": hyperparameters}},
        "seed": body.get("seed") if isinstance(body.get("seed"), int) else 1_234_567,
        "user_provided_suffix": suffix,
        "integrations": body.get("integrations") or [],
        "metadata": files.metadata_of(body),
        **({"trainingType": body["trainingType"]} if body.get("trainingType") else {}),
    }
    if suffix:
        job.fine_tuned_model += f"-{suffix}"
    call.world.jobs.put(call.resource.name, job)
    return files.created(call, f"fine_tuning/jobs/{job.id}", fine_tuning_shapes.job(job, call, call.world.now()))


def _made(call: Call, base: Model, plan: Plan, invalid: str | None) -> Job:
    now = call.world.now()
    return Job(
        id=call.world.hex_id("ftjob-", 32),
        fields={},
        base=base.name,
        fine_tuned_model=call.world.hex_id(f"{base.name}-{base.version}.ft-", 32),
        plan=plan,
        invalid=invalid,
        created=now,
        epoch=call.world.time() - now,
        train_s=call.resource.authoring.job_train_s,
        since=now,
        surface=call.surface,
        api_version=call.api_version,
    )


async def serve_list(call: Call) -> Reply:
    """`GET fine_tuning/jobs`, with `after` and `limit`, newest first."""
    _settle(call)
    jobs = call.world.jobs.all(call.resource.name)
    some, more = pages.page(jobs, call.request.query, limit=LIST_LIMIT, limit_max=LIST_LIMIT_MAX)
    now = call.world.now()
    return files.answer(pages.listing([fine_tuning_shapes.job(job, call, now) for job in some], more))


async def serve_one(call: Call) -> Reply:
    """`GET fine_tuning/jobs/{id}`."""
    return _shown(call, _find(call))


async def serve_cancel(call: Call) -> Reply:
    """`POST fine_tuning/jobs/{id}/cancel`: what was trained is charged."""
    job = _find(call)
    if job.status not in OPEN:
        raise authoring_errors.conflict(f"The job '{job.id}' has the status '{job.status}' and cannot be cancelled.")
    job.become("cancelled", call.world.now(), "Job cancelled.")
    fine_tuning_run.charge(call.world, call.resource.name, job)
    return _shown(call, job)


async def serve_pause(call: Call) -> Reply:
    """`POST fine_tuning/jobs/{id}/pause`: of a job that runs and has a step done."""
    job, now = _find(call), call.world.now()
    if job.status != "running" or job.steps_done(now) < 1:
        raise authoring_errors.conflict(f"The job '{job.id}' must be running, with one step done, to be paused.")
    job.become("paused", now, "Job paused.")
    return _shown(call, job)


async def serve_resume(call: Call) -> Reply:
    """`POST fine_tuning/jobs/{id}/resume`: it queues again."""
    job = _find(call)
    if job.status != "paused":
        raise authoring_errors.conflict(f"The job '{job.id}' has the status '{job.status}' and cannot be resumed.")
    job.become("queued", call.world.now(), "Job resumed.")
    _settle(call)
    return _shown(call, job)


async def serve_delete(call: Call) -> Reply:
    """`DELETE fine_tuning/jobs/{id}` of a job that has ended: 204."""
    job = _find(call)
    if not job.ended:
        raise authoring_errors.conflict(f"The job '{job.id}' has the status '{job.status}' and cannot be deleted.")
    call.world.jobs.delete(call.resource.name, job.id)
    return Reply(204)


async def serve_events(call: Call) -> Reply:
    """`GET fine_tuning/jobs/{id}/events`, newest first."""
    return _listed(call, fine_tuning_shapes.events(_find(call), call.world.now()))


async def serve_checkpoints(call: Call) -> Reply:
    """`GET fine_tuning/jobs/{id}/checkpoints`, newest first."""
    return _listed(call, fine_tuning_shapes.checkpoints(_find(call), call.world.now()))


def _listed(call: Call, entries: list[fine_tuning_shapes.Shown]) -> Reply:
    some, more = pages.page(entries, call.request.query, limit=LIST_LIMIT, limit_max=LIST_LIMIT_MAX)
    return files.answer(pages.listing([entry.body for entry in some], more))


def _settle(call: Call) -> None:
    fine_tuning_run.settle(call.world, call.resource.name)


def _find(call: Call) -> Job:
    """The job as it is by now; raises AzureError 404."""
    _settle(call)
    job = call.world.jobs.get(call.resource.name, call.params["id"])
    if job is None:
        raise authoring_errors.not_found("fine-tuning job", call.params["id"])
    return job


def _shown(call: Call, job: Job) -> Reply:
    return files.answer(fine_tuning_shapes.job(job, call, call.world.now()))


def _file(call: Call, file_id: str) -> StoredFile:
    file = files.find(call, file_id)
    if file.purpose != "fine-tune":
        raise authoring_errors.invalid_payload(f"The file '{file.id}' must have the purpose 'fine-tune'.")
    if call.world.time() < file.ready_at:
        raise authoring_errors.invalid_payload(f"The file '{file.id}' is not processed yet.")
    return file


def _check_quotas(call: Call) -> None:
    settings, jobs, name = call.resource.authoring, call.world.jobs, call.resource.name
    if jobs.counts(name, "validating_files", "queued") >= settings.jobs_queued_max:
        raise authoring_errors.quota_exceeded(f"The limit of {settings.jobs_queued_max} queued jobs is reached.")
    if len(jobs.all(name)) >= settings.jobs_max:
        raise authoring_errors.quota_exceeded(f"The limit of {settings.jobs_max} jobs in total is reached.")
