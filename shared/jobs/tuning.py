"""Fine-tuning jobs of all callers: made, shown, listed, stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.callers.keys import Keys
from shared.callers.virtual_key import VirtualKey
from shared.config import Config
from shared.errors import (
    BadRequest,
    BudgetExceeded,
    InternalError,
    NotFound,
    PayloadTooLarge,
    SpillwayError,
    StorageFailed,
    Unavailable,
)
from shared.files.files import Files
from shared.files.identity import JOB, Owner, new_id
from shared.files.stored_file import StoredFile
from shared.ids import DAY_S, CallIds
from shared.jobs import budget
from shared.jobs.driver import Driver, told
from shared.jobs.hosting import Hosting
from shared.jobs.job import BEFORE, Job
from shared.jobs.placing import of_resource, places
from shared.jobs.resources import AzureResources
from shared.jobs.seen import scrubbed
from shared.jobs.shown import checkpoints_shown, empty, events_shown, known_ids
from shared.jobs.store import JobStore, Page, owner_of
from shared.jobs.work import Means
from shared.routing.router import Router
from shared.storage.tables import Table
from shared.supervisor import Supervisor
from shared.upstream.client import UpstreamClient
from shared.upstream.resource_files import Query

CREATE_S = 25.0
"""A caller waits so long for a resource to take its job, or to say why not; then it goes on without the caller."""
LOOK_S = 8.0
TRIES = 5
PURPOSE = "fine-tune"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller asks to be trained: `request` is everything but the model and the files, which are ours; `key`
    is a virtual key, whose budget carries it."""

    owner: Owner
    model: str
    training: str
    validation: str
    request: Mapping[str, Any]
    alias: str = ""
    tags: tuple[str, ...] = ()
    region: str = ""
    key: VirtualKey | None = None


