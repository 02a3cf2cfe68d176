"""A stream that is no event stream: audio, forwarded as it arrives."""

from __future__ import annotations

from shared.errors import SpillwayError
from shared.operations.operation import Splitter
from shared.usage.usage import Usage


class Whole:
    """Does not cut."""

    def feed(self, chunk: bytes) -> list[bytes]:
        return [chunk]

    def flush(self) -> bytes:
        return b""


class PassedBytes:
    """Bytes in, the same bytes out. `usage` is known before: what was sent is what is billed."""

    def __init__(self, usage: Usage) -> None:
        self.began = False
        self.ended = False
        self.error: SpillwayError | None = None
        self.failure: SpillwayError | None = None
        self.goes_on: str | None = None
        self.usage: Usage | None = usage
        self.splitter: Splitter = Whole()
        self.closing = b""
        self.estimated_completion = 0

    def feed(self, event: bytes) -> bytes:
        self.began = True
        return event

    def release(self) -> bytes:
        return b""

    def finish(self) -> bytes:
        return b""

    @property
    def whole(self) -> bool:
        return self.began
