"""One upload and one part of it: what is known of them, their rows, and how OpenAI's API shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shared.files.blocks import block_id_of
from shared.files.identity import UPLOAD, hex_of, place_of
from shared.files.stored_file import StoredFile
from shared.storage.tables import Row

PART_ID_PREFIX = "part_"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that comes in parts. Times are in seconds since 1970; `status` is what OpenAI calls it, or `completing`.

    `file_id` is that of the file it becomes, `expires_after_s` that file's life. `chosen` stands for the parts it was
    completed with; `changed_at` and `change` are of the last change of its status.
    """

    id: str
    file_id: str
    owner: str
    filename: str
    purpose: str
    bytes_count: int
    content_type: str
    created_at: int
    expires_at: int
    expires_after_s: int | None = None
    model: str = ""
    status: str = "pending"
    chosen: str = ""
    changed_at: float = 0.0
    change: str = ""
    etag: str = field(default="", compare=False)

    @property
    def parts_partition(self) -> str:
        """Where the rows of its parts are."""
        return f"part_{hex_of(self.id)}"

    def shown(self, file: StoredFile | None = None) -> dict[str, Any]:
        """The upload object of OpenAI's API."""
        return {
            "id": self.id,
            "object": "upload",
            "bytes": self.bytes_count,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "pending" if self.status == "completing" else self.status,
            "file": None if file is None else file.shown(),
        }


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an upload: `count` staged blocks under `key`."""

    key: str
    count: int
    bytes_count: int
    created_at: int

    @property
    def id(self) -> str:
        return f"{PART_ID_PREFIX}{self.key}"

    @property
    def block_ids(self) -> list[str]:
        """Its blocks, in order."""
        return [block_id_of(self.key, number) for number in range(self.count)]

    def shown(self, upload: Upload) -> dict[str, Any]:
        """The part object of OpenAI's API."""
        return {"id": self.id, "object": "upload.part", "created_at": self.created_at, "upload_id": upload.id}


def row_of(upload: Upload) -> Row:
    """The upload's row."""
    place = place_of(UPLOAD, upload.id)
    assert place is not None
    return Row(
        place.partition,
        place.key,
        {
            "id": upload.id,
            "file_id": upload.file_id,
            "owner": upload.owner,
            "filename": upload.filename,
            "purpose": upload.purpose,
            "bytes": upload.bytes_count,
            "content_type": upload.content_type,
            "created_at": upload.created_at,
            "expires_at": upload.expires_at,
            "expires_after_s": upload.expires_after_s or 0,
            "model": upload.model,
            "status": upload.status,
            "chosen": upload.chosen,
            "changed_at": upload.changed_at,
            "change": upload.change,
        },
    )


def upload_of(row: Row, now: float) -> Upload:
    """The upload of a row, as it is `now`."""
    found = row.properties
    status, expires_at = str(found["status"]), int(found["expires_at"])
    return Upload(
        id=str(found["id"]),
        file_id=str(found["file_id"]),
        owner=str(found["owner"]),
        filename=str(found["filename"]),
        purpose=str(found["purpose"]),
        bytes_count=int(found["bytes"]),
        content_type=str(found["content_type"]),
        created_at=int(found["created_at"]),
        expires_at=expires_at,
        expires_after_s=int(found["expires_after_s"]) or None,
        model=str(found["model"]),
        status="expired" if status == "pending" and now >= expires_at else status,
        chosen=str(found["chosen"]),
        changed_at=float(found["changed_at"]),
        change=str(found["change"]),
        etag=row.etag,
    )


def part_row(upload: Upload, part: Part) -> Row:
    """The part's row."""
    about = {"count": part.count, "bytes": part.bytes_count, "created_at": part.created_at}
    return Row(upload.parts_partition, part.key, about)


def part_of(row: Row) -> Part:
    """The part of a row."""
    found = row.properties
    return Part(row.key, int(found["count"]), int(found["bytes"]), int(found["created_at"]))
