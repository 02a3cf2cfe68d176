"""A temporary folder for what is too large for memory; it is made on first use and removed at the end."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path


class Scratch:
    """Hands out paths in a folder of its own, which goes when the interpreter ends, at `close`, or with this object."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._remove: weakref.finalize[..., Scratch] | None = None
        self._count = 0

    @property
    def folder(self) -> Path | None:
        """Where it is, once it was needed."""
        return self._folder

    def new(self) -> Path:
        """The path of a file that does not exist yet."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="azure-simulator-"))
            self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._count += 1
        return self._folder / f"{self._count:08d}"

    def close(self) -> None:
        """Removes the folder with everything in it; the next path is in a new one."""
        if self._remove is not None:
            self._remove()
        self._folder = self._remove = None
