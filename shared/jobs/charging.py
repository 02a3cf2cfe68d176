"""What training cost, as an entry of the ledger: written when a job has ended, once, whoever writes it how often."""

from __future__ import annotations

from shared.jobs.job import Job
from shared.spend.entry import Entry, Status
from shared.spend.outside import add_lines
from shared.spend.places import day_of
from shared.storage.tables import Table

OPERATION = "fine_tuning_jobs_create"
HOUR_S = 3600.0


def entry(job: Job) -> Entry | None:
    """The entry of an ended job; None when nothing was trained, which is not billed.

    What is billed by the hour rests on how long the job took as a whole, with what it waited: an estimate. A job that
    succeeded and does not say what it trained has no cost that anybody knows.
    """
    tokens = job.seen.get("trained_tokens")
    ended_at = float(job.seen.get("finished_at") or job.since)
    rates = job.rates
    source = rates.source
    cost: int | None = None
    if rates.hour is not None:
        hours = max(ended_at - job.created_at, 0.0) / HOUR_S
        if job.status != "succeeded" and not tokens:
            return None
        cost, source = round(hours * rates.hour), f"{source}+estimate"
    elif tokens is None and job.status == "succeeded":
        tokens = 0
    elif not tokens:
        return None
    elif rates.token is not None:
        cost = tokens * rates.token
    status: Status = "unpriced" if cost is None else "settled"
    return Entry(
        entry_id=job.id,
        operation=OPERATION,
        key_id=job.owner,
        key_alias=job.alias,
        tags=job.tags,
        model=job.model,
        deployment=job.label,
        deployment_id=job.deployment,
        base_model=job.base,
        started_at=job.created_at,
        status=status,
        usage={"prompt": 0, "completion": 0, "training_tokens": int(tokens or 0)},
        cost=cost,
        price_source="none" if cost is None else source,
        http_status=200,
        outcome="ok" if job.status == "succeeded" else job.status,
        ended_at=ended_at,
        duration_ms=round(max(ended_at - job.created_at, 0.0) * 1000, 3),
    )


async def charge(ledger: Table, job: Job) -> None:
    """Enters an ended job under the day on which it was made. Raises StorageFailed; may be repeated."""
    one = entry(job)
    if one is not None:
        await add_lines(ledger, f"{day_of(job.created_at)}_{job.id}", 0, [one])
