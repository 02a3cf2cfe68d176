"""What a request carries upstream: JSON, or a form whose files are read from disk as they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

from shared.upstream.wire import Request

if TYPE_CHECKING:
    import httpx
    from yarl import URL


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


def request(method: str, url: URL, headers: dict[str, str], content: Content | None) -> Request:
    """The request with this content, whose type is added to `headers`."""
    if isinstance(content, Form):
        kind, length, body = _encoded(content)
        return Request(method, url, {**headers, "content-type": kind, "content-length": length}, body)
    if content is not None:
        headers["content-type"] = "application/json"
    return Request(method, url, headers, content)


def _encoded(form: Form) -> tuple[str, str, httpx.AsyncByteStream]:
    """The form's type with its boundary, its length, and its bytes, as httpx writes forms."""
    import httpx

    parts: Any = [(one.field, (one.filename, one.file, one.content_type)) for one in form.files]
    made = httpx.Request("POST", "http://form", data=dict(form.fields), files=parts)
    stream = cast("httpx.AsyncByteStream", made.stream)
    return made.headers["content-type"], made.headers["content-length"], stream
