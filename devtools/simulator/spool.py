"""Reads multipart/form-data piece by piece while it arrives: its files go to the disk, whatever their size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from devtools.simulator.scratch import Scratch

FIELD_BYTES_MAX = 64 * 1024
FIELDS_MAX = 64
FILE_BYTES_MAX = 1024 * 1024 * 1024
"""What is kept of a file. A longer one is counted to its end, so that it can be refused by its size."""


@dataclass(slots=True)
class SpooledFile:
    """One uploaded file. Its first FILE_BYTES_MAX of `size` bytes are at `path`; `md5` is in hexadecimal."""

    name: str
    content_type: str
    path: Path
    size: int = 0
    md5: str = ""


@dataclass(slots=True)
class SpooledForm:
    """The parts of a form, by name; `complete` when it was well-formed to its end."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, SpooledFile] = field(default_factory=dict)
    complete: bool = False

    def take(self, name: str) -> SpooledFile | None:
        """A file whose path from now on is the caller's to remove."""
        return self.files.pop(name, None)

    def discard(self) -> None:
        """Removes the files that nobody took."""
        for file in self.files.values():
            file.path.unlink(missing_ok=True)
        self.files.clear()


@dataclass(slots=True)
class _Part:
    """The part that is being read: a field while `file` is None."""

    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    name: str = ""
    data: bytearray = field(default_factory=bytearray)
    file: SpooledFile | None = None


class Spool:
    """Takes the body of one request. `form` is what was read of it so far."""

    def __init__(self, content_type: str, scratch: Scratch) -> None:
        self.form = SpooledForm()
        self._scratch = scratch
        self._part = _Part()
        self._header = (b"", b"")
        self._output: BinaryIO | None = None
        self._md5 = hashlib.md5(usedforsecurity=False)
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        self._parser: MultipartParser | None = None
        if kind == b"multipart/form-data" and boundary:
            self._parser = MultipartParser(boundary, {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            })  # fmt: skip

    def feed(self, data: bytes) -> None:
        """Takes the next piece; after one that is not well-formed, nothing more is read."""
        if self._parser is None:
            return
        try:
            self._parser.write(data)
        except (MultipartParseError, ValueError):
            self._parser = None
            self.form.complete = False

    def close(self) -> None:
        """Nothing more comes."""
        if self._output is not None:
            self._output.close()
            self._output = None

    def _on_part_begin(self) -> None:
        self._part = _Part()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0] + data[start:end], b"")

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0], self._header[1] + data[start:end])

    def _on_header_end(self) -> None:
        self._part.headers.append((self._header[0].lower(), self._header[1]))
        self._header = (b"", b"")

    def _on_headers_finished(self) -> None:
        headers = dict(self._part.headers)
        _, options = parse_options_header(headers.get(b"content-disposition"))
        if b"name" not in options or len(self.form.fields) + len(self.form.files) >= FIELDS_MAX:
            raise ValueError("a part without a name, or too many of them")
        self._part.name = options[b"name"].decode("utf-8", "replace")
        if b"filename" not in options:
            return
        filename = options[b"filename"].decode("utf-8", "replace")
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        self._part.file = SpooledFile(filename, content_type, self._scratch.new())
        earlier = self.form.take(self._part.name)
        if earlier is not None:
            earlier.path.unlink(missing_ok=True)
        self.form.files[self._part.name] = self._part.file
        self._output = self._part.file.path.open("wb")
        self._md5 = hashlib.md5(usedforsecurity=False)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part.file is None:
            part.data += data[start:end]
            if len(part.data) > FIELD_BYTES_MAX:
                raise ValueError("a field is too long")
            return
        assert self._output is not None
        piece = memoryview(data)[start:end]
        room = FILE_BYTES_MAX - part.file.size
        if room > 0:
            self._output.write(piece[:room])
            self._md5.update(piece)
        part.file.size += len(piece)

    def _on_part_end(self) -> None:
        if self._part.file is None:
            self.form.fields[self._part.name] = self._part.data.decode("utf-8", "replace")
            return
        self._part.file.md5 = self._md5.hexdigest()
        self.close()

    def _on_end(self) -> None:
        self.form.complete = True
