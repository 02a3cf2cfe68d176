"""The files of every resource: what is known of each, and where its bytes are on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devtools.simulator.scratch import Scratch

GIVEN_PURPOSES = ("assistants", "batch", "fine-tune", "evals")
"""What a client may upload a file for; all others are the service's own."""


@dataclass(slots=True)
class StoredFile:
    """One file. Times are unix seconds; it is `pending` until `ready_at`, and gone from `expires_at` on."""

    id: str
    filename: str
    purpose: str
    bytes: int
    created_at: float
    path: Path
    expires_at: float | None = None
    ready_at: float = 0.0

    def gone(self, time: float) -> bool:
        return self.expires_at is not None and time >= self.expires_at


class FileStore:
    """Files by resource and id. An id of another resource is not found."""

    def __init__(self, scratch: Scratch) -> None:
        self.scratch = scratch
        self._files: dict[str, dict[str, StoredFile]] = {}

    def clear(self) -> None:
        self._files.clear()
        self.scratch.close()

    def put(self, resource: str, file: StoredFile) -> None:
        self._files.setdefault(resource, {})[file.id] = file

    def get(self, resource: str, file_id: str, time: float) -> StoredFile | None:
        """The file, unless this resource does not have it, or no longer."""
        file = self._files.get(resource, {}).get(file_id)
        if file is not None and file.gone(time):
            self.delete(resource, file_id)
            return None
        return file

    def delete(self, resource: str, file_id: str) -> None:
        file = self._files.get(resource, {}).pop(file_id, None)
        if file is not None:
            file.path.unlink(missing_ok=True)

    def all(self, resource: str, time: float) -> list[StoredFile]:
        """The resource's files that still exist, oldest first."""
        for file_id in [file.id for file in self._of(resource) if file.gone(time)]:
            self.delete(resource, file_id)
        return list(self._of(resource))

    def count(self, resource: str, time: float, *, expiring: bool) -> int:
        """How many of the files that clients gave have an expiry, or have none."""
        return sum(
            file.purpose in GIVEN_PURPOSES and (file.expires_at is not None) == expiring
            for file in self.all(resource, time)
        )

    def _of(self, resource: str) -> Iterator[StoredFile]:
        yield from self._files.get(resource, {}).values()
