"""Moves fine-tuning jobs on, one step after the other: for their callers while they wait, and for the timer.

Any number of drivers may be at it, on any instances. One holds a job while it works on it; whoever is killed is
followed by another within LEASE_S seconds. Each step is stored before the one that relies on it, and each may be done
twice.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace

from shared.errors import BadRequest, NotFound, SpillwayError, StorageFailed
from shared.files.identity import JOB
from shared.jobs import budget
from shared.jobs.ending import Ending
from shared.jobs.job import ENDED, Job
from shared.jobs.placing import of_resource
from shared.jobs.seen import Seen
from shared.jobs.sending import Sending
from shared.jobs.work import LEASE_S, Lost, Means, Work
from shared.upstream.deployment import Deployment

log = logging.getLogger("spillway")

POLL_S = 15.0
"""A job at a resource is asked about at most so often by the timer, and at most every LOOK_S for its caller."""
LOOK_S = 1.0
PAUSE_S, PAUSE_MAX_S = 2.0, 600.0
NAP_S = 2.0
"""What is due within so much is waited for."""
AT_ONCE = 4
RUN_S = 200.0
STEPS_MAX = 100
ORPHAN_S = 600.0
"""An entry of a job that was not written by then never gets one."""


class Driver:
    """Moves jobs on. Belongs to the running event loop."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._sending = Sending(means)
        self._ending = Ending(means)
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> int:
        """One run of the timer: every job for which something is to be done, for RUN_S at most; how many there are.
        Raises StorageFailed."""
        jobs = await self._means.store.open()
        gate = asyncio.Semaphore(AT_ONCE)
        until = self._means.clock() + RUN_S

        async def one(job_id: str) -> None:
            async with gate:
                if self._means.clock() < until:
                    await self.move(job_id, until)

        tasks = {self._means.supervisor.start(one(job_id), "fine-tuning job") for job_id in jobs}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=RUN_S + LEASE_S)
            for task in late:
                task.cancel()
        return len(jobs)

    async def move(self, job_id: str, until: float, *, look: bool = False) -> None:
        """Moves a job on until nothing is due, or until then; what fails is tried again later. Who is at it already is
        waited for. `look`: its caller asks how far it is. Raises Unavailable when this instance is full."""
        task = self._under_way.get(job_id)
        if task is None:
            task = self._means.supervisor.start(self._moved(job_id, until, look=look), "fine-tuning job")
            self._under_way[job_id] = task
            task.add_done_callback(lambda _: self._under_way.pop(job_id, None))
        await asyncio.wait({task}, timeout=max(until - self._means.clock(), 0.0))

    async def _moved(self, job_id: str, until: float, *, look: bool) -> None:
        try:
            await self._steps(job_id, until, look=look)
        except Lost:
            log.info("a fine-tuning job was taken over by another instance, or changed by its caller")
        except StorageFailed as error:
            log.warning("a fine-tuning job could not be moved on (%s); the next run tries again", error.code)
        except Exception:
            log.exception("a fine-tuning job could not be moved on; the next run tries again")

    async def _steps(self, job_id: str, until: float, *, look: bool) -> None:
        means = self._means
        found = await means.store.load(job_id)
        if found is None:
            if means.clock() - int(job_id[-32:-20], 16) / 1000 > ORPHAN_S:
                await budget.drop(means, job_id)
                await means.store.close_entry(job_id)
            return
        work = Work(means, *found)
        if work.job.holder not in ("", means.worker) and work.job.held_until > means.clock():
            return
        started = means.clock()
        work.job = _taken_over(work.job, started)
        for _ in range(STEPS_MAX):
            job, now = work.job, means.clock()
            if job.over:
                await self._close(job)
                return
            if job.state == "open" and job.asked_at >= started and not job.stop:
                break  # its resource has just told of it
            due = now if look and job.state == "open" and now - job.asked_at >= LOOK_S else job.due
            if due - now > NAP_S or max(due, now) >= until:
                break
            if due > now:
                await means.sleep(due - now)
            await self._step(work)
        if work.job.holder:
            await work.save(work.job, held=False)

    async def _step(self, work: Work) -> None:
        """Does what is next. What fails is stored as such; raises Lost and StorageFailed."""
        before = work.job
        try:
            await self._do(work)
        except StorageFailed:
            raise
        except SpillwayError as error:
            log.warning("a step of a fine-tuning job failed (%s); it is tried again", error.code)
            pause = max(pause_s(before.trouble), (error.retry_after_ms or 0) / 1000)
            await work.save(replace(work.job, trouble=before.trouble + 1, due=self._means.clock() + pause))

    async def _do(self, work: Work) -> None:
        job = work.job
        if job.state == "ended":
            await self._ending.step(work)
        elif job.state == "open":
            await self._look(work)
        else:
            await self._sending.step(work)

    async def _look(self, work: Work) -> None:
        """Asks the resource how far the job is."""
        job, means = work.job, self._means
        deployment = of_resource(means.router, job.deployment, job.resource)
        try:
            if deployment is None:
                raise NotFound("Its resource is no longer configured.")
            seen = await self._asked(deployment, job)
        except NotFound as gone:
            if job.trouble < 3:
                raise
            error = {"code": "job_not_found", "message": f"The job is no longer at its resource. {gone.message}"}
            await work.save(job.ends("failed", means.clock(), error))
            return
        await work.save(told(job, seen, means.clock()))

    async def _asked(self, deployment: Deployment, job: Job) -> Seen:
        """The job as it is now; one that was to be cancelled before it was there is cancelled."""
        if job.stop:
            with suppress(BadRequest):  # it has ended
                return await self._means.resources.act(deployment, job.job, "cancel")
        return await self._means.resources.get(deployment, job.job)

    async def _close(self, job: Job) -> None:
        await budget.end(self._means, job)
        if job.hidden:
            await self._means.store.remove(job)
        else:
            await self._means.files.agenda.note(job.since + self._means.kept_s, JOB, job.id)
        await self._means.store.close_entry(job.id)


def told(job: Job, seen: Seen, now: float) -> Job:
    """An open job, as its resource has it now."""
    job = replace(job, seen=seen.told, asked_at=now, due=now + POLL_S, trouble=0)
    if seen.status not in ENDED:
        return job
    return job.at("ended", now, results=tuple((one, "") for one in seen.results), due=0.0)


def pause_s(trouble: int) -> float:
    """How long to leave alone what failed, having failed `trouble` times before."""
    return float(min(PAUSE_S * 2 ** min(trouble, 10), PAUSE_MAX_S))


def _taken_over(job: Job, now: float) -> Job:
    """A job that nobody holds: what its holder was about to do was perhaps done."""
    return job.at("doubtful", now, due=0.0) if job.state == "submitting" else job
