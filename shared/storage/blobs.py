"""Blobs of one container: written whole or in blocks, read in pieces. Azure's own library, loaded on first use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol, TypeVar

from shared.errors import StorageFailed
from shared.storage.account import Account
from shared.storage.connection import CONNECT_S, READ_S, RETRIES, Connection

T = TypeVar("T")

OPERATION_S = 45.0
"""One operation with the library's own retries."""
RETRY_BASE_S = 1
"""The first retry comes within a second, the second within two."""
PIECE_BYTES = 512 * 1024
"""What a reader holds of a blob."""

BEHIND_THE_END = 416
"""The service's status for a part that begins behind the end of a blob."""


@dataclass(frozen=True, slots=True)
class About:
    """What is kept beside a blob's bytes; metadata are short ASCII texts under lower-case names."""

    content_type: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob of `bytes_count` bytes, or a part of it, whose first piece is here.

    `chunks()` gives the `length` bytes from `start`, once; it raises StorageFailed. `length` is 0 where the part lies
    behind the end.
    """

    about: About
    bytes_count: int
    start: int
    length: int
    chunks: Callable[[], AsyncIterator[bytes]]


class Blobs(Protocol):
    """The blobs of a container, which comes into being with its first blob.

    Every method raises StorageFailed, after which a write has perhaps been done; every write may be repeated. May be
    called concurrently.
    """

    async def put(self, name: str, data: bytes, about: About) -> None:
        """Writes a whole blob, in place of one that is there."""

    async def stage(self, name: str, block_id: str, data: bytes) -> None:
        """Writes one block of a blob that nobody sees yet. Block ids of a blob are of one length."""

    async def commit(self, name: str, block_ids: Sequence[str], about: About) -> None:
        """Makes a blob of its staged blocks, in this order."""

    async def open(self, name: str, start: int = 0, length: int | None = None) -> StoredBlob | None:
        """The blob, None when there is none: `length` bytes from `start`, fewer where it ends before, all that follow
        when `length` is None. A `start` below 0 counts from the end, which costs one request more."""

    async def delete(self, name: str) -> None:
        """Removes a blob; one that is not there is removed already."""

    async def first_names(self, count: int) -> list[str]:
        """The first names in alphabetical order, at most `count`."""

    async def close(self) -> None:
        """Lets every connection go."""


class AzureBlobs(Connection):
    """A container of an Azure storage account (or of Azurite). Belongs to the running event loop."""

    operation_s = OPERATION_S

    def __init__(self, account: Account, container: str) -> None:
        super().__init__(account)
        self._container = container

    async def put(self, name: str, data: bytes, about: About) -> None:
        async def work(container: Any) -> None:
            await container.upload_blob(name, data, overwrite=True, **_settings(about))

        await self._do(work)

    async def stage(self, name: str, block_id: str, data: bytes) -> None:
        async def work(container: Any) -> None:
            # As a stream: aiohttp sends one in pieces, and bytes of over a megabyte at once, while everybody waits.
            await container.get_blob_client(name).stage_block(block_id, BytesIO(data), len(data))

        await self._do(work)

    async def commit(self, name: str, block_ids: Sequence[str], about: About) -> None:
        async def work(container: Any) -> None:
            from azure.storage.blob import BlobBlock

            blocks = [BlobBlock(block_id) for block_id in block_ids]
            await container.get_blob_client(name).commit_block_list(blocks, **_settings(about))

        await self._do(work)

    async def open(self, name: str, start: int = 0, length: int | None = None) -> StoredBlob | None:
        async def work(container: Any) -> StoredBlob:
            return await _opened(container, name, start, length)

        found: StoredBlob | None = await self._do(work, missing=None)
        return found

    async def delete(self, name: str) -> None:
        async def work(container: Any) -> None:
            await container.delete_blob(name)

        await self._do(work, missing=None)

    async def first_names(self, count: int) -> list[str]:
        async def work(container: Any) -> list[str]:
            found: list[str] = []
            async for name in container.list_blob_names(results_per_page=min(count, 5000)):
                found.append(name)
                if len(found) == count:
                    break
            return found

        names: list[str] = await self._do(work, missing=[])
        return names

    async def _create(self, client: Any) -> None:
        await client.create_container()

    def _load(self) -> Any:
        from azure.storage.blob.aio import BlobServiceClient, ExponentialRetry

        options = {
            "retry_policy": ExponentialRetry(0, RETRY_BASE_S, RETRIES, random_jitter_range=1),
            "connection_timeout": CONNECT_S,
            "read_timeout": READ_S,
            "max_single_get_size": PIECE_BYTES,
            "max_chunk_get_size": PIECE_BYTES,
        }
        service = self._service(BlobServiceClient, self._account.blob_url, options)
        return service.get_container_client(self._container)


async def _opened(container: Any, name: str, start: int, length: int | None) -> StoredBlob:
    from azure.core.exceptions import HttpResponseError

    if start < 0:
        size = (await container.get_blob_client(name).get_blob_properties()).size
        start = max(0, size + start)
    whole = start == 0 and length is None
    try:
        found = await container.download_blob(name, **({} if whole else {"offset": start, "length": length}))
    except HttpResponseError as error:
        if error.status_code != BEHIND_THE_END:
            raise
        properties = await container.get_blob_client(name).get_blob_properties()
        return StoredBlob(_about(properties), properties.size, start, 0, _nothing)
    properties = found.properties
    size = int(properties.content_range.rpartition("/")[2])  # `size` is that of the part
    return StoredBlob(_about(properties), size, start, properties.size, lambda: _pieces(found))


async def _pieces(found: Any) -> AsyncIterator[bytes]:
    from azure.core.exceptions import AzureError

    try:
        async for piece in found.chunks():
            yield piece
    except (AzureError, OSError, TimeoutError) as error:
        raise StorageFailed("The storage account stopped in the middle of a blob.") from error


async def _nothing() -> AsyncIterator[bytes]:
    no_pieces: tuple[bytes, ...] = ()
    for piece in no_pieces:
        yield piece


def _about(properties: Any) -> About:
    kind = properties.content_settings.content_type or "application/octet-stream"
    return About(kind, dict(properties.metadata))


def _settings(about: About) -> dict[str, Any]:
    from azure.storage.blob import ContentSettings

    return {"content_settings": ContentSettings(content_type=about.content_type), "metadata": dict(about.metadata)}
