"""What a request carries upstream: JSON, or a form whose files are read from disk as they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True)
class FormFile:
    """One file of a form: the field's name, the file's own name and type, its size in bytes, and its bytes.

    `file` is rewound before each send; whoever received the form closes it.
    """

    field: str
    filename: str
    content_type: str
    bytes_count: int
    file: IO[bytes]


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart form. A field whose value is a list is sent once per item."""

    fields: Mapping[str, str | list[str]]
    files: tuple[FormFile, ...]


Content = bytes | Form


def close_files(files: Iterable[FormFile]) -> None:
    """Gives back what the files of a form take on disk."""
    for one in files:
        one.file.close()


def request(method: str, url: httpx.URL, headers: Mapping[str, str], content: Content | None) -> httpx.Request:
    """The request with this content; the content type is written here. `host` and the length are the transport's."""
    import httpx

    if isinstance(content, bytes):
        # What httpx itself does with bytes, without the headers that the transport writes anyhow.
        made = httpx.Request(
            method, url, headers={**headers, "content-type": "application/json"}, stream=httpx.ByteStream(content)
        )
        made.read()
        return made

    if isinstance(content, Form):
        parts: Any = [(one.field, (one.filename, one.file, one.content_type)) for one in content.files]
        return httpx.Request(method, url, headers=headers, data=dict(content.fields), files=parts)
    return httpx.Request(method, url, headers=headers)
