"""Resources in memory that serve batches: strict about what they are sent, with their own bill and a clock."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace
from typing import IO, Any

import orjson

from shared.batches.seen import Seen
from shared.batches.upstream import Refused
from shared.errors import NotFound, UpstreamMisconfigured, UpstreamNoReply
from shared.upstream.deployment import Deployment

PROMPT, COMPLETION = 10, 20
TOKEN_BYTES = 4


@dataclass
class Job:
    """A batch at a resource; `resource` has it, `requests` are its lines."""

    id: str
    resource: str
    deployment: str
    file: str
    name: str
    created_at: float
    requests: list[dict[str, Any]]
    tokens: int
    status: str = "validating"
    output: str = ""
    error: str = ""
    errors: tuple[dict[str, Any], ...] = ()
    cancelled: bool = False
    completed: int = 0
    failed: int = 0


@dataclass
class Azure:
    """`plan` says what becomes of a custom_id, attempt by attempt, the last word for all that follow: `ok`, a status,
    `expired`, `lost` (no result) or `twice`. A batch takes `job_s` seconds. `quotas`: enqueued tokens of a deployment.
    `late`: a batch over the quota fails when it was looked at, not when it is created. `down`: resources that cannot be
    reached. `silent`: so many creations to come are done without an answer. `reversed`: results in reverse order."""

    clock: Callable[[], float]
    plan: dict[str, list[str | int]] = field(default_factory=dict)
    job_s: float = 30.0
    quotas: dict[str, int] = field(default_factory=dict)
    late: bool = False
    down: set[str] = field(default_factory=set)
    silent: int = 0
    reversed: bool = True
    forgets: int = 0
    no_output: bool = False
    files: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    attempts: Counter[str] = field(default_factory=Counter)
    bill: list[tuple[str, str]] = field(default_factory=list)
    created: Counter[str] = field(default_factory=Counter)
    gate: asyncio.Event | None = None
    _ids: itertools.count[int] = field(default_factory=itertools.count)

    def enqueued(self, deployment: str) -> int:
        return sum(
            job.tokens for job in self.jobs.values() if job.deployment == deployment and job.status == "in_progress"
        )

    def client(
        self, before: Callable[[str], None] = lambda what: None, after: Callable[[str], None] = lambda what: None
    ) -> Client:
        """One worker's way to the resources; `before` and `after` are called around each request."""
        return Client(self, before, after)

    def turn(self) -> None:
        """What is due by the clock."""
        for job in self.jobs.values():
            if job.status == "validating" and self.clock() >= job.created_at + 1:
                quota = self.quotas.get(job.deployment)
                if self.late and quota is not None and self.enqueued(job.deployment) + job.tokens > quota:
                    job.status, job.errors = "failed", (full(quota),)
                else:
                    job.status = "in_progress"
            if job.cancelled and job.status in ("validating", "in_progress"):
                self._run(job, len(job.requests) // 2)
                job.status = "cancelled"
            if job.status == "in_progress" and self.clock() >= job.created_at + self.job_s:
                self._run(job, len(job.requests))
                job.status = "completed"

    def _run(self, job: Job, count: int) -> None:
        outputs: list[bytes] = []
        errors: list[bytes] = []
        for request in job.requests[:count]:
            custom_id = request["custom_id"]
            plan = self.plan.get(custom_id, ["ok"])
            word = plan[min(self.attempts[custom_id], len(plan) - 1)]
            self.attempts[custom_id] += 1
            if word in ("ok", "twice", "lost"):
                self.bill.append((custom_id, job.id))
            line = orjson.dumps(answer(custom_id, word, job.deployment)) + b"\n"
            if word in ("ok", "twice"):
                outputs += [line] * (2 if word == "twice" else 1)
            elif word != "lost":
                errors.append(line)
        job.completed, job.failed = len(outputs), len(errors)
        if self.reversed:
            outputs.reverse()
        if outputs and not self.no_output:
            job.output = self._keep(job.resource, b"".join(outputs))
        job.error = self._keep(job.resource, b"".join(errors))

    def _keep(self, resource: str, data: bytes) -> str:
        file = f"file-{next(self._ids)}"
        self.files[resource, file] = "results", data
        return file


def answer(custom_id: str, word: str | int, deployment: str) -> dict[str, Any]:
    """A result as Azure writes it."""
    if word == "expired":
        return {"custom_id": custom_id, "response": None, "error": {"code": "batch_expired", "message": "too late"}}
    if isinstance(word, int):
        body: dict[str, Any] = {"error": {"code": str(word), "message": "no"}}
        return {
            "custom_id": custom_id,
            "response": {"body": body, "request_id": "r", "status_code": word},
            "error": None,
        }
    usage = {"prompt_tokens": PROMPT, "completion_tokens": COMPLETION, "total_tokens": PROMPT + COMPLETION}
    body = {"object": "chat.completion", "model": f"{deployment}-2024", "echo": custom_id, "usage": usage}
    return {"custom_id": custom_id, "response": {"body": body, "request_id": "r", "status_code": 200}, "error": None}


def full(quota: int) -> dict[str, Any]:
    """Azure's words for a quota that is used up."""
    message = f"Enqueued token limit reached. Limit: {quota:,} enqueued tokens."
    return {"code": "token_limit_exceeded", "message": message, "param": None, "line": None}


@dataclass
class Client:
    """The resources as one worker reaches them (shared.batches.upstream.Resources)."""

    azure: Azure
    before: Callable[[str], None]
    after: Callable[[str], None]

    async def upload(self, deployment: Deployment, name: str, file: IO[bytes], bytes_count: int) -> tuple[str, bool]:
        azure = self._at(deployment, "upload")
        data = file.read()
        assert len(data) == bytes_count
        requests = [orjson.loads(line) for line in data.splitlines()]
        assert {request["body"]["model"] for request in requests} == {deployment.name}
        assert {request["url"] for request in requests} == {"/v1/chat/completions"}
        file_id = f"file-{next(azure._ids)}"
        azure.files[deployment.resource_id, file_id] = f"{name}.jsonl", data
        await asyncio.sleep(0)
        self.after("upload")
        return file_id, True

    async def is_ready(self, deployment: Deployment, file: str) -> bool:
        return True

    async def create(self, deployment: Deployment, file: str, endpoint: str, name: str) -> Seen:
        azure = self._at(deployment, "create")
        if azure.gate is not None:
            await azure.gate.wait()
        if (deployment.resource_id, file) not in azure.files:
            raise UpstreamMisconfigured("no such file")
        data = azure.files[deployment.resource_id, file][1]
        tokens = len(data) // TOKEN_BYTES
        quota = azure.quotas.get(deployment.name)
        if not azure.late and quota is not None and azure.enqueued(deployment.name) + tokens > quota:
            raise Refused([full(quota)])
        job = Job(
            f"batch_{next(azure._ids)}", deployment.resource_id, deployment.name, file, name, azure.clock(),
            [orjson.loads(line) for line in data.splitlines()], tokens,
            status="validating" if azure.late else "in_progress",
        )  # fmt: skip
        azure.jobs[job.id] = job
        azure.created[name] += 1
        await asyncio.sleep(0)
        self.after("create")
        if azure.silent:
            azure.silent -= 1
            raise UpstreamNoReply("silence")
        return replace(_seen(job), limit=quota)

    async def get(self, deployment: Deployment, job: str) -> Seen:
        return _seen(self._job(deployment, job, "get"))

    async def cancel(self, deployment: Deployment, job: str) -> None:
        self._job(deployment, job, "cancel").cancelled = True
        self.after("cancel")

    async def recent(self, deployment: Deployment, since: float) -> list[Seen]:
        azure = self._at(deployment, "recent")
        if azure.forgets:
            azure.forgets -= 1
            return []
        jobs = [job for job in azure.jobs.values() if job.resource == deployment.resource_id]
        return [_seen(job) for job in reversed(jobs)]

    async def content(self, deployment: Deployment, file: str, start: int) -> AsyncGenerator[bytes, None]:
        azure = self._at(deployment, "content")
        if (deployment.resource_id, file) not in azure.files:
            raise NotFound("no such file")
        data = azure.files[deployment.resource_id, file][1][start:]
        for at in range(0, len(data), 100):
            await asyncio.sleep(0)
            yield data[at : at + 100]

    async def delete(self, deployment: Deployment, file: str) -> None:
        self._at(deployment, "delete").files.pop((deployment.resource_id, file), None)
        self.after("delete")

    async def uploads(self, deployment: Deployment) -> dict[str, str]:
        azure = self._at(deployment, "uploads")
        return {file: name for (resource, file), (name, _) in azure.files.items() if resource == deployment.resource_id}

    def _at(self, deployment: Deployment, what: str) -> Azure:
        self.before(what)
        self.azure.turn()
        if deployment.resource_id in self.azure.down:
            raise UpstreamMisconfigured("down")
        return self.azure

    def _job(self, deployment: Deployment, job: str, what: str) -> Job:
        found = self._at(deployment, what).jobs.get(job)
        if found is None or found.resource != deployment.resource_id:
            raise NotFound("no such batch")
        return found


def _seen(job: Job) -> Seen:
    return Seen(
        job.id, job.status, job.file, job.output, job.error, len(job.requests), job.completed, job.failed,
        job.errors, job.name, job.created_at,
    )  # fmt: skip
