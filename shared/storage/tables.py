"""Rows of one table: inserted, listed, removed. Azure's own library, loaded on first use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from shared.storage.account import Account
from shared.storage.connection import CONNECT_S, READ_S, RETRIES, Connection

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


class AzureTable(Connection):
    """A table of an Azure storage account (or of Azurite). Belongs to the running event loop."""

    operation_s = OPERATION_S

    def __init__(self, account: Account, name: str) -> None:
        super().__init__(account)
        self._name = name

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

    async def _create(self, client: Any) -> None:
        await client.create_table()

    def _load(self) -> Any:
        from azure.data.tables.aio import TableServiceClient

        options = {"retry_total": RETRIES, "connection_timeout": CONNECT_S, "read_timeout": READ_S}
        return self._service(TableServiceClient, self._account.table_url, options).get_table_client(self._name)
