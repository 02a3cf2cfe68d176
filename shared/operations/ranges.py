"""`Range: bytes=…` of a request for stored bytes: one part of them (RFC 9110, section 14).

bytes=0-499   the first 500       bytes=500-   all but the first 500       bytes=-500   the last 500

Anything else, several parts, and a part under a condition (`If-Range`, as nothing here has a validator) are answered
with everything, which a client must be ready for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shared.errors import RangeNotSatisfiable
from shared.storage.blobs import StoredBlob

_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes as shared.storage.blobs opens them: a `start` below 0 counts from the end, `length` None is all."""

    start: int = 0
    length: int | None = None


def asked(headers: Mapping[str, str]) -> Part | None:
    """The part that the request's headers ask for, None when it is not one. Raises RangeNotSatisfiable for no bytes
    at all (`bytes=-0`)."""
    found = _RANGE.fullmatch(headers.get("range", "").strip())
    if found is None or "if-range" in headers:
        return None
    first, last = found[1], found[2]
    if first:
        if last and int(last) < int(first):
            return None
        return Part(int(first), int(last) - int(first) + 1 if last else None)
    if not last:
        return None
    if int(last) == 0:
        raise RangeNotSatisfiable("The last 0 bytes were asked for.")
    return Part(-int(last))


def part_headers(blob: StoredBlob) -> dict[str, str]:
    """The headers of an answer that holds a part of the blob. Raises RangeNotSatisfiable behind the end."""
    if not blob.length:
        raise RangeNotSatisfiable(
            f"The range begins behind the end: there are {blob.bytes_count} bytes.",
            headers={"content-range": f"bytes */{blob.bytes_count}"},
        )
    return {"content-range": f"bytes {blob.start}-{blob.start + blob.length - 1}/{blob.bytes_count}"}
