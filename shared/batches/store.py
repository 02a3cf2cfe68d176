"""The rows of batches, in table `spillwaybatches`.

    batch_{owner}        {newest first}         the document of a batch
    open                 {name}                 batches that are not over, and what each has enqueued where
    quotas               {deployment}           what Azure told of a deployment's enqueued-token quota
    asked_{name}         {shard}-{attempt}…     which requests an upload carries, in their order
    picked_{name}        {shard}                which lines of a range a repair is about
    keys                 {hash of owner, key}   Idempotency-Keys: keyed.py

The entry of `open` is written before the batch, and before money is set aside for it, and removed when nothing of it
is left anywhere: a timer that finds none has nothing to do, which costs it one request. A batch that is over is kept
for a while: retention.py.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from shared.batches.document import Batch, claims
from shared.batches.lines import Asked
from shared.batches.packed import decoded, encoded
from shared.errors import StorageFailed
from shared.files.identity import BATCH, Place, place_of
from shared.spend import records
from shared.storage.tables import PAGE_ROWS_MAX, Row, Table, Value

TABLE = "spillwaybatches"
OPEN, QUOTAS = "open", "quotas"
OPEN_MAX = 1000
"""Batches that a run of the timer looks at."""
ASKED_ROWS_MAX = 200
QUOTA_S = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Opened:
    """An entry of `open`: the batch's id, and the tokens it has enqueued at each deployment."""

    id: str
    claims: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Picked:
    """Lines of a range: bit n stands for line `first + n`."""

    first: int
    bits: bytes

    def has(self, line: int) -> bool:
        at = line - self.first
        return 0 <= at < len(self.bits) * 8 and bool(self.bits[at >> 3] >> (at & 7) & 1)


class BatchStore:
    """Reads and writes them. Every method raises StorageFailed and may be repeated."""

    def __init__(self, table: Table) -> None:
        self.table = table

    async def insert(self, batch: Batch) -> None:
        """Writes a new batch, which was noted before. Its id is given once, so one that is there is this one."""
        await self.table.insert(_row(batch))

    async def load(self, batch_id: str) -> tuple[Batch, str] | None:
        """A batch and its ETag."""
        place = place_of(BATCH, batch_id)
        row = None if place is None else await self.table.get(place.partition, place.key)
        return None if row is None else (batch_of(row), row.etag)

    async def save(self, batch: Batch, etag: str) -> str | None:
        """Writes a batch in place of the one with this ETag, and gives its new one; None when that was changed."""
        return await self.table.swap(_row(batch), etag)

    async def note(self, batch: Batch) -> None:
        """Writes what the batch has enqueued."""
        await self.table.put(_opened(batch))

    async def open(self) -> list[Opened]:
        """The batches that are not over, the oldest first."""
        rows = await self.table.rows(OPEN, OPEN_MAX)
        return [Opened(str(row.properties["id"]), orjson.loads(str(row.properties["claims"]))) for row in rows]

    async def owner_of(self, name: str) -> str | None:
        """Whose batch an entry of `open` is about, None when there is no such entry."""
        row = await self.table.get(OPEN, name)
        return None if row is None else str(row.properties["owner"])

    async def forget(self, name: str) -> None:
        """The batch of that name is over: what helped to run it is removed."""
        for partition in (f"asked_{name}", f"picked_{name}"):
            while rows := await self.table.rows(partition, PAGE_ROWS_MAX):
                await self.table.remove_all(partition, [row.key for row in rows])
                if len(rows) < PAGE_ROWS_MAX:
                    break
        await self.table.remove(OPEN, name)

    async def quotas(self, now: float) -> dict[str, int]:
        """The enqueued-token quotas that Azure told of late, by the ids of deployments: an older one may be another."""
        rows = await self.table.rows(QUOTAS, PAGE_ROWS_MAX)
        told = ((row.key, row.properties) for row in rows)
        return {key: int(one["tokens"]) for key, one in told if now - float(one["at"]) < QUOTA_S}

    async def learn(self, deployment: str, quota: int, now: float) -> None:
        """Keeps what Azure told."""
        await self.table.put(Row(QUOTAS, deployment, {"tokens": quota, "at": now}))

    async def put_asked(self, name: str, upload: str, asked: Sequence[tuple[str, int, int]]) -> None:
        """Keeps which requests an upload carries: the custom_id, the line and the tokens of each."""
        for number, payload in enumerate(records.packed(asked)):
            key = f"{upload}-{number:04d}"
            count: dict[str, Value] = {"count": len(asked)}
            await self.table.put(Row(f"asked_{name}", key, count | records.properties(payload)))

    async def asked(self, name: str, upload: str) -> list[tuple[int, Asked]]:
        """Which requests an upload carries, each with its line. Raises StorageFailed when not all are there."""
        rows = await self.table.rows(f"asked_{name}", ASKED_ROWS_MAX, after=f"{upload}-", before=f"{upload}.")
        found = [one for row in rows for one in records.unpacked(records.payload_of(row))]
        if not rows or len(found) != rows[0].properties["count"]:
            raise StorageFailed("What a shard was asked is not there.")
        return [(line, Asked(custom_id, tokens)) for custom_id, line, tokens in found]

    async def put_picked(self, name: str, key: str, picked: Picked) -> None:
        """Keeps which lines a repair is about."""
        properties: dict[str, Value] = {"first": picked.first, "bits": zlib.compress(picked.bits, 1)}
        await self.table.put(Row(f"picked_{name}", key, properties))

    async def picked(self, name: str, key: str) -> Picked:
        """Which lines a repair is about."""
        row = await self.table.get(f"picked_{name}", key)
        if row is None:
            raise StorageFailed("The lines of a repair are not there.")
        bits: Any = row.properties["bits"]
        return Picked(int(row.properties["first"]), zlib.decompress(bits))

    async def remove(self, batch: Batch) -> None:
        """Removes a batch that is over."""
        row = _row(batch)
        await self.table.remove(row.partition, row.key)

    async def close(self) -> None:
        """Lets the storage account's connections go."""
        await self.table.close()


def batch_of(row: Row) -> Batch:
    """The batch of a row."""
    return decoded(records.payload_of(row))


def rows_of(batch: Batch) -> tuple[Row, Row]:
    """The rows of a batch that is not over: its entry of `open`, and its own."""
    return _opened(batch), _row(batch)


def _opened(batch: Batch) -> Row:
    claimed = orjson.dumps(claims(batch)).decode()
    return Row(OPEN, batch.name, {"id": batch.id, "owner": batch.owner, "claims": claimed})


def _row(batch: Batch) -> Row:
    place = place_of(BATCH, batch.id)
    assert isinstance(place, Place)
    told: dict[str, Value] = {"id": batch.id, "owner": batch.owner, "state": batch.state}
    return Row(place.partition, place.key, told | records.properties(encoded(batch)))
