"""Pages of batches, as `GET /v1/batches` gives them: newest first.

A key that sees all owners gets their batches one owner after the other, each owner's by time: there is no index over
all of them.
"""

from __future__ import annotations

from shared.batches.document import Batch
from shared.batches.store import batch_of
from shared.errors import BadRequest
from shared.files.identity import BATCH, Owner, Place, partition_of, place_of
from shared.storage.tables import Row, Table

ROWS_MAX = 10_000
"""Rows that one page is looked for in."""
_ALL = (f"{BATCH}_", f"{BATCH}_g")
"""The partitions of all owners: their names end in hex digits."""


async def page(table: Table, owner: Owner, limit: int, after_id: str | None) -> tuple[list[Batch], bool]:
    """At most `limit` batches behind `after_id`, and whether there are more. Raises StorageFailed or BadRequest."""
    after = None
    if after_id is not None:
        after = place_of(BATCH, after_id)
        if after is None:
            raise BadRequest("`after` is not the id of a batch.", param="after", code="invalid_value")
    found: list[Batch] = []
    for _ in range(ROWS_MAX // (limit + 1) + 1):
        rows = await _rows(table, owner, after, limit + 1)
        for row in rows:
            if owner.sees_all or row.properties["owner"] == owner.key_id:
                found.append(batch_of(row))
        if len(found) > limit or len(rows) <= limit:
            break
        after = Place(rows[-1].partition, rows[-1].key)
    return found[:limit], len(found) > limit


async def _rows(table: Table, owner: Owner, after: Place | None, count: int) -> list[Row]:
    if owner.sees_all:
        return await table.scan(*_ALL, count, after=None if after is None else (after.partition, after.key))
    return await table.rows(partition_of(BATCH, owner), count, after="" if after is None else after.key)
