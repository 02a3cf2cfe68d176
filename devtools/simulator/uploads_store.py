"""The uploads of every resource: files that come in parts."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

UPLOADS_MAX = 10_000
PARTS_MAX = 1_000


@dataclass(slots=True)
class Part:
    """One part: its two names, where its bytes are, and how many."""

    id: str
    block_id: str
    path: Path
    size: int


@dataclass(slots=True)
class Upload:
    """One upload. Times are unix seconds; `file` is its file's JSON once it is completed."""

    id: str
    filename: str
    purpose: str
    bytes: int
    created_at: float
    expires_at: float
    file_expiry_s: int | None
    status: str = "pending"
    parts: list[Part] = field(default_factory=list)
    file: dict[str, Any] | None = None

    def status_at(self, time: float) -> str:
        return "expired" if self.status == "pending" and time >= self.expires_at else self.status

    def end(self, status: str) -> None:
        """Takes its last status; the parts are needed no more."""
        self.status = status
        for part in self.parts:
            part.path.unlink(missing_ok=True)
        self.parts.clear()

    def to_json(self, time: float) -> dict[str, Any]:
        """The upload as it is sent."""
        return {
            "object": "upload",
            "id": self.id,
            "bytes": self.bytes,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": self.status_at(time),
            "created_at": int(self.created_at),
            "expires_at": int(self.expires_at),
            "file": self.file,
        }


class UploadStore:
    """The last UPLOADS_MAX uploads, by resource and id."""

    def __init__(self) -> None:
        self._uploads: OrderedDict[tuple[str, str], Upload] = OrderedDict()

    def clear(self) -> None:
        self._uploads.clear()

    def put(self, resource: str, upload: Upload) -> None:
        self._uploads[resource, upload.id] = upload
        if len(self._uploads) > UPLOADS_MAX:
            _, oldest = self._uploads.popitem(last=False)
            oldest.end("expired")

    def get(self, resource: str, upload_id: str) -> Upload | None:
        return self._uploads.get((resource, upload_id))
