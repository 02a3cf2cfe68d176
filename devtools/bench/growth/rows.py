"""Keys and batches by the thousand, written as rows, without asking a gateway for each."""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import uvloop

from shared.batches import machine
from shared.batches.document import Batch
from shared.batches.store import TABLE as BATCHES_TABLE
from shared.batches.store import rows_of as batch_rows
from shared.callers.key_store import TABLE as KEYS_TABLE
from shared.callers.key_store import rows_of as key_rows
from shared.callers.virtual_key import VirtualKey, hash_of, hint_of
from shared.files.identity import BATCH, FILE, Owner, new_id
from shared.storage.account import Account
from shared.storage.tables import TRANSACTION_ROWS_MAX, AzureTable, Row

OWNER = Owner("master")
AT_ONCE = 4


def secret(number: int) -> str:
    """The key with this number."""
    return f"sk-bench-{number:06d}"


def write_keys(connection: str, count: int) -> None:
    """So many keys without limits."""
    now = time.time()
    keys = (
        VirtualKey(f"key_{os.urandom(12).hex()}", hash_of(secret(number)), hint_of(secret(number)), now, now)
        for number in range(count)
    )
    uvloop.run(_write(connection, KEYS_TABLE, (row for key in keys for row in key_rows(key))))


def write_batches(connection: str, count: int, model: str, deployment: str) -> None:
    """So many open batches, each with one shard that runs at the deployment of this id."""
    rows = [row for number in range(count) for row in batch_rows(_batch(number, model, deployment))]
    uvloop.run(_write(connection, BATCHES_TABLE, rows))


def _batch(number: int, model: str, deployment: str) -> Batch:
    now = time.time()
    batch = machine.begun(
        Batch(
            id=new_id(BATCH, OWNER, now, os.urandom),
            owner=OWNER.key_id,
            endpoint="/v1/chat/completions",
            input_file_id=new_id(FILE, OWNER, now, os.urandom),
            input_bytes=1000,
            model=model,
            created_at=now,
            output_id=new_id(FILE, OWNER, now, os.urandom),
            error_id=new_id(FILE, OWNER, now, os.urandom),
        )
    )
    shard = replace(
        batch.shards[0], state="in_progress", deployment=deployment, label="bench", job=f"batch_{number}", lines=10,
        status="in_progress", since=now, due=now, end=1000,
    )  # fmt: skip
    return replace(batch, shards=(shard,), total=10).at("in_progress_at", now)


async def _write(connection: str, name: str, rows: Iterable[Row]) -> None:
    """Rows of any partitions, as transactions."""
    table = AzureTable(Account(connection), name)
    by_partition: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_partition[row.partition].append(row)
    gate = asyncio.Semaphore(AT_ONCE)

    async def put(some: list[Row]) -> None:
        async with gate:
            await table.put_all(some)

    lots = [
        many[start : start + TRANSACTION_ROWS_MAX]
        for many in by_partition.values()
        for start in range(0, len(many), TRANSACTION_ROWS_MAX)
    ]
    await put(lots[0])  # which makes the table
    await asyncio.gather(*(put(lot) for lot in lots[1:]))
    await table.close()
