"""A storage account, two resources and workers in memory; any request of a worker may be its last.

`Strike` decides what becomes of a worker's requests to storage and to the resources: the n-th is struck before it is
done or after it was, and the worker dies there, or is told that it failed.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Literal

from shared import config
from shared.callers import virtual_key
from shared.callers.key_store import KeyStore
from shared.callers.shares import EMPTY, Shares
from shared.callers.shares_row import read
from shared.callers.tasks import Tasks
from shared.callers.virtual_key import VirtualKey
from shared.config import Match
from shared.errors import BadRequest, NotFound, SpillwayError, StorageFailed, UpstreamNoReply
from shared.files.identity import Owner
from shared.files.store import FileStore, Storage
from shared.files.stored_file import StoredFile
from shared.jobs.driver import Driver
from shared.jobs.job import Job
from shared.jobs.seen import Seen, seen_of
from shared.jobs.store import JobStore
from shared.jobs.tuning import Asked, Tuning
from shared.jobs.work import Means
from shared.routing.router import Router
from shared.storage.tables import Row
from shared.supervisor import Supervisor
from shared.upstream.credentials import api_key
from shared.upstream.deployment import Deployment, deployment_of
from shared.upstream.endpoint import of_entry
from tests.memory_blobs import MemoryBlobs
from tests.memory_table import MemoryTable, Rows

ANN = Owner("ann")
NOW = 1_800_000_000.0
TOKENS = 1000
KEY = VirtualKey(ANN.key_id, "h", "hint", NOW, NOW, max_budget=10**12, budget_from=NOW)
CONFIG = """
model_list:
  - model_name: mini
    litellm_params: {model: azure/mini, api_base: "https://a.openai.azure.com", api_key: k, order: 1}
    model_info: {id: at-a, resource: a, base_model: gpt-4o-mini, mode: chat}
  - model_name: mini
    litellm_params: {model: azure/mini, api_base: "https://b.openai.azure.com", api_key: k, order: 2}
    model_info: {id: at-b, resource: b, base_model: gpt-4o-mini, mode: chat}
"""


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Strike:
    """What becomes of a worker's requests. `at` None: nothing; `when`: before the n-th is done, or after."""

    at: int | None = None
    when: Literal["before", "after"] = "before"
    kills: bool = True
    count: int = 0
    dead: bool = False

    def before(self, error: Exception) -> None:
        if self.dead:
            raise Killed
        self.count += 1
        if self.at == self.count and self.when == "before":
            self._strike(error)

    def after(self, error: Exception) -> None:
        if self.at == self.count and self.when == "after":
            self._strike(error)

    def _strike(self, error: Exception) -> None:
        self.at = None
        self.dead = self.kills
        raise Killed if self.kills else error


@dataclass
class Account:
    """One resource: its files by id, with their names, and its jobs. `refuses`: it takes no jobs."""

    name: str
    files: dict[str, str] = field(default_factory=dict)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    refuses: bool = False


class Azure:
    """The resources as one worker reaches them."""

    def __init__(self, world: World, strike: Strike) -> None:
        self._world = world
        self._strike = strike

    def _at(self, deployment: Deployment) -> Account:
        self._strike.before(UpstreamNoReply("lost"))
        return self._world.accounts[deployment.resource_id]

    def _done(self) -> None:
        self._strike.after(UpstreamNoReply("lost"))

    async def upload(self, deployment: Deployment, name: str, file: IO[bytes], bytes_count: int) -> str:
        account = self._at(deployment)
        assert len(file.read()) == bytes_count
        theirs = f"file-{account.name}{next(self._world.numbers):08x}"
        account.files[theirs] = name
        self._done()
        return theirs

    async def uploaded(self, deployment: Deployment, name: str) -> str | None:
        files = self._at(deployment).files
        return next((theirs for theirs, known in files.items() if known == name), None)

    async def is_ready(self, deployment: Deployment, file: str) -> bool:
        if file not in self._at(deployment).files:
            raise NotFound("gone")
        return True

    async def create(self, deployment: Deployment, body: Mapping[str, Any]) -> Seen:
        account = self._at(deployment)
        if account.refuses:
            raise BadRequest("no such model here", param="model")
        if body["training_file"] not in account.files:
            raise BadRequest("no such file here", param="training_file")
        job = {
            "id": f"ftjob-{account.name}{next(self._world.numbers):08x}",
            "status": "running",
            "training_file": body["training_file"],
            "created_at": self._world.now,
        }
        account.jobs.append(job)
        self._done()
        return _seen(job)

    async def get(self, deployment: Deployment, job: str) -> Seen:
        return _seen(self._job(self._at(deployment), job))

    async def act(self, deployment: Deployment, job: str, verb: str) -> Seen:
        found = self._job(self._at(deployment), job)
        if found["status"] != "running":
            raise BadRequest("it has ended")
        found |= {"status": {"cancel": "canceled", "pause": "paused"}.get(verb, "running"), "trained_tokens": TOKENS}
        self._done()
        return _seen(found)

    async def recent(self, deployment: Deployment) -> list[Seen]:
        return [_seen(job) for job in self._at(deployment).jobs]

    async def listed(
        self, deployment: Deployment, job: str, what: str, query: Sequence[tuple[str, str]]
    ) -> dict[str, Any]:
        return {"object": "list", "data": []}

    async def content(self, deployment: Deployment, file: str, start: int = 0) -> AsyncGenerator[bytes, None]:
        self._at(deployment)
        yield b"step,train_loss\n"
        yield b"1,0.5\n"

    async def delete(self, deployment: Deployment, file: str) -> None:
        self._at(deployment).files.pop(file, None)
        self._done()

    @staticmethod
    def _job(account: Account, job: str) -> dict[str, Any]:
        return next(one for one in account.jobs if one["id"] == job)


