"""The rows of fine-tuning jobs, in table `spillwayjobs`.

    ftjob_{owner}     {newest first}     the document of a job
    tuning            {name}             jobs for which something is still to be done

The entry of `tuning` is written before the job and before money is set aside for it, and removed when nothing is left
to do: a timer that finds none has asked once. The table's other partitions are those of responses that go on after
their reply.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

from shared.callers.caller import MASTER
from shared.errors import BadRequest, NotFound
from shared.files.identity import JOB, Owner, Place, partition_of, place_of
from shared.jobs.job import Job, decoded, encoded
from shared.spend import records
from shared.storage.tables import Row, Table

OPEN = "tuning"
OPEN_MAX = 1000
"""Jobs that a run of the timer looks at; Azure takes 20 at a resource."""
ROWS_MAX = 20_000
"""Rows that one page is looked for in."""
_ALL = (f"{JOB}_", f"{JOB}_g")


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs, the newest first; `has_more`: there are older ones."""

    jobs: list[Job]
    has_more: bool


class JobStore:
    """Reads and writes them. Every method raises StorageFailed and may be repeated."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def insert(self, job: Job) -> None:
        """Writes a new job, which was noted before. Its id is given once, so one that is there is this one."""
        await self._table.insert(_row(job))

    async def load(self, job_id: str) -> tuple[Job, str] | None:
        """A job and its ETag."""
        place = place_of(JOB, job_id)
        row = None if place is None else await self._table.get(place.partition, place.key)
        return None if row is None else (job_of(row), row.etag)

    async def find(self, owner: Owner, job_id: str) -> tuple[Job, str]:
        """A job that the owner may see, and its ETag. Raises NotFound."""
        found = await self.load(job_id)
        if found is None or found[0].id != job_id or not _may_see(owner, found[0]):
            raise NotFound("No such fine-tuning job.", param="fine_tuning_job_id")
        return found

    async def save(self, job: Job, etag: str) -> str | None:
        """Writes a job in place of the one with this ETag, and gives its new one; None when that was changed."""
        return await self._table.swap(_row(job), etag)

    async def note(self, job: Job) -> None:
        """Writes which resource a job is at."""
        await self._table.put(Row(OPEN, job.name, {"id": job.id, "owner": job.owner, "resource": job.resource}))

    async def busy(self) -> Counter[str]:
        """How many jobs each resource has."""
        return Counter(str(row.properties["resource"]) for row in await self._table.rows(OPEN, OPEN_MAX))

    async def open(self) -> list[str]:
        """The ids of jobs for which something is still to be done, the oldest first."""
        return [str(row.properties["id"]) for row in await self._table.rows(OPEN, OPEN_MAX)]

    async def owner_of(self, job_id: str) -> str | None:
        """Whose job an entry of `tuning` is about, None when there is no such entry."""
        row = await self._table.get(OPEN, job_id[-32:])
        return None if row is None else str(row.properties["owner"])

    async def close_entry(self, job_id: str) -> None:
        """Nothing is left to be done for a job."""
        await self._table.remove(OPEN, job_id[-32:])

    async def remove(self, job: Job) -> None:
        """Removes a job that its caller was refused."""
        place = _place(job.id)
        await self._table.remove(place.partition, place.key)

    async def page(self, owner: Owner, after: str | None, limit: int, metadata: dict[str, str]) -> Page:
        """The owner's jobs behind `after` that have this metadata. Raises BadRequest."""
        jobs: list[Job] = []
        async for job in self._jobs(owner, after):
            told = job.request.get("metadata") or {}
            if _may_see(owner, job) and all(told.get(name) == value for name, value in metadata.items()):
                if len(jobs) == limit:
                    return Page(jobs, True)
                jobs.append(job)
        return Page(jobs, False)

    async def tuned(self, owner: Owner, model: str) -> Job | None:
        """The owner's job whose training made this model. Raises BadRequest."""
        async for job in self._jobs(owner, None):
            if _may_see(owner, job) and job.seen.get("fine_tuned_model") == model:
                return job
        return None

    async def close(self) -> None:
        """Lets the storage account's connections go."""
        await self._table.close()

    async def _jobs(self, owner: Owner, after: str | None) -> AsyncIterator[Job]:
        place = None if after is None else place_of(JOB, after)
        if after is not None and place is None:
            raise BadRequest("Invalid 'after': it is no id of a fine-tuning job.", param="after", code="invalid_value")
        count = 200
        for _ in range(ROWS_MAX // count):
            if owner.sees_all:
                rows = await self._table.scan(*_ALL, count, after=(place.partition, place.key) if place else None)
            else:
                rows = await self._table.rows(partition_of(JOB, owner), count, after=place.key if place else "")
            for row in rows:
                yield job_of(row)
            if len(rows) < count:
                return
            place = Place(rows[-1].partition, rows[-1].key)


def owner_of(job: Job) -> Owner:
    """Whose files a job may train with: its owner's; who holds the master key sees everybody's."""
    return Owner(job.owner, sees_all=job.owner == MASTER.key_id)


def job_of(row: Row) -> Job:
    """The job of a row."""
    return decoded(records.payload_of(row))


def _row(job: Job) -> Row:
    place = _place(job.id)
    told = {"id": job.id, "owner": job.owner, "state": job.state}
    return Row(place.partition, place.key, told | records.properties(encoded(job)))


def _place(job_id: str) -> Place:
    place = place_of(JOB, job_id)
    assert place is not None
    return place


def _may_see(owner: Owner, job: Job) -> bool:
    return not job.hidden and (owner.sees_all or job.owner == owner.key_id)
