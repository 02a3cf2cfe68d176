"""Rows of one table: inserted, listed, removed. Azure's own library, loaded on first use."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from shared.errors import StorageFailed
from shared.storage.account import Account
from shared.storage.blobs import CONNECT_S, READ_S, RETRIES

T = TypeVar("T")

OPERATION_S = 20.0
"""One operation with the library's own retries."""
SCHEMA = 1
"""`v` of every row: what its properties mean."""
Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Row:
    """One row. Keys hold none of `/ \\ # ?` and no control characters; properties are strings and numbers."""

    partition: str
    key: str
    properties: Mapping[str, Value]


class Table(Protocol):
    """A table, which comes into being with its first row.

    Every method raises StorageFailed, after which a write has perhaps been done; every write may be repeated. May be
    called concurrently.
    """

    async def put(self, row: Row) -> None:
        """Writes a row, in place of one with the same keys."""

    async def remove(self, partition: str, key: str) -> None:
        """Removes a row; one that is not there is removed already."""

    async def rows(self, partition: str, count: int) -> list[Row]:
        """The first rows of a partition by key, at most `count`."""

    async def close(self) -> None:
        """Lets every connection go."""


class AzureTable:
    """A table of an Azure storage account (or of Azurite). Belongs to the running event loop."""

    def __init__(self, account: Account, name: str) -> None:
        self._account = account
        self._name = name
        self._client: Any = None
        self._closers: list[Callable[[], Awaitable[None]]] = []
        self._connecting = asyncio.Lock()

    async def put(self, row: Row) -> None:
        entity = {"PartitionKey": row.partition, "RowKey": row.key, "v": SCHEMA, **row.properties}

        async def work(table: Any) -> None:
            await table.upsert_entity(entity)

        await self._do(work)

    async def remove(self, partition: str, key: str) -> None:
        async def work(table: Any) -> None:
            await table.delete_entity(partition, key)

        await self._do(work, missing=None)

    async def rows(self, partition: str, count: int) -> list[Row]:
        async def work(table: Any) -> list[Row]:
            found: list[Row] = []
            pages = table.query_entities(
                "PartitionKey eq @partition", parameters={"partition": partition}, results_per_page=min(count, 1000)
            )
            async for entity in pages:
                properties = {name: value for name, value in entity.items() if name not in ("PartitionKey", "RowKey")}
                found.append(Row(entity["PartitionKey"], entity["RowKey"], properties))
                if len(found) == count:
                    break
            return found

        rows: list[Row] = await self._do(work, missing=[])
        return rows

    async def close(self) -> None:
        closers, self._closers, self._client = self._closers, [], None
        for close in closers:
            await close()

    async def _do(self, work: Callable[[Any], Awaitable[T]], **missing: Any) -> Any:
        """What `work` gives, once more after the table was created. `missing`: what it is where nothing is."""
        from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

        try:
            async with asyncio.timeout(OPERATION_S):
                table = await self._connected()
                try:
                    return await work(table)
                except ResourceNotFoundError:
                    if missing:
                        return missing["missing"]
                with suppress(ResourceExistsError):  # another call, or another instance, was faster
                    await table.create_table()
                return await work(table)
        except (AzureError, OSError, TimeoutError, ValueError) as error:
            raise StorageFailed(
                f"The storage account does not answer as it should ({type(error).__name__})."
            ) from error

    async def _connected(self) -> Any:
        async with self._connecting:
            if self._client is None:
                self._client = await asyncio.to_thread(self._load)
            return self._client

    def _load(self) -> Any:
        """The table's client. The libraries take a while to load, so this runs beside the event loop."""
        from azure.data.tables.aio import TableServiceClient

        logging.getLogger("azure").setLevel(logging.WARNING)  # at INFO it writes every header of every request
        options: dict[str, Any] = {"retry_total": RETRIES, "connection_timeout": CONNECT_S, "read_timeout": READ_S}
        if self._account.connection_string is not None:
            service = TableServiceClient.from_connection_string(self._account.connection_string, **options)
        else:
            from azure.identity.aio import DefaultAzureCredential

            credential = DefaultAzureCredential(managed_identity_client_id=self._account.client_id)
            self._closers.append(credential.close)
            service = TableServiceClient(str(self._account.table_url), credential=credential, **options)
        self._closers.insert(0, service.close)
        return service.get_table_client(self._name)