class Tuning:
    """Fine-tuning of one instance. `means` None: there is no storage account, and every method says so."""

    def __init__(self, means: Means | None, hosting: Hosting | None = None) -> None:
        self._means = means
        self._hosting = hosting
        self._driver = None if means is None else Driver(means)

    async def create(self, asked: Asked) -> Job:
        """Makes a job, and waits a while for a resource to take it. Raises SpillwayError, also with what the last
        resource said that refused it: then there is no job."""
        means, driver = self._there()
        if ".ft-" not in asked.model:
            places(means.router, asked.model, asked.region)  # raises for a model that nobody trains
        now = means.clock()
        job = Job(
            id=new_id(JOB, asked.owner, now, means.random_bytes),
            owner=asked.owner.key_id,
            alias=asked.alias,
            tags=asked.tags,
            model=asked.model,
            training=asked.training,
            validation=asked.validation,
            request=asked.request,
            region=asked.region,
            created_at=now,
            since=now,
        )
        file = await self._file(job, "training_file", job.training)
        if job.validation:
            await self._file(job, "validation_file", job.validation)
        await means.store.note(job)
        try:
            job = await budget.begin(means, job, asked.key, budget.estimate(means, job, file.bytes_count))
        except BudgetExceeded:
            await means.store.close_entry(job.id)
            raise
        await means.store.insert(job)
        await driver.move(job.id, now + CREATE_S)
        found = await means.store.load(job.id)
        if found is None:
            raise InternalError("The job that was just made is not there.")
        made, etag = found
        if made.refusal is not None and made.status == "failed":
            await means.store.save(replace(made, hidden=True), etag)
            await driver.move(job.id, means.clock() + 1.0)
            raise _refused(made.refusal)
        return made

    async def retrieve(self, owner: Owner, job_id: str) -> Job:
        """A job as it is now. Raises NotFound."""
        means, driver = self._there()
        job, _ = await means.store.find(owner, job_id)
        if job.over:
            return job
        await driver.move(job.id, means.clock() + LOOK_S, look=True)
        return (await means.store.find(owner, job_id))[0]

    async def page(self, owner: Owner, after: str | None, limit: int, metadata: dict[str, str]) -> Page:
        """The owner's jobs, as they were last seen. Raises BadRequest."""
        return await self._there()[0].store.page(owner, after, limit, metadata)

    async def act(self, owner: Owner, job_id: str, verb: str) -> Job:
        """Cancels, pauses or resumes a job. Raises NotFound, and BadRequest when it cannot be."""
        means, _ = self._there()
        for _ in range(TRIES):
            job, etag = await means.store.find(owner, job_id)
            if job.state == "ended":
                raise _cannot(verb, job)
            if job.state != "open":
                changed = self._stopped(verb, job)
            else:
                deployment = of_resource(means.router, job.deployment, job.resource)
                if deployment is None:
                    raise Unavailable("The resource that has the job is no longer configured.", should_retry=False)
                try:
                    seen = await means.resources.act(deployment, job.job, verb)
                except (BadRequest, NotFound) as error:
                    error.message = str(scrubbed(error.message, known_ids(job)))
                    raise
                changed = told(job, seen, means.clock())
            changed = replace(changed, holder="", held_until=0.0)  # whoever is at it starts again from here
            if await means.store.save(changed, etag) is not None:
                return changed if changed.state == "open" else await self.retrieve(owner, job_id)
        raise StorageFailed("The job is changed by others all the time; try again.", retry_after_ms=1000)

    async def events(self, owner: Owner, job_id: str, query: Query) -> dict[str, Any]:
        """A page of a job's events, as the resource has them. Raises NotFound."""
        job, payload = await self._listed(owner, job_id, "events", query)
        return empty() if payload is None else events_shown(job, payload)

    async def checkpoints(self, owner: Owner, job_id: str, query: Query) -> dict[str, Any]:
        """A page of a job's checkpoints, as the resource has them. Raises NotFound."""
        job, payload = await self._listed(owner, job_id, "checkpoints", query)
        return empty() if payload is None else checkpoints_shown(job, payload)

    async def run(self) -> int:
        """One run of the timer; how many jobs there were to look at. Raises StorageFailed."""
        if self._means is None or self._driver is None or self._hosting is None:
            return 0
        await self._hosting.run(self._means.router.every_deployment())
        return await self._driver.run()

    async def review(self, job_id: str) -> None:
        """Looks at a job whose time has come, for the sweep: it goes, or waits where it is kept for longer by now.
        Raises StorageFailed; may be repeated."""
        means, _ = self._there()
        found = await means.store.load(job_id)
        if found is None or not found[0].over:
            return
        if means.clock() < found[0].since + means.kept_s:
            await means.files.agenda.note(found[0].since + means.kept_s, JOB, job_id)
        else:
            await means.store.remove(found[0])

    async def close(self) -> None:
        """Lets the storage account's connections go."""
        if self._means is not None:
            await self._means.store.close()

    async def _listed(self, owner: Owner, job_id: str, what: str, query: Query) -> tuple[Job, dict[str, Any] | None]:
        means, _ = self._there()
        job, _ = await means.store.find(owner, job_id)
        deployment = of_resource(means.router, job.deployment, job.resource) if job.job else None
        if deployment is None:
            return job, None
        return job, await means.resources.listed(deployment, job.job, what, query)

    async def _file(self, job: Job, name: str, file_id: str) -> StoredFile:
        means, _ = self._there()
        file = await means.files.find(owner_of(job), file_id, name)
        if file.purpose != PURPOSE:
            raise BadRequest(
                f"`{name}` was uploaded for {file.purpose}; its purpose must be {PURPOSE}.",
                param=name,
                code="invalid_file_purpose",
            )
        return file

    @staticmethod
    def _stopped(verb: str, job: Job) -> Job:
        """A job that no resource has yet, or perhaps, and that is to be cancelled."""
        if verb != "cancel":
            raise _cannot(verb, job)
        return replace(job, stop=True, due=0.0, state=job.state if job.state in BEFORE else "doubtful")

    def _there(self) -> tuple[Means, Driver]:
        if self._means is None or self._driver is None:
            raise Unavailable(
                "There is no fine-tuning here: the app has no storage account. Set AzureWebJobsStorage.",
                code="storage_not_configured",
                should_retry=False,
            )
        return self._means, self._driver


@dataclass(frozen=True, slots=True)
class Workshop:
    """The parts of a gateway that fine-tuning is made of."""

    router: Router
    files: Files
    client: UpstreamClient
    call_ids: CallIds
    supervisor: Supervisor
    clock: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    config: Config
    keys: Keys | None = None

    def tuning(self, table: Table | None, ledger: Table | None) -> Tuning:
        """Fine-tuning with the jobs of a table, charged in a ledger; None without a storage account."""
        if table is None or ledger is None:
            return Tuning(None)
        made = Tuning(
            Means(
                JobStore(table),
                self.files.store,
                AzureResources(self.client, self.call_ids.next),
                self.router,
                ledger,
                self.clock,
                self.random_bytes,
                self.supervisor,
                self.call_ids.instance,
                tasks=self.keys.tasks if self.keys else None,
                kept_s=self.config.general_settings.fine_tuning_retention_days * DAY_S,
            ),
            Hosting(table, ledger, self.clock),
        )
        self.files.reviews[JOB] = made.review
        return made


def _cannot(verb: str, job: Job) -> BadRequest:
    return BadRequest(f"A job that is {job.status} cannot be {_PAST[verb]}.", code="invalid_status")


_PAST = {"cancel": "cancelled", "pause": "paused", "resume": "resumed"}


def _refused(refusal: Mapping[str, Any]) -> SpillwayError:
    kind = PayloadTooLarge if refusal.get("code") == PayloadTooLarge.code else BadRequest
    return kind(str(refusal["message"]), param=refusal.get("param"), code=refusal.get("code"))
