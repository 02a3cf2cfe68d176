"""Files and batches of a resource, as the driver asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, Protocol

import orjson

from shared.batches.seen import NAME, Seen, seen_of
from shared.errors import BadRequest, NotFound, PayloadTooLarge, UpstreamFailed, UpstreamTimeout
from shared.upstream.client import Outgoing, UpstreamClient
from shared.upstream.content import Content, Form, FormFile
from shared.upstream.deployment import Deployment
from shared.upstream.transport import chunks_of, close, read

if TYPE_CHECKING:
    import httpx

ASK_S = 20.0
UPLOAD_S, UPLOAD_BYTES_PER_S = 30.0, 2_000_000
IDLE_S = 30.0
KEPT_S = 14 * 86_400
"""Files are removed when they are no longer needed; one that is forgotten expires, and counts against the larger quota
of files with an expiry (Azure's limits page: 500 without, 10,000 with)."""
PAGE, PAGES_MAX = 100, 20
SEARCH_BACK_S = 300.0
"""How much older than its shard a batch may seem: clocks differ."""
UNREADY = frozenset({"pending", "running", "uploading"})


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


class AzureResources:
    """Resources as they are reached over the network. `next_id` gives ids for the requests."""

    def __init__(self, client: UpstreamClient, next_id: Callable[[], str]) -> None:
        self._client = client
        self._next_id = next_id

    async def upload(self, deployment: Deployment, name: str, file: IO[bytes], bytes_count: int) -> tuple[str, bool]:
        form = Form(
            {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": str(KEPT_S)},
            (FormFile("file", f"{name}.jsonl", "application/jsonl", bytes_count, file),),
        )
        seconds = UPLOAD_S + bytes_count / UPLOAD_BYTES_PER_S
        payload = await self._json(deployment, "files", "files", content=form, seconds=seconds)
        return _id_of(payload), _status_of(payload) not in UNREADY

    async def is_ready(self, deployment: Deployment, file: str) -> bool:
        payload = await self._json(deployment, "files", "files/{id}", ids={"id": file}, method="GET")
        return _status_of(payload) not in UNREADY

    async def create(self, deployment: Deployment, file: str, endpoint: str, name: str) -> Seen:
        body = {
            "input_file_id": file,
            "endpoint": endpoint,
            "completion_window": "24h",
            "metadata": {NAME: name},
        }
        try:
            response = await self._send(deployment, "batches", "batches", content=orjson.dumps(body))
        except (BadRequest, PayloadTooLarge) as error:
            told = {"code": error.code, "message": error.message, "param": error.param, "line": None}
            raise Refused([told]) from error
        headers = response.headers
        seen = _seen(await _read(response))
        return replace(
            seen,
            tokens=_number(headers, "deployment-enqueued-tokens"),
            limit=_number(headers, "deployment-maximum-enqueued-tokens"),
        )

    async def get(self, deployment: Deployment, job: str) -> Seen:
        return _seen(await self._json(deployment, "batches", "batches/{id}", ids={"id": job}, method="GET"))

    async def cancel(self, deployment: Deployment, job: str) -> None:
        try:
            await self._json(deployment, "batches", "batches/{id}/cancel", ids={"id": job}, method="POST")
        except BadRequest:
            return  # 409: it has ended meanwhile

    async def recent(self, deployment: Deployment, since: float) -> list[Seen]:
        found: list[Seen] = []
        after = ""
        for _ in range(PAGES_MAX):
            query = [("limit", str(PAGE)), *([("after", after)] if after else [])]
            payload = await self._json(deployment, "batches", "batches", query=query, method="GET")
            data = payload.get("data")
            page = [one for one in map(seen_of, data if isinstance(data, list) else ()) if one is not None]
            found += [one for one in page if one.created_at >= since - SEARCH_BACK_S]
            if not payload.get("has_more") or not page or page[-1].created_at < since - SEARCH_BACK_S:
                break
            after = page[-1].job
        return found

    async def content(self, deployment: Deployment, file: str, start: int) -> AsyncGenerator[bytes, None]:
        response = await self._send(deployment, "files", "files/{id}/content", ids={"id": file}, method="GET")
        chunks = chunks_of(response)
        skip = start
        try:
            while True:
                async with asyncio.timeout(IDLE_S):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                if skip >= len(chunk):
                    skip -= len(chunk)
                    continue
                yield chunk[skip:] if skip else chunk
                skip = 0
        except TimeoutError as error:
            raise UpstreamTimeout(f"A file of results stopped for {IDLE_S:g} seconds.") from error
        finally:
            await close(response)

    async def delete(self, deployment: Deployment, file: str) -> None:
        try:
            response = await self._send(deployment, "files", "files/{id}", ids={"id": file}, method="DELETE")
        except NotFound:
            return
        await read(response, idle_s=ASK_S)

    async def uploads(self, deployment: Deployment) -> dict[str, str]:
        payload = await self._json(deployment, "files", "files", query=[("purpose", "batch")], method="GET")
        data = payload.get("data")
        files = [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []
        return {str(one.get("id")): str(one.get("filename")) for one in files}

    async def _json(self, deployment: Deployment, operation: str, path: str, **rest: Any) -> dict[str, Any]:
        return await _read(await self._send(deployment, operation, path, **rest))

    async def _send(
        self,
        deployment: Deployment,
        operation: str,
        path: str,
        *,
        content: Content | None = None,
        ids: Mapping[str, str] | None = None,
        query: list[tuple[str, str]] | None = None,
        method: str = "POST",
        seconds: float = ASK_S,
    ) -> httpx.Response:
        outgoing = Outgoing(
            operation=operation,
            path=path,
            content=content,
            entry_id=self._next_id(),
            accept="application/json",
            first_byte_s=seconds,
            method=method,
            ids=ids or {},
            query=query or (),
            bound=bool(ids),
        )
        return await self._client.send(deployment, outgoing)


async def _read(response: httpx.Response) -> dict[str, Any]:
    try:
        payload = orjson.loads(await read(response, idle_s=ASK_S))
    except orjson.JSONDecodeError:
        payload = None
    if not isinstance(payload, dict):
        raise UpstreamFailed("The resource answered with something that is no JSON object.")
    return payload


def _seen(payload: dict[str, Any]) -> Seen:
    seen = seen_of(payload)
    if seen is None:
        raise UpstreamFailed("The resource answered with something that is not a batch.")
    return seen


def _id_of(payload: dict[str, Any]) -> str:
    found = payload.get("id")
    if not isinstance(found, str) or not found:
        raise UpstreamFailed("The resource answered with something that is not a file.")
    return found


def _status_of(payload: dict[str, Any]) -> str:
    return str(payload.get("status") or "").lower()


def _number(headers: Mapping[str, str], name: str) -> int | None:
    written = headers.get(name, "")
    return int(written) if written.isdigit() and int(written) > 0 else None
