"""Rows of one table: written, swapped under their ETag, listed, removed. Azure's own library, loaded on first use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from shared.storage.account import Account
from shared.storage.connection import CONNECT_S, READ_S, RETRIES, Connection, has_proxy

if TYPE_CHECKING:
    from shared.storage.reads import Reader
    from shared.storage.writes import Writer

T = TypeVar("T")

OPERATION_S = 20.0
"""One operation with the library's own retries."""
SCHEMA = 1
"""`v` of every row: what its properties mean."""
TRANSACTION_ROWS_MAX = 100
"""Table Storage's entity-group transaction: so many rows of one partition, together at most 4 MiB."""
PAGE_ROWS_MAX = 1000
"""What Table Storage gives at once."""
INT32_MAX = 2**31 - 1

Value = str | int | float | bool | bytes
_FORBIDDEN = re.compile(r"[/\\#?!%\x00-\x1f\x7f-\x9f]")
_ESCAPED = re.compile(r"!([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Row:
    """One row. Keys are made by `escaped` where they hold what a caller wrote; properties are strings (32 Ki
    characters), numbers and bytes (64 KiB). `etag` is that of the row as it was read, "" for one to be written;
    `changed_at` is when it was last written, in Unix seconds of the service's clock."""

    partition: str
    key: str
    properties: Mapping[str, Value]
    etag: str = field(default="", compare=False)
    changed_at: float = field(default=0.0, compare=False)


def escaped(text: str) -> str:
    """The text as a part of a key: what Table Storage forbids there, and `!` and `%`, as `!` and two hex digits."""
    return _FORBIDDEN.sub(lambda found: f"!{ord(found[0]):02x}", text)


def unescaped(part: str) -> str:
    """The text that `escaped` made a key's part of."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), part)


class Table(Protocol):
    """A table, which comes into being with its first row.

    Every method raises StorageFailed, after which a write has perhaps been done; every write may be repeated. The
    library repeats one whose acknowledgement was lost, too: `insert` may then find its own row, `swap` its own change.
    May be called concurrently.
    """

    async def put(self, row: Row) -> None:
        """Writes a row, in place of one with the same keys."""

    async def put_all(self, rows: Sequence[Row]) -> None:
        """Writes rows of one partition, at most TRANSACTION_ROWS_MAX, all or none."""

    async def insert(self, row: Row) -> str | None:
        """Writes a row that is not there, and gives its ETag. None when one with these keys is there: another's, or
        this very one."""

    async def swap(self, row: Row, etag: str) -> str | None:
        """Writes a row in place of the one that still has this ETag, and gives its new ETag. None when it was changed
        or removed meanwhile, perhaps by this very call: who needs to know reads it again."""

    async def get(self, partition: str, key: str) -> Row | None:
        """The row, None when there is none."""

    async def remove(self, partition: str, key: str) -> None:
        """Removes a row; one that is not there is removed already."""

    async def remove_all(self, partition: str, keys: Sequence[str]) -> None:
        """Removes rows of one partition, however many; those that are not there are removed already."""

    async def rows(
        self,
        partition: str,
        count: int,
        *,
        after: str = "",
        before: str | None = None,
        changed_since: float | None = None,
        only: Sequence[str] = (),
    ) -> list[Row]:
        """The first rows of a partition by key, at most `count`, with keys above `after` and below `before`; only those
        whose `changed_at` is no earlier than `changed_since`. `only`: of their properties these alone, and nothing of
        when they were changed, which is half the work where there are many rows."""

    async def scan(self, first: str, end: str, count: int, *, after: tuple[str, str] | None = None) -> list[Row]:
        """The first rows of the partitions from `first` on and below `end`, by partition and key, at most `count`;
        only those behind the row `after` (its partition and key)."""

    async def close(self) -> None:
        """Lets every connection go."""


class AzureTable(Connection):
    """A table of an Azure storage account (or of Azurite). Belongs to the running event loop."""

    operation_s = OPERATION_S

    def __init__(self, account: Account, name: str) -> None:
        super().__init__(account)
        self._name = name
        self._writer: Writer | None = None
        self._reader: Reader | None = None
        """What writes and reads a row in place of the library's client, as long as all goes well."""

    async def put(self, row: Row) -> None:
        async def work(table: Any) -> None:
            entity = _entity(row)
            if self._writer is None or await self._writer.put(entity) is None:
                await table.upsert_entity(entity, mode="replace")

        await self._do(work)

    async def put_all(self, rows: Sequence[Row]) -> None:
        from azure.core.exceptions import ResourceNotFoundError
        from azure.data.tables import TableTransactionError

        entities = [_entity(row) for row in rows]

        async def work(table: Any) -> None:
            if self._writer is not None and await self._writer.put_all(entities):
                return
            try:
                await table.submit_transaction([("upsert", one, {"mode": "replace"}) for one in entities])
            except TableTransactionError as error:
                if getattr(error, "error_code", None) == "TableNotFound":
                    raise ResourceNotFoundError from error
                raise

        if entities:
            await self._do(work)

    async def insert(self, row: Row) -> str | None:
        from azure.core.exceptions import ResourceExistsError

        async def work(table: Any) -> str | None:
            try:
                written = await table.create_entity(_entity(row))
            except ResourceExistsError:
                return None
            return str(written["etag"])

        return cast(str | None, await self._do(work))

    async def swap(self, row: Row, etag: str) -> str | None:
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError

        async def work(table: Any) -> str | None:
            entity = _entity(row)
            if self._writer is not None and (new := await self._writer.put(entity, etag)) is not None:
                return new
            unchanged = MatchConditions.IfNotModified
            try:
                written = await table.update_entity(entity, mode="replace", etag=etag, match_condition=unchanged)
            except ResourceModifiedError:
                return None
            return str(written["etag"])

        return cast(str | None, await self._do(work, missing=None))

    async def get(self, partition: str, key: str) -> Row | None:
        async def work(table: Any) -> Row | None:
            read = None if self._reader is None else await self._reader.get(partition, key)
            return _row(await table.get_entity(partition, key)) if read is None else read[0]

        return cast(Row | None, await self._do(work, missing=None))

    async def remove(self, partition: str, key: str) -> None:
        async def work(table: Any) -> None:
            await table.delete_entity(partition, key)

        await self._do(work, missing=None)

    async def remove_all(self, partition: str, keys: Sequence[str]) -> None:
        async def work(table: Any) -> None:
            from azure.data.tables import TableTransactionError

            for start in range(0, len(keys), TRANSACTION_ROWS_MAX):
                some = keys[start : start + TRANSACTION_ROWS_MAX]
                operations = [("delete", {"PartitionKey": partition, "RowKey": key}) for key in some]
                try:
                    await table.submit_transaction(operations)
                except TableTransactionError:  # one of them is gone, which fails the rest with it
                    for key in some:
                        await table.delete_entity(partition, key)

        await self._do(work, missing=None)

    async def rows(
        self,
        partition: str,
        count: int,
        *,
        after: str = "",
        before: str | None = None,
        changed_since: float | None = None,
        only: Sequence[str] = (),
    ) -> list[Row]:
        condition = "PartitionKey eq @partition"
        condition += " and RowKey gt @after" if after else ""
        condition += " and RowKey lt @before" if before is not None else ""
        names: dict[str, Any] = {"partition": partition, "after": after, "before": before}
        if changed_since is not None:
            condition += " and Timestamp ge @since"
            names["since"] = datetime.fromtimestamp(changed_since, UTC)
        return await self._query(condition, names, count, only)

    async def scan(self, first: str, end: str, count: int, *, after: tuple[str, str] | None = None) -> list[Row]:
        condition = "PartitionKey ge @first and PartitionKey lt @end"
        names: dict[str, Any] = {"first": first, "end": end}
        if after is not None:
            # the library finds a name only between spaces
            condition += " and (PartitionKey gt @partition or (PartitionKey eq @partition and RowKey gt @key ) )"
            names |= {"partition": after[0], "key": after[1]}
        return await self._query(condition, names, count)

    async def _query(self, condition: str, names: Mapping[str, Any], count: int, only: Sequence[str] = ()) -> list[Row]:
        select = ["PartitionKey", "RowKey", *only] if only else None

        async def work(table: Any) -> list[Row]:
            found: list[Row] = []
            size = min(count, PAGE_ROWS_MAX)
            pages = table.query_entities(condition, parameters=names, results_per_page=size, select=select)
            async for entity in pages:
                found.append(_row(entity))
                if len(found) == count:
                    break
            return found

        rows: list[Row] = await self._do(work, missing=[])
        return rows

    async def _create(self, client: Any) -> None:
        await client.create_table()

    def _load(self) -> Any:
        from azure.data.tables.aio import TableServiceClient

        from shared.storage.reads import reader_of
        from shared.storage.writes import create_transport, writer_of

        options = {"retry_total": RETRIES, "connection_timeout": CONNECT_S, "read_timeout": READ_S}
        service = self._service(TableServiceClient, self._account.table_url, options)
        if not has_proxy():
            self._writer = writer_of(service, self._name, self._sockets)
            self._reader = reader_of(service, self._name, create_transport)
        self._closers[:0] = [beside.close for beside in (self._writer, self._reader) if beside is not None]
        return service.get_table_client(self._name)

    def _sockets(self) -> Any:
        """The writer's."""
        from shared.storage.writes import create_transport

        return create_transport()


def _entity(row: Row) -> dict[str, Any]:
    return {
        "PartitionKey": row.partition,
        "RowKey": row.key,
        "v": SCHEMA,
        **{name: _written(value) for name, value in row.properties.items()},
    }


def _written(value: Value) -> Any:
    """An integer that needs more than 32 bits says so."""
    if type(value) is int and not -INT32_MAX <= value <= INT32_MAX:
        from azure.data.tables import EdmType, EntityProperty

        return EntityProperty(value, EdmType.INT64)
    return value


def _row(entity: Any) -> Row:
    properties = {
        name: int(value[0]) if isinstance(value, tuple) else value  # the library's EntityProperty of a 64-bit integer
        for name, value in entity.items()
        if name not in ("PartitionKey", "RowKey") and value is not None
    }
    changed_at = 0.0 if (changed := entity.metadata.get("timestamp")) is None else changed.timestamp()
    return Row(entity["PartitionKey"], entity["RowKey"], properties, entity.metadata["etag"], changed_at)
