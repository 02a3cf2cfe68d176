"""Resources that keep files in memory, for tests of copies."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import IO

from shared.catalog.capabilities import UNKNOWN
from shared.catalog.policy import ParameterPolicy
from shared.config import Timeouts
from shared.errors import BadRequest, NotFound, SpillwayError
from shared.files.stored_file import StoredFile
from shared.upstream.credentials import api_key
from shared.upstream.deployment import Deployment
from shared.upstream.endpoint import Endpoint


def deployment(resource: str) -> Deployment:
    """A deployment at a resource of this name."""
    return Deployment(
        model_name="m",
        name="d",
        id=f"dep_{resource}",
        resource_id=resource,
        provider="azure",
        endpoint=Endpoint("azure", f"https://{resource}.openai.azure.com", api_version="2024-10-21"),
        credential=api_key("k", bearer=False),
        timeouts=Timeouts(),
        version_policy="upgrade",
        parameters=ParameterPolicy(),
        capability=UNKNOWN,
        mode=None,
        base_model=None,
        order=None,
        weight=1.0,
    )


EAST, WEST = deployment("east"), deployment("west")


class Resources:
    """What is at each resource: bytes by resource and upstream id. `ready_after` asks, a file can be used; `full` at so
    many files a resource takes no more. `failure` is raised by the next request; `lost` ids are not found."""

    def __init__(
        self, before: Callable[[str], None] = lambda what: None, after: Callable[[str], None] = lambda what: None
    ) -> None:
        self.files: dict[tuple[str, str], bytes] = {}
        self.uploads = 0
        self.asked = 0
        self.ready_after = 0
        self.full = 1000
        self.failure: SpillwayError | None = None
        self.lost: set[str] = set()
        self._before = before
        self._after = after
        self._names = itertools.count(1)

    def at(self, one: Deployment) -> list[str]:
        """The upstream ids at a deployment's resource."""
        return [upstream_id for resource, upstream_id in self.files if resource == one.resource_id]

    async def upload(self, deployment: Deployment, file: StoredFile, data: IO[bytes]) -> tuple[str, bool]:
        self._begin("upload")
        if len(self.at(deployment)) >= self.full:
            raise BadRequest("The resource is full.", code="quotaExceeded")
        data.seek(0)
        upstream_id = f"assistant-{next(self._names)}"
        self.files[deployment.resource_id, upstream_id] = data.read()
        self.uploads += 1
        self._after("upload")
        return upstream_id, self.ready_after == 0

    async def is_ready(self, deployment: Deployment, upstream_id: str) -> bool:
        self._begin("is_ready")
        self.asked += 1
        if upstream_id in self.lost:
            raise NotFound("There is no such file.")
        return self.asked >= self.ready_after

    async def delete(self, deployment: Deployment, upstream_id: str) -> None:
        self._begin("delete")
        self.files.pop((deployment.resource_id, upstream_id), None)
        self._after("delete")

    def _begin(self, what: str) -> None:
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        self._before(what)
