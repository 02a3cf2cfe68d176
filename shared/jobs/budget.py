"""What training may cost is set aside of its key's budget, and what it did cost is counted there, once.

The entry of `tuning` is written first, then the key's task, then the job: whoever dies between leaves a task that the
timer drops. A job's end is told when it is in the ledger; the task goes when nothing is left to do for the job.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from shared.callers.virtual_key import VirtualKey
from shared.errors import BadRequest, NotFound
from shared.jobs import charging
from shared.jobs.job import Job
from shared.jobs.placing import places, rates
from shared.jobs.work import Means

BYTES_PER_TOKEN = 4
EPOCHS = 3
"""What Azure mostly chooses where a request says nothing, or auto."""


def estimate(means: Means, job: Job, bytes_count: int) -> int:
    """What training on a file of so many bytes may cost, in picodollars: at the dearest resource, all of it as prompts.
    At least 1: what has no price, or one by the hour, needs a budget that is not used up."""
    try:
        found = places(means.router, job.model, job.region)
    except (BadRequest, NotFound):
        return 1  # a model that was fine-tuned here; nobody knows yet what it is
    method = (job.request.get("method") or {}).get("type", "")
    token = max((rates(one.deployment, method).token or 0 for one in found), default=0)
    return max(1, bytes_count // BYTES_PER_TOKEN * epochs(job.request) * token)


def epochs(request: dict[str, Any] | Any) -> int:
    """How often the file is gone through."""
    for hyperparameters in _all(request):
        said = hyperparameters.get("n_epochs")
        if type(said) is int and said > 0:
            return said
    return EPOCHS


async def begin(means: Means, job: Job, key: VirtualKey | None, amount: int) -> Job:
    """Sets money aside for a job that is about to be written; the job. Raises BudgetExceeded, StorageFailed."""
    if key is None or means.tasks is None:
        return job
    await means.tasks.begin(key, job.id, amount)
    return replace(job, budgeted=True)


async def book(means: Means, job: Job) -> None:
    """Tells the key what an ended job has cost. Raises StorageFailed."""
    if job.budgeted and means.tasks is not None:
        await means.tasks.book(job.owner, job.id, _cost(job), whole=True)


async def end(means: Means, job: Job) -> None:
    """Nothing is left to be done for the job. Raises StorageFailed."""
    if job.budgeted and means.tasks is not None:
        await means.tasks.end(job.owner, job.id, _cost(job))


async def drop(means: Means, job_id: str) -> None:
    """The job was never written: what was set aside for it goes back. Raises StorageFailed."""
    owner = await means.store.owner_of(job_id)
    if owner is not None and means.tasks is not None:
        await means.tasks.end(owner, job_id, 0)


def _cost(job: Job) -> int:
    entry = charging.entry(job)
    return 0 if entry is None else entry.cost or 0


def _all(request: Any) -> Iterable[dict[str, Any]]:
    """The hyperparameters of a request, where each of its dialects has them."""
    if isinstance(request, dict):
        method = request.get("method")
        inside = method.get(str(method.get("type"))) if isinstance(method, dict) else None
        for one in (request, inside):
            if isinstance(one, dict) and isinstance(one.get("hyperparameters"), dict):
                yield one["hyperparameters"]
