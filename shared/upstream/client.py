"""Sends one attempt to one deployment and says what became of it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.catalog.carried import NOTHING
from shared.errors import BadRequest, DeploymentNotFound, SpillwayError, UpstreamMisconfigured, UpstreamUnreachable
from shared.upstream.answers import error_of, operator_reason
from shared.upstream.content import Content, request
from shared.upstream.deployment import Deployment
from shared.upstream.transport import close, create_transport, read, send
from shared.upstream.wire import Response, Transport, is_success
from shared.values import statically_frozen

log = logging.getLogger("spillway")

PUBLIC_MAX = 100
"""Connections to addresses that callers chose."""
ERROR_BYTES_MAX = 1024 * 1024
ERROR_IDLE_S = 10.0
COMPLAINT_PAUSE_S = 60.0
"""A deployment that refuses the gateway is named in the log at most so often."""
COMPLAINTS_MAX = 1000


@statically_frozen
@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request to a deployment: `operation` and its `path` below the surface, its content, seconds to wait.

    `ids` fill the braces of the path, `query` is added to the address, `carries` are the fields that decide its
    api-version. `bound`: the request names a thing of the
    resource, so that a 404 is about that. `entry_id` goes along as `x-ms-client-request-id`, so that Azure's logs and
    our records can be joined.
    """

    operation: str
    path: str
    content: Content | None
    entry_id: str
    accept: str
    first_byte_s: float
    method: str = "POST"
    ids: Mapping[str, str] = field(default_factory=dict)
    query: Sequence[tuple[str, str]] = ()
    bound: bool = False
    carries: frozenset[str] = NOTHING


class UpstreamClient:
    """Speaks to every deployment over one pool of connections, and over `public`, which reaches public addresses only,
    where a caller chose the address. Belongs to the running event loop."""

    def __init__(
        self,
        transport: Transport,
        public: Callable[[], Transport] = lambda: create_transport(PUBLIC_MAX, public_only=True),
    ) -> None:
        self._transport = transport
        self._make_public = public
        self._public: Transport | None = None
        self._complained_at: dict[str, float] = {}

    async def send(self, deployment: Deployment, outgoing: Outgoing) -> Response:
        """The answer when it is a 2xx, its body still on the wire; else the error that it stands for.

        No header of the client's is sent on. Raises SpillwayError.
        """
        try:
            response = await self.ask(deployment, outgoing)
        except UpstreamUnreachable as unreachable:
            self._complain(deployment, f"cannot be reached: {kind_of(unreachable)}")
            raise
        if is_success(response.status):
            return response
        answer = await _refusal(response)
        error = error_of(response.status, response.headers, answer, time.time(), bound=outgoing.bound)
        if deployment.of_client and isinstance(error, UpstreamMisconfigured):
            raise BadRequest("The model's deployment refuses the credentials of this request.", code="invalid_api_key")
        if isinstance(error, UpstreamMisconfigured | DeploymentNotFound):
            self._complain(deployment, f"is refused: {operator_reason(response.status, answer)}")
        raise error

    async def ask(self, deployment: Deployment, outgoing: Outgoing) -> Response:
        """The answer, whatever it says, its body still on the wire. A token that Azure refuses is replaced and the
        request sent once more. Raises SpillwayError when there is none."""
        credential = await deployment.credential.header()
        response = await self._once(deployment, outgoing, credential)
        if response.status == 401 and deployment.credential.refused(credential[1]):
            await close(response)
            response = await self._once(deployment, outgoing, await deployment.credential.header())
        return response

    async def close(self) -> None:
        """Closes every connection."""
        await self._transport.close()
        if self._public is not None:
            await self._public.close()

    def _transport_for(self, deployment: Deployment) -> Transport:
        if not deployment.public_only:
            return self._transport
        if self._public is None:
            self._public = self._make_public()
        return self._public

    async def _once(self, deployment: Deployment, outgoing: Outgoing, credential: tuple[str, str]) -> Response:
        name, value = credential
        headers = {
            name: value,
            "accept": outgoing.accept,
            "accept-encoding": "identity",
            "user-agent": "spillway",
            "x-ms-client-request-id": outgoing.entry_id,
        }
        url = deployment.url(outgoing.operation, outgoing.path, outgoing.ids, outgoing.query, outgoing.carries)
        return await send(
            self._transport_for(deployment),
            request(outgoing.method, url, headers, outgoing.content),
            connect_s=deployment.timeouts.connect_s,
            first_byte_s=outgoing.first_byte_s,
        )

    def _complain(self, deployment: Deployment, what: str) -> None:
        now = time.monotonic()
        if now - self._complained_at.get(deployment.id, -COMPLAINT_PAUSE_S) >= COMPLAINT_PAUSE_S:
            self._complained_at.pop(deployment.id, None)
            self._complained_at[deployment.id] = now
            if len(self._complained_at) > COMPLAINTS_MAX:  # wildcard entries have as many names as callers think of
                del self._complained_at[next(iter(self._complained_at))]
            log.error("%s (deployment %s) %s", deployment.model_name, deployment.label, what)


def kind_of(error: UpstreamUnreachable) -> str:
    """What kind of failure it was: the classes behind it and the system's word for it, whose own text names the host,
    which nobody may be told."""
    kinds: list[str] = []
    cause: BaseException | None = error.__cause__
    while cause is not None and len(kinds) < 4:
        number = cause.errno if isinstance(cause, OSError) else None
        kinds.append(type(cause).__name__ + (f" ({os.strerror(number)})" if number and number > 0 else ""))
        cause = cause.__cause__
    return ", ".join(kinds) or "no reason known"


async def _refusal(response: Response) -> bytes:
    """An error's body; empty when it cannot be read whole, because the status has told what matters."""
    try:
        return await read(response, idle_s=ERROR_IDLE_S, bytes_max=ERROR_BYTES_MAX)
    except SpillwayError:
        return b""
