"""Files and fine-tuning jobs of a resource, as they are asked for there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Protocol

import orjson

from shared.errors import NotFound, PayloadTooLarge, UpstreamFailed
from shared.jobs.seen import Seen, seen_of
from shared.upstream.client import Outgoing, UpstreamClient
from shared.upstream.content import Content, Form, FormFile
from shared.upstream.deployment import Deployment
from shared.upstream.transport import chunks_of, close, read

if TYPE_CHECKING:
    import httpx

ASK_S = 20.0
UPLOAD_S, UPLOAD_BYTES_PER_S = 30.0, 2_000_000
RESULT_BYTES_MAX = 256 * 1024 * 1024
PAGE, PAGES_MAX = 100, 5
"""Azure keeps at most 100 jobs of a resource."""
UNREADY = frozenset({"pending", "running", "uploading"})
Query = Sequence[tuple[str, str]]


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

    def content(self, deployment: Deployment, file: str) -> AsyncIterator[bytes]:
        """The bytes of a file, once. Raises NotFound."""

    async def delete(self, deployment: Deployment, file: str) -> None:
        """Removes a file; one that is not there is removed already."""


class AzureResources:
    """Resources as they are reached over the network. `next_id` gives ids for the requests."""

    def __init__(self, client: UpstreamClient, next_id: Callable[[], str]) -> None:
        self._client = client
        self._next_id = next_id

    async def upload(self, deployment: Deployment, name: str, file: IO[bytes], bytes_count: int) -> str:
        form = Form({"purpose": "fine-tune"}, (FormFile("file", name, "application/jsonl", bytes_count, file),))
        seconds = UPLOAD_S + bytes_count / UPLOAD_BYTES_PER_S
        payload = await self._json(deployment, "files", "files", content=form, seconds=seconds)
        found = payload.get("id")
        if not isinstance(found, str) or not found:
            raise UpstreamFailed("The resource answered with something that is not a file.")
        return found

    async def uploaded(self, deployment: Deployment, name: str) -> str | None:
        payload = await self._json(deployment, "files", "files", query=[("purpose", "fine-tune")], method="GET")
        data = payload.get("data")
        files = [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []
        return next((str(one["id"]) for one in files if one.get("filename") == name and one.get("id")), None)

    async def is_ready(self, deployment: Deployment, file: str) -> bool:
        payload = await self._json(deployment, "files", "files/{id}", ids={"id": file}, method="GET")
        return str(payload.get("status") or "").lower() not in UNREADY

    async def create(self, deployment: Deployment, body: Mapping[str, Any]) -> Seen:
        carries = frozenset({"trainingType"} & body.keys())
        return _seen(
            await self._json(deployment, "fine_tuning", "fine_tuning/jobs", content=orjson.dumps(body), carries=carries)
        )

    async def get(self, deployment: Deployment, job: str) -> Seen:
        ids = {"id": job}
        return _seen(await self._json(deployment, "fine_tuning", "fine_tuning/jobs/{id}", ids=ids, method="GET"))

    async def act(self, deployment: Deployment, job: str, verb: str) -> Seen:
        operation = "fine_tuning" if verb == "cancel" else "fine_tuning_pause"
        return _seen(await self._json(deployment, operation, f"fine_tuning/jobs/{{id}}/{verb}", ids={"id": job}))

    async def recent(self, deployment: Deployment) -> list[Seen]:
        found: list[Seen] = []
        after = ""
        for _ in range(PAGES_MAX):
            query = [("limit", str(PAGE)), *([("after", after)] if after else [])]
            payload = await self._json(deployment, "fine_tuning", "fine_tuning/jobs", query=query, method="GET")
            data = payload.get("data")
            page = [one for one in map(seen_of, data if isinstance(data, list) else ()) if one is not None]
            found += page
            if not payload.get("has_more") or not page:
                break
            after = page[-1].job
        return found

    async def listed(self, deployment: Deployment, job: str, what: str, query: Query) -> dict[str, Any]:
        path = f"fine_tuning/jobs/{{id}}/{what}"
        return await self._json(deployment, "fine_tuning", path, ids={"id": job}, query=query, method="GET")

    async def content(self, deployment: Deployment, file: str) -> AsyncIterator[bytes]:
        response = await self._send(deployment, "files", "files/{id}/content", ids={"id": file}, method="GET")
        size = 0
        try:
            async for chunk in chunks_of(response):
                size += len(chunk)
                if size > RESULT_BYTES_MAX:
                    raise PayloadTooLarge("A file of results is too large to be kept.")
                yield chunk
        finally:
            await close(response)

    async def delete(self, deployment: Deployment, file: str) -> None:
        try:
            response = await self._send(deployment, "files", "files/{id}", ids={"id": file}, method="DELETE")
        except NotFound:
            return
        await read(response, idle_s=ASK_S)

    async def _json(self, deployment: Deployment, operation: str, path: str, **rest: Any) -> dict[str, Any]:
        response = await self._send(deployment, operation, path, **rest)
        try:
            payload = orjson.loads(await read(response, idle_s=ASK_S))
        except orjson.JSONDecodeError:
            payload = None
        if not isinstance(payload, dict):
            raise UpstreamFailed("The resource answered with something that is no JSON object.")
        return payload

    async def _send(
        self,
        deployment: Deployment,
        operation: str,
        path: str,
        *,
        content: Content | None = None,
        ids: Mapping[str, str] | None = None,
        query: Query = (),
        method: str = "POST",
        seconds: float = ASK_S,
        carries: frozenset[str] = frozenset(),
    ) -> httpx.Response:
        outgoing = Outgoing(
            operation=operation,
            path=path,
            content=content,
            entry_id=self._next_id(),
            accept="application/json" if not path.endswith("/content") else "*/*",
            first_byte_s=seconds,
            method=method,
            ids=ids or {},
            query=query,
            bound=bool(ids),
            carries=carries,
        )
        return await self._client.send(deployment, outgoing)


def _seen(payload: dict[str, Any]) -> Seen:
    seen = seen_of(payload)
    if seen is None:
        raise UpstreamFailed("The resource answered with something that is not a fine-tuning job.")
    return seen
