"""Reads multipart/form-data: the bodies of audio transcriptions and image edits."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

FIELD_BYTES_MAX = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class File:
    """One uploaded file."""

    name: str
    content_type: str
    data: bytes


@dataclass(slots=True)
class Form:
    """The parts of a form, in their order."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[tuple[str, File]] = field(default_factory=list)

    def get(self, name: str) -> str | None:
        """The last value of a field."""
        return next((value for key, value in reversed(self.fields) if key == name), None)

    def all(self, name: str) -> list[str]:
        """Every value of a field, whether its name is written with `[]` or without."""
        return [value for key, value in self.fields if key.removesuffix("[]") == name]

    def uploads(self, name: str) -> list[File]:
        """Every file of a part, whether its name is written with `[]` (or `[0]`) or without."""
        return [file for key, file in self.files if key.partition("[")[0] == name]


async def parse(content_type: str, body: bytes) -> Form:
    """The form in a body; raises ValueError when it is not well-formed multipart/form-data."""
    if not content_type.lower().startswith("multipart/form-data"):
        raise ValueError("not multipart/form-data")

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body
        yield b""

    parser = MultiPartParser(Headers({"content-type": content_type}), stream(), max_part_size=FIELD_BYTES_MAX)
    try:
        parsed = await parser.parse()
    except (MultiPartException, KeyError, UnicodeError) as error:
        raise ValueError(str(error)) from error
    form = Form()
    try:
        for name, value in parsed.multi_items():
            if isinstance(value, UploadFile):
                data = await value.read()
                form.files.append((name, File(value.filename or "", value.content_type or "", data)))
            else:
                form.fields.append((name, value))
    finally:
        await parsed.close()
    return form
