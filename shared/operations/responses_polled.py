"""A background response, asked for by the timer: at its own resource, by any deployment that reaches it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared.catalog.price import UNPRICED, Price
from shared.errors import NotFound
from shared.operations import responses
from shared.operations.background import Job
from shared.routing.router import Router
from shared.upstream.client import Outgoing, UpstreamClient
from shared.upstream.resource_files import read_object

POLL_S = 15.0
"""How long the resource may take to answer: it has only to look the response up."""


class ResponsePoll:
    """Reads responses as the timer's `Ask`. `next_id` gives ids for the requests."""

    def __init__(self, router: Router, client: UpstreamClient, next_id: Callable[[], str]) -> None:
        self._router = router
        self._client = client
        self._next_id = next_id

    def price(self, deployment_id: str) -> Price:
        """What a deployment charges, as it is configured now."""
        known = self._router.candidates("", responses.MODES, responses.PROVIDERS)
        return next((one.price for one in known if one.id == deployment_id), UNPRICED)

    async def __call__(self, job: Job) -> dict[str, Any] | None:
        """The response as it is now, None when its resource no longer has it. Raises SpillwayError."""
        reachable = self._router.candidates("", responses.MODES, responses.PROVIDERS)
        deployment = self._router.reachable(self._router.bound(reachable, job.resource, ""))
        outgoing = Outgoing(
            operation=responses.CATALOG,
            path="responses/{id}",
            content=None,
            entry_id=self._next_id(),
            accept="application/json",
            first_byte_s=POLL_S,
            method="GET",
            ids={"id": job.upstream_id},
            bound=True,
        )
        try:
            response = await self._client.send(deployment, outgoing)
        except NotFound:
            return None
        return await read_object(response, idle_s=POLL_S, otherwise="not a response")
