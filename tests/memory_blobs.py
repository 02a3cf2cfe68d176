"""Blobs in memory for tests of what is built on them, with blocks that nobody sees until they are committed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from shared.errors import StorageFailed
from shared.storage.blobs import About, StoredBlob

PIECE_BYTES = 4


class MemoryBlobs:
    """A container. `before(what)` and `after(what)` are called around each request and may raise StorageFailed."""

    def __init__(
        self,
        before: Callable[[str], None] = lambda what: None,
        after: Callable[[str], None] = lambda what: None,
    ) -> None:
        self.blobs: dict[str, tuple[bytes, About]] = {}
        self.blocks: dict[tuple[str, str], bytes] = {}
        self.before = before
        self.after = after

    async def put(self, name: str, data: bytes, about: About) -> None:
        self.before("put")
        self.blobs[name] = data, about
        self.after("put")

    async def stage(self, name: str, block_id: str, data: bytes) -> None:
        self.before("stage")
        assert len({len(one) for blob, one in [*self.blocks, (name, block_id)] if blob == name}) == 1
        self.blocks[name, block_id] = data
        self.after("stage")

    async def commit(self, name: str, block_ids: Sequence[str], about: About) -> None:
        self.before("commit")
        if any((name, one) not in self.blocks for one in block_ids):
            raise StorageFailed("a block is not there")
        self.blobs[name] = b"".join(self.blocks[name, one] for one in block_ids), about
        for blob, one in list(self.blocks):
            if blob == name and one not in block_ids:
                del self.blocks[blob, one]
        self.after("commit")

    async def open(self, name: str, start: int = 0, length: int | None = None) -> StoredBlob | None:
        self.before("open")
        if name not in self.blobs:
            return None
        data, about = self.blobs[name]
        start = max(0, len(data) + start) if start < 0 else start
        part = data[start:] if length is None else data[start : start + length]

        async def chunks() -> AsyncIterator[bytes]:
            for at in range(0, len(part), PIECE_BYTES):
                if name not in self.blobs:
                    raise StorageFailed("The storage account stopped in the middle of a blob.")
                yield part[at : at + PIECE_BYTES]

        return StoredBlob(about, len(data), start, len(part), chunks)

    async def delete(self, name: str) -> None:
        self.before("delete")
        self.blobs.pop(name, None)
        for blob, one in list(self.blocks):
            if blob == name:
                del self.blocks[blob, one]
        self.after("delete")

    async def first_names(self, count: int) -> list[str]:
        self.before("first_names")
        return sorted(self.blobs)[:count]

    async def close(self) -> None:
        """What it holds stays."""
