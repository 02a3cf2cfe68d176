"""What others than its instance enter in a partition: rows that are only ever inserted, under keys that say what.

Every row is followed by a mark, which tells the sweep to count the partition (again). A mark has a key of its own for
each row, so that removing one never hides another. Whoever dies between the two has not reported success, and does both
again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from shared.spend import places, records
from shared.spend.entry import Entry, day_and_instance
from shared.storage.tables import Row, Table

CLOSED, ALONE = "closed_", "alone_"
"""Attempts of a dead instance, given up; attempts whose own open record was never committed."""
OUTSIDE_ROWS_MAX = 20_000
PAGE_ROWS = 100


async def outside_rows(table: Table, partition: str) -> list[Row]:
    """The rows of a partition that are no segments. Raises StorageFailed."""
    found: list[Row] = []
    while len(found) < OUTSIDE_ROWS_MAX:
        rows = await table.rows(partition, PAGE_ROWS, after=found[-1].key if found else places.OUTSIDE)
        found += rows
        if len(rows) < PAGE_ROWS:
            break
    return found


async def mark(table: Table, partition: str, reason: str) -> Row:
    """Asks the sweep to count a partition; the mark. Raises StorageFailed; may be repeated."""
    row = Row(places.FOLD, f"{partition}|{reason}", {})
    await table.put(row)
    return row


async def settle_late(table: Table, entry: Entry) -> None:
    """Enters a closed entry that another instance opened, as a background response that has ended.

    It counts where it is greater than what is known. Raises StorageFailed, after which it may be repeated, and
    ValueError for an entry of no instance.
    """
    day, instance = day_and_instance(entry.entry_id)
    partition = places.log_partition(day, instance)
    key = late_key(entry)
    await insert(table, partition, key, [entry])
    await mark(table, partition, key)


async def add_lines(table: Table, shard: str, chunk: int, entries: Sequence[Entry]) -> None:
    """Enters the priced lines of a batch shard, closed, in chunks that are the same whoever makes them, counted from 0.

    `shard` is `yyyymmdd_name`; its lines count on that day. The ids of lines are unique and need not be a call's.
    Raises StorageFailed, after which it may be repeated, and ValueError for another name.
    """
    partition = places.batch_partition(shard)
    await insert(table, partition, f"{chunk:08d}", entries)
    await mark(table, partition, f"{chunk:08d}")


async def insert(table: Table, partition: str, key: str, entries: Sequence[Entry]) -> None:
    """Inserts entries under a key, in as many rows as they need; those that are there stay. Raises StorageFailed."""
    for number, payload in enumerate(records.encoded(entries)):
        await table.insert(Row(partition, f"{key}{number:04d}", records.properties(payload)))


async def insert_named(table: Table, partition: str, key: str, entries: Sequence[Entry]) -> None:
    """Inserts entries under a key and a name made of them: others under the same key stand beside them, and are not
    taken for a repetition. Raises StorageFailed."""
    name = hashlib.sha256(b"".join(records.encoded(entries))).hexdigest()[:12]
    await insert(table, partition, f"{key}{name}_", entries)


def late_key(entry: Entry) -> str:
    """A key for each attempt and status, so that a better one is not taken for a repetition."""
    number = entry.entry_id.rpartition("_")[2].replace(".", "-")
    return f"{places.LATE}{number}_{entry.status}_"
