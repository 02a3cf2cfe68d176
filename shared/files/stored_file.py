"""One file: what is known of it, its row, and how OpenAI's API shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared.files.identity import FILE, place_of
from shared.storage.tables import Row

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
"""What callers may upload for. Results of jobs have purposes of their own: batch_output, fine-tune-results."""
FILENAME_CHARS_MAX = 512


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file. Times are in seconds since 1970; `expires_at` None: never.

    `model` is what the upload said of the model it is for. `notes` is what a check of the bytes found out. `erased`:
    it is being deleted, and nobody sees it any more. `etag` is that of the row it was read from.
    """

    id: str
    owner: str
    filename: str
    purpose: str
    bytes_count: int
    created_at: int
    expires_at: int | None = None
    content_type: str = "application/octet-stream"
    model: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)
    erased: bool = False
    etag: str = field(default="", compare=False)

    def is_there(self, now: float) -> bool:
        """Whether anybody sees it."""
        return not self.erased and (self.expires_at is None or now < self.expires_at)

    def shown(self) -> dict[str, Any]:
        """The file object of OpenAI's API; `spillway` is what the check of its bytes found out."""
        shown = {
            "id": self.id,
            "object": "file",
            "bytes": self.bytes_count,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }
        return {**shown, "spillway": dict(self.notes)} if self.notes else shown


def row_of(file: StoredFile) -> Row:
    """The file's row."""
    place = place_of(FILE, file.id)
    assert place is not None
    return Row(
        place.partition,
        place.key,
        {
            "id": file.id,
            "owner": file.owner,
            "filename": file.filename,
            "purpose": file.purpose,
            "bytes": file.bytes_count,
            "created_at": file.created_at,
            "expires_at": file.expires_at or 0,
            "content_type": file.content_type,
            "model": file.model,
            "notes": orjson.dumps(file.notes).decode(),
            "erased": file.erased,
        },
    )


def file_of(row: Row) -> StoredFile:
    """The file of a row."""
    found = row.properties
    return StoredFile(
        id=str(found["id"]),
        owner=str(found["owner"]),
        filename=str(found["filename"]),
        purpose=str(found["purpose"]),
        bytes_count=int(found["bytes"]),
        created_at=int(found["created_at"]),
        expires_at=int(found["expires_at"]) or None,
        content_type=str(found["content_type"]),
        model=str(found["model"]),
        notes=orjson.loads(str(found["notes"])),
        erased=bool(found["erased"]),
        etag=row.etag,
    )


def clean_name(written: str) -> str:
    """A file's name as it is kept: no path, no control characters, not too long."""
    name = written.replace("\\", "/").rpartition("/")[2]
    name = "".join(char for char in name if char.isprintable()).strip()
    return name[-FILENAME_CHARS_MAX:] or "file"
