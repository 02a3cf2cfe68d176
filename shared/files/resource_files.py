"""Files of a resource, as copies need them: uploaded, asked for, removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any, Protocol

import orjson

from shared.errors import NotFound, UpstreamFailed
from shared.files.stored_file import StoredFile
from shared.upstream.client import Outgoing, UpstreamClient
from shared.upstream.content import Content, Form, FormFile
from shared.upstream.deployment import Deployment
from shared.upstream.transport import read

ASK_S = 20.0
UPLOAD_S, UPLOAD_BYTES_PER_S = 30.0, 2_000_000
EXPIRES_S = 14 * 86_400
"""A copy that everybody forgot expires there: Azure's shortest, and it counts against the larger quota of files (10,000
with an expiry, 500 without)."""
UNREADY = frozenset({"pending", "running", "uploading"})
PURPOSES = {"azure": "assistants", "openai": "user_data"}
"""What a file that a model reads is for; Azure has no `user_data`."""


class ResourceFiles(Protocol):
    """What copies need of the resources. Every method raises SpillwayError."""

    async def upload(self, deployment: Deployment, file: StoredFile, data: IO[bytes]) -> tuple[str, bool]:
        """Uploads a file for models to read; its id there, and whether it can be used at once."""

    async def is_ready(self, deployment: Deployment, upstream_id: str) -> bool:
        """Whether it can be used. Raises NotFound."""

    async def delete(self, deployment: Deployment, upstream_id: str) -> None:
        """Removes it; one that is not there is removed already."""


class AzureFiles:
    """Files of resources as they are reached over the network. `next_id` gives ids for the requests."""

    def __init__(self, client: UpstreamClient, next_id: Callable[[], str]) -> None:
        self._client = client
        self._next_id = next_id

    async def upload(self, deployment: Deployment, file: StoredFile, data: IO[bytes]) -> tuple[str, bool]:
        fields: dict[str, str | list[str]] = {
            "purpose": PURPOSES[deployment.provider],
            "expires_after[anchor]": "created_at",
            "expires_after[seconds]": str(EXPIRES_S),
        }
        form = Form(fields, (FormFile("file", file.filename, file.content_type, file.bytes_count, data),))
        seconds = UPLOAD_S + file.bytes_count / UPLOAD_BYTES_PER_S
        payload = await self._ask(deployment, "files", content=form, seconds=seconds)
        upstream_id = payload.get("id")
        if not isinstance(upstream_id, str) or not upstream_id:
            raise UpstreamFailed("The resource answered with something that is not a file.")
        return upstream_id, _is_ready(payload)

    async def is_ready(self, deployment: Deployment, upstream_id: str) -> bool:
        return _is_ready(await self._ask(deployment, "files/{id}", upstream_id, method="GET"))

    async def delete(self, deployment: Deployment, upstream_id: str) -> None:
        try:
            await self._ask(deployment, "files/{id}", upstream_id, method="DELETE")
        except NotFound:
            return

    async def _ask(
        self,
        deployment: Deployment,
        path: str,
        upstream_id: str = "",
        *,
        content: Content | None = None,
        method: str = "POST",
        seconds: float = ASK_S,
    ) -> dict[str, Any]:
        outgoing = Outgoing(
            operation="files",
            path=path,
            content=content,
            entry_id=self._next_id(),
            accept="application/json",
            first_byte_s=seconds,
            method=method,
            ids={"id": upstream_id} if upstream_id else {},
            bound=bool(upstream_id),
        )
        answer = await read(await self._client.send(deployment, outgoing), idle_s=ASK_S)
        if not answer.strip():  # what older api-versions say to a deletion
            return {}
        try:
            payload = orjson.loads(answer)
        except orjson.JSONDecodeError:
            payload = None
        if not isinstance(payload, dict):
            raise UpstreamFailed("The resource answered with something that is no JSON object.")
        return payload


def _is_ready(payload: dict[str, Any]) -> bool:
    return str(payload.get("status") or "").lower() not in UNREADY
