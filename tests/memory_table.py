"""A table in memory for tests of what is built on tables: two clients of one `Rows` see each other's writes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from shared.errors import StorageFailed
from shared.storage.tables import Row


@dataclass
class Rows:
    """What the table holds. `etags` numbers every write; `clock` is the service's, in Unix seconds."""

    kept: dict[tuple[str, str], Row] = field(default_factory=dict)
    etags: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    clock: Callable[[], float] = lambda: 0.0


class MemoryTable:
    """One client of a table.

    `before(what)` and `after(what)` are called around each request, with the method's name, and may raise
    StorageFailed: before, and nothing was done; after, and the acknowledgement was lost. `failures` fails so many
    requests to come. `calls` counts them by name, `given` the rows that were read.
    """

    def __init__(
        self,
        rows: Rows | None = None,
        before: Callable[[str], None] = lambda what: None,
        after: Callable[[str], None] = lambda what: None,
    ) -> None:
        self.table = rows or Rows()
        self.before = before
        self.after = after
        self.failures = 0
        self.calls: dict[str, int] = {}
        self.given = 0

    @property
    def all(self) -> list[Row]:
        """Every row, by partition and key."""
        return [self.table.kept[keys] for keys in sorted(self.table.kept)]

    async def put(self, row: Row) -> None:
        self._ask("put")
        self._write(row)
        self.after("put")

    async def put_all(self, rows: Sequence[Row]) -> None:
        self._ask("put_all")
        assert len({row.partition for row in rows}) <= 1, "a transaction is of one partition"
        assert len(rows) <= 100, "a transaction has at most 100 rows"
        for row in rows:
            self._write(row)
        self.after("put_all")

    async def insert(self, row: Row) -> str | None:
        self._ask("insert")
        there = (row.partition, row.key) in self.table.kept
        new = None if there else self._write(row)
        self.after("insert")
        return new

    async def swap(self, row: Row, etag: str) -> str | None:
        self._ask("swap")
        there = self.table.kept.get((row.partition, row.key))
        new = self._write(row) if there is not None and there.etag == etag else None
        self.after("swap")
        return new

    async def get(self, partition: str, key: str) -> Row | None:
        self._ask("get")
        return self.table.kept.get((partition, key))

    async def remove(self, partition: str, key: str) -> None:
        self._ask("remove")
        self.table.kept.pop((partition, key), None)
        self.after("remove")

    async def remove_all(self, partition: str, keys: Sequence[str]) -> None:
        self._ask("remove_all")
        for key in keys:
            self.table.kept.pop((partition, key), None)
        self.after("remove_all")

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
        self._ask("rows")
        inside = (row for row in self.all if row.partition == partition and row.key > after)
        below = (row for row in inside if before is None or row.key < before)
        found = [row for row in below if changed_since is None or row.changed_at >= changed_since][:count]
        self.given += len(found)
        return [_with(row, only) for row in found] if only else found

    async def scan(self, first: str, end: str, count: int, *, after: tuple[str, str] | None = None) -> list[Row]:
        self._ask("scan")
        inside = (row for row in self.all if first <= row.partition < end)
        return [row for row in inside if after is None or (row.partition, row.key) > after][:count]

    async def close(self) -> None:
        """What it holds stays: another client may read it."""

    def _ask(self, what: str) -> None:
        self.calls[what] = self.calls.get(what, 0) + 1
        if self.failures:
            self.failures -= 1
            raise StorageFailed("down")
        self.before(what)

    def _write(self, row: Row) -> str:
        etag = f"etag-{next(self.table.etags)}"
        self.table.kept[row.partition, row.key] = replace(row, etag=etag, changed_at=self.table.clock())
        return etag


def _with(row: Row, only: Sequence[str]) -> Row:
    """The row with some of its properties."""
    return replace(row, properties={name: value for name, value in row.properties.items() if name in only})