class World:
    """Everything that outlives a worker."""

    def __init__(self) -> None:
        self.now = NOW
        self.numbers = itertools.count(1)
        self.rows = {name: Rows() for name in ("jobs", "ledger", "files", "keys")}
        row = Row(KEY.key_id[:5], KEY.key_id, {"key": virtual_key.packed(KEY)}, "1")
        self.rows["keys"].kept[row.partition, row.key] = row
        self.blobs = MemoryBlobs()
        self.accounts = {"a": Account("a"), "b": Account("b")}
        self.supervisor = Supervisor()
        plan = config.parse(CONFIG, {})
        self.router = Router(plan, _deployment, lambda: self.now, lambda: 0.5)
        self._workers = itertools.count(1)

    def means(self, strike: Strike | None = None) -> Means:
        """What a new worker has."""
        struck = strike or Strike()
        tables = {
            name: MemoryTable(
                rows, lambda _: struck.before(StorageFailed("down")), lambda _: struck.after(StorageFailed("down"))
            )
            for name, rows in self.rows.items()
        }
        blobs = MemoryBlobs(
            lambda _: struck.before(StorageFailed("down")), lambda _: struck.after(StorageFailed("down"))
        )
        blobs.blobs, blobs.blocks = self.blobs.blobs, self.blobs.blocks
        return Means(
            JobStore(tables["jobs"]),
            FileStore(Storage(tables["files"], blobs), self.supervisor, self.clock, self.random_bytes),
            Azure(self, struck),
            self.router,
            tables["ledger"],
            self.clock,
            self.random_bytes,
            self.supervisor,
            f"worker-{next(self._workers)}",
            self.sleep,
            tasks=Tasks(
                tables["keys"], KeyStore(tables["keys"], self.clock, self.random_bytes), self.clock, self._no_sleep
            ),
        )

    async def _no_sleep(self, seconds: float) -> None:
        """Nobody waits."""

    @property
    def shares(self) -> Shares:
        """The row of the budget of Ann's key."""
        rows = [row for row in self.rows["keys"].kept.values() if row.partition.startswith("shares_")]
        return read(rows[0]) if rows else EMPTY

    def clock(self) -> float:
        return self.now

    def random_bytes(self, count: int) -> bytes:
        return next(self.numbers).to_bytes(count, "big")

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    async def file(self, data: bytes = b'{"messages": []}\n') -> str:
        """A training file of Ann's."""
        store = self.means().files
        new = store.begin(ANN)
        await new.write(data)
        kept: StoredFile = await new.finish(filename="examples.jsonl", purpose="fine-tune")
        return kept.id

    async def asked(self) -> Asked:
        return Asked(ANN, "mini", await self.file(), "", {}, key=KEY)

    async def create(self, strike: Strike | None = None) -> Job | None:
        """A job of Ann's; None when the worker died or failed while it was made."""
        tuning = Tuning(self.means(strike))
        task = asyncio.ensure_future(tuning.create(await self.asked()))
        await asyncio.wait({task})
        error = task.exception()
        assert error is None or isinstance(error, SpillwayError | Killed), error
        return task.result() if error is None else None

    async def run(self, strike: Strike | None = None) -> None:
        """One run of the timer on a new worker, which may die in it."""
        self.now += 60.0
        task = asyncio.ensure_future(Driver(self.means(strike)).run())
        await asyncio.wait({task})
        error = task.exception()
        assert error is None or isinstance(error, StorageFailed | Killed), error
        for _ in range(20):
            await asyncio.sleep(0)

    def end(self, status: str = "succeeded") -> None:
        """Every job that runs at a resource ends."""
        for account in self.accounts.values():
            for job in account.jobs:
                if job["status"] == "running":
                    job |= {"status": status, "trained_tokens": TOKENS, "result_files": [f"file-{account.name}results"]}
                    job |= {"finished_at": self.now}

    async def jobs(self) -> list[Job]:
        return (await self.means().store.page(ANN, None, 100, {})).jobs

    @property
    def made(self) -> list[dict[str, Any]]:
        """The jobs at all resources."""
        return [job for account in self.accounts.values() for job in account.jobs]

    @property
    def left(self) -> list[str]:
        """The names of the files that are at resources."""
        return [name for account in self.accounts.values() for name in account.files.values()]


def _deployment(match: Match) -> Deployment:
    endpoint, _ = of_entry(match.entry)
    return deployment_of(match, endpoint, api_key("k", bearer=False))


def _seen(payload: dict[str, Any]) -> Seen:
    seen = seen_of(payload)
    assert seen is not None
    return seen
