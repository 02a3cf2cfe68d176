"""Files and fine-tuning jobs of a resource, as they are asked for there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import IO, Any, Protocol

import orjson

from shared.errors import PayloadTooLarge, UpstreamFailed
from shared.jobs.seen import Seen, seen_of
from shared.upstream.deployment import Deployment
from shared.upstream.resource_files import Part, Query, ResourceFiles

RESULT_BYTES_MAX = 256 * 1024 * 1024
PAGE, PAGES_MAX = 100, 5
"""Azure keeps at most 100 jobs of a resource."""


class Resources(Protocol):
    """What fine-tuning needs of the resources. Every method raises SpillwayError; those that make something may have
    made it all the same."""

    async def upload(self, deployment: Deployment, name: str, file: IO[bytes], bytes_count: int) -> str:
        """Uploads a file under this name; its id there."""

    async def uploaded(self, deployment: Deployment, name: str) -> str | None:
        """The id of a file that was uploaded under this name."""

    async def is_ready(self, deployment: Deployment, file: str) -> bool:
        """Whether an uploaded file can be used. Raises NotFound."""

    async def create(self, deployment: Deployment, body: Mapping[str, Any]) -> Seen:
        """Creates a job."""

    async def get(self, deployment: Deployment, job: str) -> Seen:
        """A job as it is now. Raises NotFound."""

    async def act(self, deployment: Deployment, job: str, verb: str) -> Seen:
        """Cancels, pauses or resumes a job. Raises BadRequest where it cannot be, NotFound."""

    async def recent(self, deployment: Deployment) -> list[Seen]:
        """The jobs of the resource, as many as it keeps."""

    async def listed(self, deployment: Deployment, job: str, what: str, query: Query) -> dict[str, Any]:
        """The `events` or `checkpoints` of a job. Raises NotFound."""

    def content(self, deployment: Deployment, file: str, start: int = 0) -> AsyncGenerator[bytes, None]:
        """The bytes of a file, once. Raises NotFound."""

    async def delete(self, deployment: Deployment, file: str) -> None:
        """Removes a file; one that is not there is removed already."""


class AzureResources(ResourceFiles):
    """Resources as they are reached over the network."""

    async def upload(self, deployment: Deployment, name: str, file: IO[bytes], bytes_count: int) -> str:
        part = Part(name, "application/jsonl", bytes_count, file)
        found, _ = await self.put(deployment, "fine-tune", part, expires_s=None)
        return found

    async def uploaded(self, deployment: Deployment, name: str) -> str | None:
        files = await self.names(deployment, "fine-tune")
        return next((file for file, filename in files.items() if filename == name), None)

    async def create(self, deployment: Deployment, body: Mapping[str, Any]) -> Seen:
        carries = frozenset({"trainingType"} & body.keys())
        return _seen(
            await self.ask(deployment, "fine_tuning", "fine_tuning/jobs", content=orjson.dumps(body), carries=carries)
        )

    async def get(self, deployment: Deployment, job: str) -> Seen:
        ids = {"id": job}
        return _seen(await self.ask(deployment, "fine_tuning", "fine_tuning/jobs/{id}", ids=ids, method="GET"))

    async def act(self, deployment: Deployment, job: str, verb: str) -> Seen:
        operation = "fine_tuning" if verb == "cancel" else "fine_tuning_pause"
        return _seen(await self.ask(deployment, operation, f"fine_tuning/jobs/{{id}}/{verb}", ids={"id": job}))

    async def recent(self, deployment: Deployment) -> list[Seen]:
        found: list[Seen] = []
        after = ""
        for _ in range(PAGES_MAX):
            query = [("limit", str(PAGE)), *([("after", after)] if after else [])]
            payload = await self.ask(deployment, "fine_tuning", "fine_tuning/jobs", query=query, method="GET")
            data = payload.get("data")
            page = [one for one in map(seen_of, data if isinstance(data, list) else ()) if one is not None]
            found += page
            if not payload.get("has_more") or not page:
                break
            after = page[-1].job
        return found

    async def listed(self, deployment: Deployment, job: str, what: str, query: Query) -> dict[str, Any]:
        path = f"fine_tuning/jobs/{{id}}/{what}"
        return await self.ask(deployment, "fine_tuning", path, ids={"id": job}, query=query, method="GET")

    async def content(self, deployment: Deployment, file: str, start: int = 0) -> AsyncGenerator[bytes, None]:
        size = 0
        async with aclosing(super().content(deployment, file, start)) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > RESULT_BYTES_MAX:
                    raise PayloadTooLarge("A file of results is too large to be kept.")
                yield chunk


def _seen(payload: dict[str, Any]) -> Seen:
    seen = seen_of(payload)
    if seen is None:
        raise UpstreamFailed("The resource answered with something that is not a fine-tuning job.")
    return seen
