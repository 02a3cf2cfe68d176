"""The nouns of floor 3: Operation (one endpoint and its rules) and Call (one parsed request)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from shared.callers.caller import Caller
from shared.catalog.capabilities import Capability
from shared.errors import Replay, SpillwayError
from shared.operations.context import Context
from shared.operations.reply import Reply
from shared.operations.simulated import streamed_completion
from shared.seal import Seal
from shared.shapes import Shape
from shared.upstream.content import Content, FormFile
from shared.upstream.deployment import Deployment
from shared.usage.pictures import Counted
from shared.usage.usage import Usage
from shared.values import replacer, statically_frozen

TEXT = frozenset({Replay.FREELY, Replay.FAILED, Replay.BROKEN})
"""What writes text is sent again where its connection broke: the client would be told to do so, and pay as much."""
BodyKind = Literal["json", "form", "none"]
FREE = "nothing"
"""The `billing_unit` of what costs nothing, and is in no ledger."""
Query = tuple[tuple[str, str], ...]
"""Names and values of a query string, in order; a name may come more than once."""


@statically_frozen
@dataclass(frozen=True, slots=True)
class Incoming:
    """What a request says, before an operation has looked at it.

    `path_model` is the deployment of an Azure-style path. `body` is the JSON object, or a form's fields (a field
    that came twice is a list); `files` are the form's files. `ids` are what stands for the braces of the path, as
    the client wrote it; `query` is the query string. `seal` seals and opens ids for this caller.
    """

    call_id: str
    caller: Caller
    path_model: str | None
    body: dict[str, Any]
    seal: Seal
    files: tuple[FormFile, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)
    query: Query = ()


@statically_frozen
@dataclass(frozen=True, slots=True)
class Call:
    """One parsed request. `body` is the client's own without what was meant for the gateway; never changed.

    `model` is "" where an id alone says what is meant. `timeout_s` is the request's own limit in seconds, None for
    the deployment's. `ids` and `query` go into the upstream's address. `resource` is the tag of the resource that
    the call is bound to by an id it carries, and, once it is sent, of the one that it was sent to. `seal` makes ids
    for the reply; `file_of` gives the file's id for the upstream id of its copy. `pictures` counts its images.
    """

    call_id: str
    caller: Caller
    model: str
    body: dict[str, Any]
    stream: bool
    seal: Seal
    timeout_s: float | None = None
    files: tuple[FormFile, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)
    query: Query = ()
    resource: bytes | None = None
    pictures: Counted = field(default_factory=Counted)
    file_of: Callable[[str], str | None] = lambda upstream_id: None


changed_call = replacer(Call)
"""A call with other values."""


class Splitter(Protocol):
    """Cuts an upstream's bytes into what a translator is fed. Raises EventTooLarge."""

    def feed(self, chunk: bytes) -> list[bytes]: ...

    def flush(self) -> bytes: ...


class EventTranslator(Protocol):
    """Turns upstream events into the client's, one stream at a time, in order, never concurrently.

    `feed` is called once per event and gives the bytes to forward, perhaps none. `began`: the client has been given
    a data event, so failing over is no longer possible. `ended`: the upstream said that it is done. `error`: the
    upstream reported a failure in an event, and nothing more is to be fed. `failure`: the upstream's own last event
    said so and was forwarded, so that the client needs no other. `goes_on`: the upstream id of an answer that is made
    whether or not the stream is read. `release` is called when the beginning has been held back long enough: what was
    kept of it. `finish` is called once, after the last event of an answer that is whole: what was kept back to its
    end. `closing` is the protocol's last event, if it has one. `splitter` cuts the bytes.
    """

    began: bool
    ended: bool
    error: SpillwayError | None
    failure: SpillwayError | None
    goes_on: str | None
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

    `modes`: values of `model_info.mode` it serves (an entry without a mode serves any). `providers`: route prefixes it
    serves. `parse` makes a Call of a request, raising BadRequest; `encode` makes the body for one deployment. `usage`
    reads a whole reply's JSON ({} when the reply is not JSON, which `replies_json` False allows), and `told` adds to it
    what only the request says; a translator does both. `estimate` is a call's usage before its answer, and
    `completion_tokens` what a reply adds, where the upstream told no usage. `translator` is for streamed answers, which
    `speaks_events` tells from plain bytes; `simulate` makes the bytes of a stream from a whole answer, for models that
    cannot stream. `replay`: after which kinds of failure another deployment may be tried. `method` is the upstream's,
    `catalog` the operation's name in shared.catalog.api_versions where it differs from its own. Where ids belong to a
    resource, `seal` replaces those in a whole reply's JSON, in place, and says whether there were any; `scrub` does so
    in the text of an error. `failed` is the failure that a reply's JSON stands for although its status is 200;
    `goes_on` is the upstream id of an answer that is made after its reply. `files` is where a body names files,
    and `files_told` where a reply's JSON does. `tokens_at` is what a model counts of a call with this estimate, where
    models differ: tokens in, and the most that it may answer (None: that is not known; 0: no tokens).
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
    simulate: Callable[[bytes], bytes] = streamed_completion
    speaks_events: Callable[[Call], bool] = lambda call: True
    body: BodyKind = "json"
    body_bytes_max: int | None = None
    replies_json: bool = True
    replay: frozenset[Replay] = frozenset({Replay.FREELY, Replay.FAILED})
    method: str = "POST"
    catalog: str | None = None
    seal: Callable[[Call, dict[str, Any]], bool] | None = None
    told: Callable[[Call, Usage], Usage] = lambda call, usage: usage
    failed: Callable[[Call, dict[str, Any]], SpillwayError | None] | None = None
    goes_on: Callable[[Call, dict[str, Any]], str | None] | None = None
    scrub: Callable[[Call, str], str] | None = None
    files: Shape | None = None
    files_told: Shape | None = None
    tokens_at: Callable[[Call, Usage, Capability], tuple[int, int | None]] | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint of the API and its rules; the routes, their spellings and the docs are made from this.

    `name` is the function's name, which orders the routes in the host. `path` is the canonical one, below `root`,
    without a leading slash; `{id}` is one segment and `{*id}` the rest. `root` "" is for what is no part of OpenAI's
    API and has no other spelling than `aliases`. `deployment_scoped`: also under `/openai/deployments/{deployment}/`
    and `/engines/{model}/`. `open`: no key is asked for; `master`: only the master key may. One of these is set:
    `proxied`, what carries it to a deployment; `serve`, what answers it here, raising SpillwayError; `explains`, the
    operation whose calls it explains.
    """

    name: str
    method: str
    path: str
    summary: str
    deployment_scoped: bool = False
    proxied: Proxied | None = None
    serve: Callable[[Context], Awaitable[Reply]] | None = None
    explains: Proxied | None = None
    root: str = "v1"
    aliases: tuple[str, ...] = ()
    open: bool = False
    master: bool = False

    @property
    def route(self) -> str:
        """The route template of its trigger."""
        return f"{self.root}/{self.path}" if self.root else self.path
