"""Pages of files, as `GET /v1/files` gives them. Rows are sorted newest first, which is also what OpenAI lists first.

Oldest first is read to the end and turned round, in the memory of one page. A key that sees all owners gets their
files one owner after the other, each owner's by time: there is no index over all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from shared.errors import BadRequest
from shared.files.identity import FILE, Owner, Place, partition_of
from shared.files.stored_file import StoredFile, file_of
from shared.storage.tables import PAGE_ROWS_MAX, Row, Table

LIMIT_MAX = 10_000
ROWS_MAX = 100_000
"""Rows that one page is looked for in."""
_ALL = (f"{FILE}_", f"{FILE}_g")
"""The partitions of all owners: their names end in hex digits."""


@dataclass(frozen=True, slots=True)
class Page:
    """Files in the order that was asked for; `has_more`: there are others behind them."""

    files: list[StoredFile]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which page: the files behind `after`, at most `limit`, of a `purpose` when one is given."""

    limit: int = LIMIT_MAX
    after: Place | None = None
    oldest_first: bool = False
    purpose: str | None = None


async def page(table: Table, owner: Owner, wanted: Wanted, now: float) -> Page:
    """A page of the owner's files. Raises StorageFailed, or BadRequest when it cannot be found in ROWS_MAX rows."""

    def counts(file: StoredFile) -> bool:
        mine = owner.sees_all or file.owner == owner.key_id
        return mine and file.is_there(now) and wanted.purpose in (None, file.purpose)

    if not wanted.oldest_first:
        found: list[StoredFile] = []
        async for row in _rows(table, owner, wanted.after, wanted.limit + 1):
            file = file_of(row)
            if counts(file):
                found.append(file)
            if len(found) > wanted.limit:
                break
        return Page(found[: wanted.limit], len(found) > wanted.limit)
    last: deque[StoredFile] = deque(maxlen=wanted.limit + 1)
    async for row in _rows(table, owner, None, PAGE_ROWS_MAX):
        if wanted.after is not None and (row.partition, row.key) >= (wanted.after.partition, wanted.after.key):
            break
        file = file_of(row)
        if counts(file):
            last.append(file)
    turned = list(reversed(last))
    return Page(turned[: wanted.limit], len(turned) > wanted.limit)


async def _rows(table: Table, owner: Owner, after: Place | None, count: int) -> AsyncIterator[Row]:
    """The owner's rows behind `after`, newest first, read `count` and more at a time."""
    partition, read = partition_of(FILE, owner), 0
    count = min(count, PAGE_ROWS_MAX)
    while True:
        if owner.sees_all:
            some = await table.scan(*_ALL, count, after=None if after is None else (after.partition, after.key))
        else:
            some = await table.rows(partition, count, after="" if after is None else after.key)
        for row in some:
            yield row
        read += len(some)
        if len(some) < count:
            return
        if read >= ROWS_MAX:
            raise BadRequest(f"This page is not among the first {ROWS_MAX:,} files. Use `after`.", param="after")
        after, count = Place(some[-1].partition, some[-1].key), PAGE_ROWS_MAX
