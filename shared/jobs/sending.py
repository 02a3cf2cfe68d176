"""Gets a job to a resource: chooses one, uploads the files, creates the job, and looks up what is in doubt."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from shared.errors import (
    BadRequest,
    Forbidden,
    NotFound,
    PayloadTooLarge,
    Replay,
    SpillwayError,
    StorageFailed,
    Unavailable,
    UpstreamMisconfigured,
)
from shared.jobs.job import Job
from shared.jobs.placing import Place, choose, of_resource, places, rates
from shared.jobs.seen import Seen, scrubbed
from shared.jobs.shown import known_ids
from shared.jobs.store import owner_of
from shared.jobs.work import Means, Work
from shared.upstream.deployment import Deployment

log = logging.getLogger("spillway")

READY_AGAIN_S = 1.0
WAIT_MAX_S = 24 * 3600.0
"""A job that no resource took by then has failed."""
AGAIN_S = 30.0
"""When every resource refused a job for a reason that passes, they are asked anew after that."""
_BOM = b"\xef\xbb\xbf"
_REFUSALS = (BadRequest, NotFound, PayloadTooLarge, Forbidden)
"""Another resource may take what one refuses in this way, as a model or a quota is its own; if none does, that is the
answer."""


class Sending:
    """The steps before a resource has a job. Each raises Lost, StorageFailed, and what is to be tried again."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def step(self, work: Work) -> None:
        """Does what is next."""
        job, now = work.job, self._means.clock()
        if job.stop and job.state != "doubtful":
            await work.save(job.ends("cancelled", now))
        elif job.state == "placing":
            await self._place(work)
        elif job.state == "uploading":
            await self._elsewhere(work, self._upload)
        elif job.state == "uploaded":
            await self._elsewhere(work, self._submit)
        else:
            await self._search(work)

    async def _place(self, work: Work) -> None:
        """Chooses a resource."""
        job, means = work.job, self._means
        now = means.clock()
        try:
            place = choose(await self._places(job), job.refused, await means.store.busy())
        except (BadRequest, NotFound) as refusal:
            await work.save(job.ends("failed", now, _refusal(refusal)))
            return
        if place is not None:
            method = (job.request.get("method") or {}).get("type", "")
            at = place.deployment
            job = job.at(
                "uploading", now, deployment=at.id, label=at.label, resource=at.resource_id, base=place.base,
                rates=rates(at, method), files={},
            )  # fmt: skip
            await work.save(job)
            await means.store.note(job)
        elif job.refusal is not None:
            await work.save(job.ends("failed", now, job.refusal))
        elif now - job.created_at > WAIT_MAX_S:
            error = {"code": "no_resource", "message": "No resource could take the job for a day.", "param": None}
            await work.save(job.ends("failed", now, error))
        else:
            await work.save(replace(job, refused=(), due=now + AGAIN_S))

    async def _places(self, job: Job) -> list[Place]:
        """Where the job can go. Raises ModelNotFound or BadRequest."""
        if ".ft-" in job.model:
            earlier = await self._means.store.tuned(owner_of(job), job.model)
            at = None if earlier is None else of_resource(self._means.router, earlier.deployment, earlier.resource)
            if at is not None:
                return [Place(at, job.model)]
        return places(self._means.router, job.model, job.region)

    async def _elsewhere(self, work: Work, do: Callable[[Work, Deployment], Awaitable[None]]) -> None:
        """Does a step at the chosen resource; what it refuses another one may take."""
        job, means = work.job, self._means
        deployment = of_resource(means.router, job.deployment, job.resource)
        try:
            if deployment is None:
                raise Unavailable("The resource is no longer configured.")
            await do(work, deployment)
        except StorageFailed:
            raise
        except SpillwayError as error:
            job = work.job
            refused = isinstance(error, _REFUSALS)
            if not (refused or error.replay is Replay.FREELY or isinstance(error, UpstreamMisconfigured)):
                raise
            log.warning("a resource did not take a fine-tuning job (%s); another one is tried", error.code)
            refusal = _refusal(error, known_ids(job)) if refused else job.refusal
            if deployment is not None:
                await self._remove_files(deployment, job)
            passed = (*job.refused, job.resource)
            again = job.at("placing", means.clock(), refused=passed, refusal=refusal, files={}, due=0.0)
            await work.save(again)

    async def _upload(self, work: Work, deployment: Deployment) -> None:
        """Uploads what is not there yet. A file that somebody uploaded who did not come to say so is found by name."""
        means = self._means
        for which, ours in (("training", work.job.training), ("validation", work.job.validation)):
            if not ours or which in work.job.files:
                continue
            name = work.job.upstream_name(which)
            theirs = await means.resources.uploaded(deployment, name)
            if theirs is None:
                if not work.job.holder:
                    await work.save(work.job)
                async with means.heavy:
                    theirs = await work.keeping(self._sent(deployment, work.job, ours, name))
            await work.save(replace(work.job, files={**work.job.files, which: theirs}))
        await work.save(work.job.at("uploaded", means.clock(), trouble=0))

    async def _sent(self, deployment: Deployment, job: Job, ours: str, name: str) -> str:
        files = self._means.files
        stored = await files.find(owner_of(job), ours, "training_file")
        with tempfile.TemporaryFile() as file:
            count = 0
            async for chunk in files.chunks(await files.open(stored)):
                if count == 0 and deployment.provider != "openai":
                    chunk = _BOM + chunk.removeprefix(_BOM)  # Azure's page on fine-tuning asks for one
                file.write(chunk)
                count += len(chunk)
            file.seek(0)
            return await self._means.resources.upload(deployment, name, file, count)

    async def _submit(self, work: Work, deployment: Deployment) -> None:
        """Creates the job, once the resource has looked at its files."""
        means, job = self._means, work.job
        try:
            for theirs in job.files.values():
                if not await means.resources.is_ready(deployment, theirs):
                    await work.save(replace(job, due=means.clock() + READY_AGAIN_S))
                    return
        except NotFound:
            await work.save(job.at("uploading", means.clock(), files={}))
            return
        await work.save(job.at("submitting", means.clock()))
        try:
            seen = await means.resources.create(deployment, _body(job))
        except SpillwayError as error:
            if isinstance(error, _REFUSALS) or error.replay is Replay.FREELY:
                raise
            await work.save(work.job.at("doubtful", means.clock(), due=means.clock() + READY_AGAIN_S))
        else:
            await work.save(self._opened(work.job, seen))

    async def _search(self, work: Work) -> None:
        """Looks up a job that somebody created, perhaps, who did not come to say so: it trains with our file. Where it
        is not there its file is removed, so that nobody can still create it, before it is looked up once more."""
        means, job = self._means, work.job
        deployment = of_resource(means.router, job.deployment, job.resource)
        if deployment is None:
            raise Unavailable("The resource is no longer configured.")
        theirs = job.files["training"]
        seen = await self._created(deployment, theirs)
        if seen is None:
            await means.resources.delete(deployment, theirs)
            seen = await self._created(deployment, theirs)
        if seen is not None:
            await work.save(self._opened(job, seen))
        else:
            await work.save(job.at("uploading", means.clock(), files={}, trouble=0, due=0.0))

    async def _created(self, deployment: Deployment, theirs: str) -> Seen | None:
        recent = await self._means.resources.recent(deployment)
        return next((one for one in recent if one.training == theirs), None)

    async def _remove_files(self, deployment: Deployment, job: Job) -> None:
        for theirs in job.files.values():
            try:
                await self._means.resources.delete(deployment, theirs)
            except SpillwayError as error:
                log.warning("a training file was left at a resource (%s)", error.code)

    def _opened(self, job: Job, seen: Seen) -> Job:
        """The resource has the job; one that is to be cancelled is looked at at once."""
        now = self._means.clock()
        return job.at("open", now, job=seen.job, seen=seen.told, asked_at=now, due=0.0, trouble=0, refusal=None)


def _body(job: Job) -> dict[str, Any]:
    """What the resource is asked for. Metadata stays here: dated api-versions do not know them."""
    asked = {name: value for name, value in job.request.items() if name != "metadata"}
    files = {"training_file": job.files["training"]}
    if "validation" in job.files:
        files["validation_file"] = job.files["validation"]
    return {**asked, "model": job.base, **files}


def _refusal(error: SpillwayError, known: dict[str, str] | None = None) -> dict[str, Any]:
    told = {"code": error.code, "message": error.message, "param": error.param}
    return dict(scrubbed(told, known or {}))
