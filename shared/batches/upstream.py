"""Files and batches of a resource, as the driver asks for them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import IO, Any, Protocol

import orjson

from shared.batches.seen import NAME, Seen, seen_of
from shared.errors import BadRequest, PayloadTooLarge, UpstreamFailed
from shared.upstream.deployment import Deployment
from shared.upstream.resource_files import Part, ResourceFiles, read_object

PAGE, PAGES_MAX = 100, 20
SEARCH_BACK_S = 300.0
"""How much older than its shard a batch may seem: clocks differ."""


class Refused(Exception):
    """Azure does not take a batch; `errors` say why, as those of a batch do."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(errors)
        self.errors = errors


class Resources(Protocol):
    """What batches need of the resources. Every method raises SpillwayError."""

    async def upload(self, deployment: Deployment, name: str, file: IO[bytes], bytes_count: int) -> tuple[str, bool]:
        """Uploads an input under this name; its id, and whether it can be used at once."""

    async def is_ready(self, deployment: Deployment, file: str) -> bool:
        """Whether an uploaded input can be used. Raises NotFound."""

    async def create(self, deployment: Deployment, file: str, endpoint: str, name: str) -> Seen:
        """Creates a batch that says which shard it is. Raises Refused; after any other error it may exist."""

    async def get(self, deployment: Deployment, job: str) -> Seen:
        """A batch as it is now. Raises NotFound."""

    async def cancel(self, deployment: Deployment, job: str) -> None:
        """Asks for the end of a batch; one that has ended stays as it is. Raises NotFound."""

    async def recent(self, deployment: Deployment, since: float) -> list[Seen]:
        """The batches of the resource that were made since then, the newest first."""

    def content(self, deployment: Deployment, file: str, start: int) -> AsyncGenerator[bytes, None]:
        """The bytes of a file from `start` on, in order, once. Raises NotFound."""

    async def delete(self, deployment: Deployment, file: str) -> None:
        """Removes a file; one that is not there is removed already."""

    async def uploads(self, deployment: Deployment) -> dict[str, str]:
        """The names of the resource's inputs of batches, by their ids."""


class AzureResources(ResourceFiles):
    """Resources as they are reached over the network."""

    async def upload(self, deployment: Deployment, name: str, file: IO[bytes], bytes_count: int) -> tuple[str, bool]:
        return await self.put(deployment, "batch", Part(f"{name}.jsonl", "application/jsonl", bytes_count, file))

    async def create(self, deployment: Deployment, file: str, endpoint: str, name: str) -> Seen:
        body = {
            "input_file_id": file,
            "endpoint": endpoint,
            "completion_window": "24h",
            "metadata": {NAME: name},
        }
        try:
            response = await self.send(deployment, "batches", "batches", content=orjson.dumps(body))
        except (BadRequest, PayloadTooLarge) as error:
            told = {"code": error.code, "message": error.message, "param": error.param, "line": None}
            raise Refused([told]) from error
        headers = response.headers
        seen = _seen(await read_object(response))
        return replace(
            seen,
            tokens=_number(headers, "deployment-enqueued-tokens"),
            limit=_number(headers, "deployment-maximum-enqueued-tokens"),
        )

    async def get(self, deployment: Deployment, job: str) -> Seen:
        return _seen(await self.ask(deployment, "batches", "batches/{id}", ids={"id": job}, method="GET"))

    async def cancel(self, deployment: Deployment, job: str) -> None:
        try:
            await self.ask(deployment, "batches", "batches/{id}/cancel", ids={"id": job}, method="POST")
        except BadRequest:
            return  # 409: it has ended meanwhile

    async def recent(self, deployment: Deployment, since: float) -> list[Seen]:
        found: list[Seen] = []
        after = ""
        for _ in range(PAGES_MAX):
            query = [("limit", str(PAGE)), *([("after", after)] if after else [])]
            payload = await self.ask(deployment, "batches", "batches", query=query, method="GET")
            data = payload.get("data")
            page = [one for one in map(seen_of, data if isinstance(data, list) else ()) if one is not None]
            found += [one for one in page if one.created_at >= since - SEARCH_BACK_S]
            if not payload.get("has_more") or not page or page[-1].created_at < since - SEARCH_BACK_S:
                break
            after = page[-1].job
        return found

    async def uploads(self, deployment: Deployment) -> dict[str, str]:
        return await self.names(deployment, "batch")


def _seen(payload: dict[str, Any]) -> Seen:
    seen = seen_of(payload)
    if seen is None:
        raise UpstreamFailed("The resource answered with something that is not a batch.")
    return seen


def _number(headers: Mapping[str, str], name: str) -> int | None:
    written = headers.get(name, "")
    return int(written) if written.isdigit() and int(written) > 0 else None
