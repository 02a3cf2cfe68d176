"""What goes back to the client: whole, or as a stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

Write = Callable[[bytes], Awaitable[None]]


@dataclass(slots=True)
class BufferedReply:
    """Status, headers and the whole body."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


class StreamRun(Protocol):
    """Writes a stream. Called once; returns when the last byte is written. A failure of the upstream is an event of
    the stream; where the bytes are no events it is raised, and whoever owns the connection breaks it."""

    async def __call__(self, write: Write) -> None: ...


@dataclass(slots=True)
class StreamedReply:
    """Status and headers, then whatever `run` writes."""

    run: StreamRun
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    media_type: str = "text/event-stream"


Reply = BufferedReply | StreamedReply
