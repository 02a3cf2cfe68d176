"""A multipart form read while it arrives: its small fields whole, its files piece by piece, nothing on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from shared.errors import BadRequest, ClientClosedRequest, SpillwayError

FIELD_BYTES_MAX = 64 * 1024
PARTS_MAX = 100
IDLE_S = 60.0
"""A client that sends nothing for so long has left: what it holds here is others'."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field and its whole value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FileBegins:
    """A file begins; its bytes follow, until the next Field or FileBegins."""

    name: str
    filename: str
    content_type: str


Event = Field | FileBegins | bytes
"""`bytes` are the next ones of the file that began last."""


async def events(request: Request, bytes_max: int, too_large: SpillwayError) -> AsyncGenerator[Event]:
    """What a form of at most `bytes_max` bytes consists of, in its order.

    Raises BadRequest for what is no form or ends before its end, `too_large`, and ClientClosedRequest when the client
    leaves or stops.
    """
    parser = _Parser(request.headers.get("content-type", ""))
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > bytes_max):
        raise too_large
    count, chunks = 0, request.stream()
    try:
        while True:
            async with asyncio.timeout(IDLE_S):
                chunk = await anext(chunks, None)
            if chunk is None:
                break
            count += len(chunk)
            if count > bytes_max:
                raise too_large
            for event in parser.feed(chunk):
                yield event
    except ClientDisconnect:
        raise ClientClosedRequest("The client left while it was sending its request.") from None
    except TimeoutError:
        raise ClientClosedRequest(f"The client sent nothing for {IDLE_S:g} seconds.") from None
    if not parser.whole:
        raise _unreadable("it ends in the middle")


class _Parser:
    """Collects the events of one form. `whole`: the form has come to its end."""

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise BadRequest("The request must be a multipart/form-data form.", code="invalid_content_type")
        self.whole = False
        self._events: list[Event] = []
        self._count = 0
        self._headers: dict[bytes, bytes] = {}
        self._header = [b"", b""]
        self._name = ""
        self._value: bytearray | None = None
        self._parser = MultipartParser(boundary, {
            "on_part_begin": self._on_part_begin,
            "on_header_field": lambda data, start, end: self._on_header(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._on_header(1, data[start:end]),
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        })  # fmt: skip

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk brings. Raises BadRequest."""
        try:
            self._parser.write(chunk)
        except (FormParserError, UnicodeDecodeError, ValueError):
            raise _unreadable("it is not well-formed") from None
        found, self._events = self._events, []
        return found

    def _on_part_begin(self) -> None:
        self._headers, self._header = {}, [b"", b""]
        self._count += 1
        if self._count > PARTS_MAX:
            raise _unreadable(f"it has more than {PARTS_MAX} parts")

    def _on_header(self, half: int, data: bytes) -> None:
        self._header[half] += data

    def _on_header_end(self) -> None:
        name, value = self._header
        self._headers[name.lower()] = value
        self._header = [b"", b""]

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            raise _unreadable("a part has no name")
        self._name = options[b"name"].decode()
        self._value = None
        if b"filename" in options:
            kind = self._headers.get(b"content-type", b"").decode("latin-1").strip()
            filename = options[b"filename"].decode("utf-8", "replace")
            self._events.append(FileBegins(self._name, filename, kind or "application/octet-stream"))
        else:
            self._value = bytearray()

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if self._value is None:
            self._events.append(piece)
            return
        self._value += piece
        if len(self._value) > FIELD_BYTES_MAX:
            raise BadRequest(f"The field is over {FIELD_BYTES_MAX:,} bytes.", param=self._name, code="field_too_long")

    def _on_part_end(self) -> None:
        if self._value is not None:
            self._events.append(Field(self._name, self._value.decode()))
            self._value = None

    def _on_end(self) -> None:
        self.whole = True


def _unreadable(why: str) -> BadRequest:
    return BadRequest(f"The request's form cannot be read: {why}.", code="invalid_form")
