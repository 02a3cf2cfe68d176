"""The nouns of floor 3: Operation (one endpoint and its rules) and Call (one parsed request)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from shared.callers.caller import Caller
from shared.errors import Replay, SpillwayError
from shared.operations.health import Health
from shared.operations.reply import BufferedReply
from shared.routing.router import Router
from shared.upstream.content import Content, FormFile
from shared.upstream.deployment import Deployment
from shared.usage.usage import Usage

BodyKind = Literal["json", "form", "none"]


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a request says, before an operation has looked at it.

    `path_model` is the deployment of an Azure-style path. `body` is the JSON object, or a form's fields (a field
    that came twice is a list); `files` are the form's files.
    """

    call_id: str
    caller: Caller
    path_model: str | None
    body: dict[str, Any]
    files: tuple[FormFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One parsed request. `body` is the client's own without what was meant for the gateway; never changed.

    `timeout_s` is the request's own limit in seconds, None for the deployment's.
    """

    call_id: str
    caller: Caller
    model: str
    body: dict[str, Any]
    stream: bool
    timeout_s: float | None = None
    files: tuple[FormFile, ...] = ()


class Splitter(Protocol):
    """Cuts an upstream's bytes into what a translator is fed. Raises EventTooLarge."""

    def feed(self, chunk: bytes) -> list[bytes]: ...

    def flush(self) -> bytes: ...


class EventTranslator(Protocol):
    """Turns upstream events into the client's, one stream at a time, in order, never concurrently.

    `feed` is called once per event and gives the bytes to forward, perhaps none. `began`: the client has been given
    a data event, so failing over is no longer possible. `ended`: the upstream said that it is done. `error`: the
    upstream reported a failure in an event, and nothing more is to be fed. `release` is called when the beginning
    has been held back long enough: what was kept of it. `finish` is called once, after the last event of an answer
    that is whole: what was kept back to its end. `closing` is the protocol's last event, if it has one.
    `splitter` cuts the bytes.
    """

    began: bool
    ended: bool
    error: SpillwayError | None
    usage: Usage | None
    splitter: Splitter

    def feed(self, event: bytes) -> bytes: ...

    def release(self) -> bytes: ...

    def finish(self) -> bytes: ...

    @property
    def closing(self) -> bytes: ...

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
    it serves. `parse` makes a Call of a request, raising BadRequest; `encode` makes the body for one deployment.
    `usage` reads a whole reply's JSON ({} when the reply is not JSON, which `replies_json` False allows). `estimate`
    is a call's usage before its answer, and `completion_tokens` what a reply adds, where the upstream told no usage.
    `translator` is for streamed answers, which `speaks_events` tells from plain bytes. `replay`: after which kinds of
    failure another deployment may be tried.
    """

    upstream_path: str
    modes: frozenset[str]
    providers: frozenset[str]
    billing_unit: str
    parse: Callable[[Incoming], Call]
    encode: Callable[[Call, Deployment], Content]
    usage: Callable[[Any], Usage | None]
    estimate: Callable[[Call], Usage]
    completion_tokens: Callable[[dict[str, Any]], int]
    translator: Callable[[Call], EventTranslator] | None = None
    speaks_events: Callable[[Call], bool] = lambda call: True
    body: BodyKind = "json"
    body_bytes_max: int | None = None
    replies_json: bool = True
    replay: frozenset[Replay] = frozenset({Replay.FREELY, Replay.FAILED})


Answer = Callable[[Router, Caller, Mapping[str, str]], BufferedReply]
HealthAnswer = Callable[[Health, Mapping[str, str]], Awaitable[BufferedReply]]
"""Takes the query of the request; the caller, where one is needed, holds the master key."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint of the API and its rules; the routes, their spellings and the docs are made from this.

    `name` is the function's name, which orders the routes in the host. `path` is the canonical one, below `root`,
    without a leading slash; `{id}` is one segment and `{*id}` the rest. `root` "" is for what is no part of OpenAI's
    API and has no other spelling than `aliases`. `deployment_scoped`: also under `/openai/deployments/{deployment}/`
    and `/engines/{model}/`. `open`: no key is asked for. One of `proxied`, `answer` and `health` is set.
    """

    name: str
    method: str
    path: str
    summary: str
    deployment_scoped: bool = False
    proxied: Proxied | None = None
    answer: Answer | None = field(default=None)
    health: HealthAnswer | None = field(default=None)
    root: str = "v1"
    aliases: tuple[str, ...] = ()
    open: bool = False

    @property
    def route(self) -> str:
        """The route template of its trigger."""
        return f"{self.root}/{self.path}" if self.root else self.path
