"""Splits a byte stream into server-sent events without changing a byte.

Joining what `feed` and `flush` return gives the input again. Line ends are LF, CRLF or CR (WHATWG HTML §9.2.5); an
event ends with a blank line. A chunk may end anywhere, also inside a UTF-8 character.
"""

from __future__ import annotations

import re

EVENT_BYTES_MAX = 64 * 1024 * 1024
DONE = b"[DONE]"

# Atomic groups: CRLF is one line end, never two.
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")


class EventTooLarge(ValueError):
    """One event is over the bound: the upstream is not speaking SSE, or not sanely."""


class Framer:
    """An incremental splitter; one per stream."""

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._has_cr = False
        self._event_bytes_max = event_bytes_max

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that `chunk` completes, each with its blank line. Raises EventTooLarge."""
        buffer = self._buffer
        whole = chunk.endswith(b"\n\n") and not chunk.endswith(b"\n\n\n")
        if whole and not buffer and not self._has_cr and b"\r" not in chunk:
            if len(chunk) > self._event_bytes_max:
                raise EventTooLarge(f"a stream event is over {self._event_bytes_max} bytes")
            return [part + b"\n\n" for part in chunk[:-2].split(b"\n\n")]  # whole events, as nearly always
        buffer += chunk
        # Once a CR was seen the slower search stays: it finds LF as well.
        self._has_cr = self._has_cr or b"\r" in chunk
        events: list[bytes] = []
        start, scan = 0, self._scanned
        while (end := self._event_end(scan)) >= 0:
            events.append(bytes(buffer[start:end]))
            start = scan = end
        del buffer[:start]
        self._scanned = max(len(buffer) - 3, 0)  # what was searched is not searched again
        if len(buffer) > self._event_bytes_max:
            raise EventTooLarge(f"a stream event is over {self._event_bytes_max} bytes")
        return events

    def flush(self) -> bytes:
        """What is left at the end of the stream: an event without its blank line, or nothing."""
        left = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        return left

    def _event_end(self, scan: int) -> int:
        """Index after the next blank line, -1 while there is none; a CR at the very end may be half of a CRLF."""
        buffer = self._buffer
        if not self._has_cr:
            found = buffer.find(b"\n\n", scan)
            return found + 2 if found >= 0 else -1
        match = _BLANK_LINE.search(buffer, scan)
        if match is None or (match.end() == len(buffer) and buffer.endswith(b"\r")):
            return -1
        return match.end()


def data_of(event: bytes) -> bytes | None:
    """The event's data, its `data:` lines joined by LF; None for a comment or an event without data."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
        return event[6:-2]
    lines: list[bytes] = []
    for line in _LINE_END.split(event.removeprefix(_BOM)):
        field, _, value = line.partition(b":")
        if field == b"data":
            lines.append(value.removeprefix(b" "))
    return b"\n".join(lines) if lines else None


def event(data: bytes) -> bytes:
    """An event with this data, which holds no line end."""
    return b"data: " + data + b"\n\n"


def with_data(event: bytes, data: bytes) -> bytes:
    """The event with other data, which holds no line end; its other fields and comments stay."""
    kept = [line for line in _LINE_END.split(event) if line and line.partition(b":")[0].lstrip(_BOM) != b"data"]
    return b"\n".join([*kept, b"data: " + data, b"", b""])


def comment(text: str) -> bytes:
    """A comment, which clients skip; it keeps the connection alive."""
    return b": " + text.encode() + b"\n\n"
