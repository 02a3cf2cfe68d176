"""Lines of a file of requests or results (JSONL), cut from its bytes in bounded memory. Pure, but for `lines_of`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

LINE_BYTES_MAX = 16 * 1024 * 1024
"""A line is held whole; Azure itself takes no request near this size but for images inside."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Some whole lines without their line ends: the first has the number `first` (from 1), `end` is the offset of the
    byte behind the last one's end, at which reading can go on with number `first + len(lines)`."""

    first: int
    lines: list[bytes]
    end: int


class LineTooLong(Exception):
    """The line with this `number` is over LINE_BYTES_MAX; nothing behind it was read."""

    def __init__(self, number: int) -> None:
        super().__init__(f"line {number} is over {LINE_BYTES_MAX} bytes")
        self.number = number


class LineSplitter:
    """Cuts chunks into lines. `start` and `number` are the offset and the number of the line to begin with."""

    def __init__(self, start: int = 0, number: int = 1, bytes_max: int = LINE_BYTES_MAX) -> None:
        self._number = number
        self._end = start
        self._bytes_max = bytes_max
        self._parts: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> Lines:
        """The lines that end in this chunk, perhaps none. Raises LineTooLong."""
        cut = chunk.rfind(b"\n")
        if cut < 0:
            self._hold(chunk)
            return Lines(self._number, [], self._end)
        lines = chunk[:cut].split(b"\n")
        self._hold(lines[0])
        lines[0] = b"".join(self._parts)
        self._parts, self._held = [], 0
        if max(map(len, lines)) > self._bytes_max:
            raise LineTooLong(self._number + next(at for at, one in enumerate(lines) if len(one) > self._bytes_max))
        found = self._found(lines, sum(map(len, lines)) + len(lines))
        self._hold(chunk[cut + 1 :])
        return found

    def flush(self) -> Lines:
        """The last line, when it has no line end."""
        last, self._parts, self._held = b"".join(self._parts), [], 0
        return self._found([last], len(last)) if last else Lines(self._number, [], self._end)

    def _hold(self, part: bytes) -> None:
        if part:
            self._parts.append(part)
            self._held += len(part)
        if self._held > self._bytes_max:
            raise LineTooLong(self._number)

    def _found(self, lines: list[bytes], bytes_count: int) -> Lines:
        found = Lines(self._number, lines, self._end + bytes_count)
        self._number += len(lines)
        self._end = found.end
        return found


async def lines_of(chunks: AsyncIterator[bytes], start: int = 0, number: int = 1) -> AsyncIterator[Lines]:
    """The lines of a stored file, some at a time: `async for some in lines_of(store.whole(file))`.

    To go on where an earlier run ended, open the file at its `end`:
    `lines_of(store.chunks(await store.open(file, end)), end, number)`. Raises LineTooLong and what `chunks` raises.
    """
    splitter = LineSplitter(start, number)
    async for chunk in chunks:
        some = splitter.feed(chunk)
        if some.lines:
            yield some
    last = splitter.flush()
    if last.lines:
        yield last
