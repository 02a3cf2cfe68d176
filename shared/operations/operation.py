"""The nouns of floor 3: Operation (one endpoint and its rules) and Call (one parsed request)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.callers.caller import Caller
from shared.errors import Replay, SpillwayError
from shared.operations.reply import BufferedReply
from shared.routing.router import Router
from shared.upstream.deployment import Deployment
from shared.usage.usage import Usage


@dataclass(frozen=True, slots=True)
class Call:
    """One parsed request. `body` is the client's JSON without what was meant for the gateway; never changed.

    `timeout_s` is the request's own limit in seconds, None for the deployment's.
    """

    call_id: str
    caller: Caller
    model: str
    body: dict[str, Any]
    stream: bool
    timeout_s: float | None = None


class EventTranslator(Protocol):
    """Turns upstream events into the client's, one stream at a time, in order, never concurrently.

    `feed` is called once per event and gives the bytes to forward, perhaps none. `began`: the client has been given
    a data event, so failing over is no longer possible. `ended`: the upstream said that it is done. `error`: the
    upstream reported a failure in an event, and nothing more is to be fed. `finish` is called once, after the last
    event of an answer that is whole: what was kept back.
    """

    began: bool
    ended: bool
    error: SpillwayError | None
    usage: Usage | None

    def feed(self, event: bytes) -> bytes: ...

    def finish(self) -> bytes: ...

    @property
    def whole(self) -> bool:
        """The answer is complete, although the upstream closed the stream without saying so."""

    @property
    def estimated_completion(self) -> int:
        """Completion tokens, estimated from what passed by."""


@dataclass(frozen=True, slots=True)
class Proxied:
    """How an operation is carried to a deployment.

    `modes`: values of `model_info.mode` it serves (an entry without a mode serves any). `providers`: route prefixes
    it serves. `parse` makes a Call of the client's JSON, raising BadRequest; `encode` makes the body for one
    deployment. `usage` reads a buffered reply's JSON. `prompt_tokens` estimates a call's prompt and
    `completion_tokens` a reply, where the upstream told no usage. `replay`: after which kinds of failure another
    deployment may be tried.
    """

    upstream_path: str
    modes: frozenset[str]
    providers: frozenset[str]
    parse: Callable[[str, Caller, str | None, dict[str, Any]], Call]
    encode: Callable[[Call, Deployment], bytes]
    usage: Callable[[Any], Usage | None]
    translator: Callable[[Call], EventTranslator]
    prompt_tokens: Callable[[Call], int]
    completion_tokens: Callable[[dict[str, Any]], int]
    replay: frozenset[Replay] = frozenset({Replay.FREELY, Replay.FAILED})


Answer = Callable[[Router, Caller, Mapping[str, str]], BufferedReply]


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint of the API and its rules; the routes, their spellings and the docs are made from this.

    `name` is the function's name, which orders the routes in the host. `path` is the canonical one, below `/v1/`,
    without a leading slash; `{id}` is one segment and `{*id}` the rest. `deployment_scoped`: also under
    `/openai/deployments/{deployment}/` and `/engines/{model}/`. Either `proxied` or `answer` is set.
    """

    name: str
    method: str
    path: str
    summary: str
    deployment_scoped: bool = False
    proxied: Proxied | None = None
    answer: Answer | None = field(default=None)

    @property
    def route(self) -> str:
        """The route template of its trigger."""
        return f"v1/{self.path}"
