"""Copies of files at a resource, for models to read."""

from __future__ import annotations

from typing import IO, Protocol

from shared.files.stored_file import StoredFile
from shared.upstream import resource_files
from shared.upstream.deployment import Deployment

PURPOSES = {"azure": "assistants", "openai": "user_data"}
"""What a file that a model reads is for; Azure has no `user_data`."""


class ResourceFiles(Protocol):
    """What copies need of the resources. Every method raises SpillwayError."""

    async def upload(self, deployment: Deployment, file: StoredFile, data: IO[bytes]) -> tuple[str, bool]:
        """Uploads a file for models to read; its id there, and whether it can be used at once."""

    async def is_ready(self, deployment: Deployment, file: str) -> bool:
        """Whether it can be used. Raises NotFound."""

    async def delete(self, deployment: Deployment, file: str) -> None:
        """Removes it; one that is not there is removed already."""


class AzureFiles(resource_files.ResourceFiles):
    """Files of resources as they are reached over the network."""

    async def upload(self, deployment: Deployment, file: StoredFile, data: IO[bytes]) -> tuple[str, bool]:
        part = resource_files.Part(file.filename, file.content_type, file.bytes_count, data)
        return await self.put(deployment, PURPOSES[deployment.provider], part)
