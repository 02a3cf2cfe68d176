"""What may look at a file's bytes while they arrive, such as the preflight of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Check(Protocol):
    """Sees every byte of one file, once, in order, in chunks of any length, before anybody can see the file.

    It awaits nothing, so a chunk must not take long.
    """

    def feed(self, chunk: bytes) -> bool:
        """The next bytes; False once the file will be refused whatever follows. Raises nothing."""

    def finish(self) -> Mapping[str, Any]:
        """Called once, behind the last byte or when it has failed. What was found out is kept as the file's `notes`,
        at most 32 KB. Raises BadRequest: then there will be no file."""
