"""What is to be done when a job has ended: its results are copied, its tokens entered, its files removed."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace

from shared.errors import NotFound
from shared.files.blocks import BlockWriter
from shared.files.identity import FILE, Owner, new_id
from shared.files.stored_file import StoredFile
from shared.jobs import budget, charging
from shared.jobs.job import Job
from shared.jobs.placing import of_resource
from shared.jobs.work import Means, Work
from shared.upstream.deployment import Deployment

PURPOSE = "fine-tune-results"
FILENAME = "results.csv"
_SALT = "00000000"
GIVE_UP = 12
"""After so many failures, hours apart at the end, what a resource does not give is given up."""


class Ending:
    """The steps after a job's end. Each raises Lost, StorageFailed, and what is to be tried again."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def step(self, work: Work) -> None:
        """Does what is next: first what costs money."""
        job, means = work.job, self._means
        if not job.entered:
            await charging.charge(means.ledger, job)
            await budget.book(means, job)
            await work.save(replace(job, entered=True, trouble=0))
        elif not job.copied:
            await self._copy(work)
        else:
            await self._clean(work)

    async def _copy(self, work: Work) -> None:
        """Copies the files of results into ours, under ids that are stored before."""
        job, means = work.job, self._means
        if any(not ours for _, ours in job.results) or not job.holder:
            named = tuple((theirs, ours or self._new_id(job)) for theirs, ours in job.results)
            await work.save(replace(job, results=named))
            job = work.job
        deployment = of_resource(means.router, job.deployment, job.resource)
        if deployment is None or job.trouble >= GIVE_UP:
            await work.save(replace(job, results=(), copied=True, trouble=0))
            return
        kept: list[tuple[str, str]] = []
        async with means.heavy:
            for number, (theirs, ours) in enumerate(job.results):
                try:
                    await work.keeping(self._copied(deployment, job, theirs, ours, number))
                except NotFound:
                    continue
                kept.append((theirs, ours))
        await work.save(replace(work.job, results=tuple(kept), copied=True, trouble=0))

    def _new_id(self, job: Job) -> str:
        return new_id(FILE, Owner(job.owner), self._means.clock(), self._means.random_bytes)

    async def _copied(self, deployment: Deployment, job: Job, theirs: str, ours: str, number: int) -> None:
        means = self._means
        writer = BlockWriter(means.files.storage.blobs, ours, _SALT, means.supervisor)
        try:
            async with aclosing(means.resources.content(deployment, theirs)) as chunks:
                async for chunk in chunks:
                    await writer.write(chunk)
            block_ids = await writer.flush()
        except BaseException:
            await writer.abandon()
            raise
        name = FILENAME if number == 0 else f"results-{number + 1}.csv"
        now = int(means.clock())
        file = StoredFile(ours, job.owner, name, PURPOSE, writer.bytes_count, now, content_type="text/csv")
        await means.files.commit(file, block_ids)
        await means.files.publish(file)

    async def _clean(self, work: Work) -> None:
        """Removes what was uploaded for the job."""
        job, means = work.job, self._means
        deployment = of_resource(means.router, job.deployment, job.resource) if job.resource else None
        if deployment is not None and job.trouble < GIVE_UP:
            for theirs in job.files.values():
                await means.resources.delete(deployment, theirs)
        await work.save(replace(job, cleaned=True, trouble=0))
