"""What passes through the simulator: a request, the call it makes, and the reply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import orjson

from devtools.simulator.bill import Line
from devtools.simulator.forms import Form
from devtools.simulator.resources import Deployment, Resource
from devtools.simulator.spool import SpooledForm

if TYPE_CHECKING:
    from devtools.simulator.faults import Rule
    from devtools.simulator.limits import Limit
    from devtools.simulator.world import World

JSON = "application/json"
EVENT_STREAM = "text/event-stream; charset=utf-8"
SSE_DONE = b"data: [DONE]\n\n"
PIECE_BYTES = 256 * 1024


@dataclass(slots=True)
class Request:
    """One HTTP request, read to its end. Header names are lower case; `path` is as sent, undecoded.

    An upload's form is in `spooled`, and `body` has only the beginning of what was sent.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    spooled: SpooledForm | None = None


class Event(NamedTuple):
    """One piece of a stream: its bytes, and the tokens of each kind that were generated when it leaves."""

    data: bytes
    tokens: int = 0
    reasoning_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0

    @property
    def tokens_all(self) -> int:
        return self.tokens + self.reasoning_tokens + self.audio_tokens + self.image_tokens

    def plus(self, other: Event) -> Event:
        """This piece with another's tokens, too."""
        return Event(self.data, *(mine + theirs for mine, theirs in zip(self[1:], other[1:], strict=True)))

    def charge(self, line: Line) -> None:
        """Adds its tokens to a line in the bill."""
        line.completion_tokens += self.tokens_all
        line.reasoning_tokens += self.reasoning_tokens
        line.output_audio_tokens += self.audio_tokens
        line.output_image_tokens += self.image_tokens


def data_frame(error: dict[str, Any], sequence: int) -> bytes:
    """An error inside a stream, as most operations send it; `sequence` is the count of events before it."""
    return b"data: " + orjson.dumps(error) + b"\n\n"


@dataclass(frozen=True, slots=True)
class FileBody:
    """The first `size` bytes of a file, as a body that is read from the disk while it is sent."""

    path: Path
    size: int

    def pieces(self, piece_bytes: int = PIECE_BYTES) -> Pieces:
        return Pieces(self, piece_bytes)


class Pieces(Sequence[Event]):
    """A file in pieces of so many bytes; each is read when it is asked for."""

    def __init__(self, body: FileBody, piece_bytes: int) -> None:
        self._body, self._bytes = body, piece_bytes

    def __len__(self) -> int:
        return max(1, -(-self._body.size // self._bytes))

    @overload
    def __getitem__(self, at: int) -> Event: ...
    @overload
    def __getitem__(self, at: slice) -> list[Event]: ...
    def __getitem__(self, at: int | slice) -> Event | list[Event]:
        if isinstance(at, slice):
            return [self[index] for index in range(*at.indices(len(self)))]
        start = at * self._bytes
        if not 0 <= at < len(self):
            raise IndexError(at)
        with self._body.path.open("rb") as file:
            file.seek(start)
            return Event(file.read(min(self._bytes, self._body.size - start)))


@dataclass(slots=True)
class Reply:
    """An answer: buffered (`body`, or `file`) or streamed (`events`). `first_ms` passes before its first byte of body.

    `line` is its line in the bill, open while the stream runs; `limit` admitted the call for `estimate` tokens and
    is told the real ones at the end. `broken` says that a fault cut generation short. `error_frame` writes an error
    into the stream.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: FileBody | None = None
    events: list[Event] | None = None
    first_ms: float = 0.0
    delay_ms: float = 0.0
    line: Line | None = None
    limit: Limit | None = None
    estimate: int = 0
    broken: bool = False
    error_frame: Callable[[dict[str, Any], int], bytes] = data_frame


class Batched(NamedTuple):
    """Which line of which batch a call answers."""

    batch: str
    custom_id: str


@dataclass(slots=True)
class Call:
    """One request to an operation, with everything that its handler may need.

    `body` is the parsed JSON of a JSON operation, `form` the multipart body of one that takes it, `params` what the
    path's template matched, `fault` the rule that strikes the request. `batched` is set when it is a line of a batch.
    """

    world: World
    request: Request
    operation: str
    surface: str
    api_version: str
    resource: Resource
    deployment_name: str = ""
    deployment: Deployment | None = None
    params: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    form: Form = field(default_factory=Form)
    fault: Rule | None = None
    batched: Batched | None = None
