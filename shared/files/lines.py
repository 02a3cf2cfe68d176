"""Lines of a file of requests (JSONL), cut from its bytes in bounded memory. Pure."""

from __future__ import annotations

from dataclasses import dataclass

LINE_BYTES_MAX = 16 * 1024 * 1024
"""A line is held whole; Azure itself takes no request near this size but for images inside."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Some whole lines without their line ends; the first has the number `first`, counted from 1."""

    first: int
    lines: list[bytes]


class LineTooLong(Exception):
    """The line with this `number` is too long; nothing behind it was read."""

    def __init__(self, number: int) -> None:
        super().__init__(f"line {number} is too long")
        self.number = number


class LineSplitter:
    """Cuts chunks into lines."""

    def __init__(self, bytes_max: int = LINE_BYTES_MAX) -> None:
        self._number = 1
        self._bytes_max = bytes_max
        self._parts: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> Lines:
        """The lines that end in this chunk, perhaps none. Raises LineTooLong."""
        cut = chunk.rfind(b"\n")
        if cut < 0:
            self._hold(chunk)
            return Lines(self._number, [])
        lines = chunk[:cut].split(b"\n")
        self._hold(lines[0])
        lines[0] = b"".join(self._parts)
        self._parts, self._held = [], 0
        if max(map(len, lines)) > self._bytes_max:
            raise LineTooLong(self._number + next(at for at, one in enumerate(lines) if len(one) > self._bytes_max))
        found = self._found(lines)
        self._hold(chunk[cut + 1 :])
        return found

    def flush(self) -> Lines:
        """The last line, when it has no line end."""
        last, self._parts, self._held = b"".join(self._parts), [], 0
        return self._found([last] if last else [])

    def _hold(self, part: bytes) -> None:
        if part:
            self._parts.append(part)
            self._held += len(part)
        if self._held > self._bytes_max:
            raise LineTooLong(self._number)

    def _found(self, lines: list[bytes]) -> Lines:
        found = Lines(self._number, lines)
        self._number += len(lines)
        return found
