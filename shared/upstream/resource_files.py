"""Files of a resource as they are reached over the network: uploaded, asked for, read and removed there.

Batches, fine-tuning jobs and the copies of files each add what they alone ask of a resource.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import IO, Any, NamedTuple

import orjson

from shared.errors import NotFound, UpstreamFailed, UpstreamTimeout
from shared.upstream.client import Outgoing, UpstreamClient
from shared.upstream.content import Content, Form, FormFile
from shared.upstream.deployment import Deployment
from shared.upstream.transport import chunks_of, close, read
from shared.upstream.wire import Response

ASK_S = 20.0
UPLOAD_S, UPLOAD_BYTES_PER_S = 30.0, 2_000_000
IDLE_S = 30.0
EXPIRES_S = 14 * 86_400
"""A file that everybody forgot expires there: Azure's shortest, and it counts against the larger quota of files (10,000
with an expiry, 500 without)."""
UNREADY = frozenset({"pending", "running", "uploading"})
Query = Sequence[tuple[str, str]]


class Part(NamedTuple):
    """What is uploaded as a file. `bytes_count` is the length of `data`."""

    filename: str
    content_type: str
    bytes_count: int
    data: IO[bytes]


class ResourceFiles:
    """Files of resources. `next_id` gives ids for the requests. Every method raises SpillwayError."""

    def __init__(self, client: UpstreamClient, next_id: Callable[[], str]) -> None:
        self._client = client
        self._next_id = next_id

    async def is_ready(self, deployment: Deployment, file: str) -> bool:
        """Whether an uploaded file can be used. Raises NotFound."""
        payload = await self.ask(deployment, "files", "files/{id}", ids={"id": file}, method="GET")
        return _is_ready(payload)

    async def content(self, deployment: Deployment, file: str, start: int = 0) -> AsyncGenerator[bytes, None]:
        """The bytes of a file from `start` on, in order, once. Raises NotFound, and UpstreamTimeout when the file
        stops for IDLE_S."""
        response = await self.send(deployment, "files", "files/{id}/content", ids={"id": file}, method="GET")
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
        """Removes a file; one that is not there is removed already."""
        try:
            response = await self.send(deployment, "files", "files/{id}", ids={"id": file}, method="DELETE")
        except NotFound:
            return
        await read(response, idle_s=ASK_S)  # older api-versions say nothing to a deletion

    async def put(
        self, deployment: Deployment, purpose: str, part: Part, *, expires_s: int | None = EXPIRES_S
    ) -> tuple[str, bool]:
        """Uploads a file; its id there, and whether it can be used at once."""
        fields: dict[str, str | list[str]] = {"purpose": purpose}
        if expires_s is not None:
            fields |= {"expires_after[anchor]": "created_at", "expires_after[seconds]": str(expires_s)}
        form = Form(fields, (FormFile("file", part.filename, part.content_type, part.bytes_count, part.data),))
        seconds = UPLOAD_S + part.bytes_count / UPLOAD_BYTES_PER_S
        payload = await self.ask(deployment, "files", "files", content=form, seconds=seconds)
        found = payload.get("id")
        if not isinstance(found, str) or not found:
            raise UpstreamFailed("The resource answered with something that is not a file.")
        return found, _is_ready(payload)

    async def names(self, deployment: Deployment, purpose: str) -> dict[str, str]:
        """The names of the resource's files of a purpose, by their ids."""
        payload = await self.ask(deployment, "files", "files", query=[("purpose", purpose)], method="GET")
        data = payload.get("data")
        files = [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []
        return {str(one["id"]): str(one.get("filename")) for one in files if one.get("id")}

    async def ask(self, deployment: Deployment, operation: str, path: str, **rest: Any) -> dict[str, Any]:
        """The JSON object that a resource answers with; `rest` is that of `send`."""
        return await read_object(await self.send(deployment, operation, path, **rest))

    async def send(
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
    ) -> Response:
        """The answer of a resource, whose body is not read yet. `seconds` is how long its first byte may take."""
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


async def read_object(
    response: Response, *, idle_s: float = ASK_S, otherwise: str = "no JSON object"
) -> dict[str, Any]:
    """The JSON object that an answer is. Raises UpstreamFailed, which says what it is `otherwise`."""
    try:
        payload = orjson.loads(await read(response, idle_s=idle_s))
    except orjson.JSONDecodeError:
        payload = None
    if not isinstance(payload, dict):
        raise UpstreamFailed(f"The resource answered with something that is {otherwise}.")
    return payload


def _is_ready(payload: Mapping[str, Any]) -> bool:
    return str(payload.get("status") or "").lower() not in UNREADY
