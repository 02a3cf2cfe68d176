"""Idempotency-Keys of batches, in table `spillwaybatches`: a creation that is sent again makes no second batch.

    keys     {hash of owner, key}     the batch that the key stands for, and what its request said

A row goes when it is KEPT_S old. The agenda's note of that is written before it, and the row's own age decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from shared.errors import StorageFailed
from shared.files.agenda import Agenda
from shared.files.identity import Owner
from shared.storage.tables import Row, Table

KEYS = "keys"
KIND = "batch_key"
"""Of its entries in the agenda."""
KEPT_S = 86_400.0
"""So long a repetition is known."""


class Keyed:
    """The Idempotency-Keys of all callers. Every method raises StorageFailed and may be repeated."""

    def __init__(self, table: Table, agenda: Callable[[], Agenda], clock: Callable[[], float]) -> None:
        self._table = table
        self._agenda = agenda
        self._clock = clock

    async def claim(self, owner: Owner, key: str, batch_id: str, said: str) -> tuple[str, str]:
        """The batch that a key of the owner stands for, and what its request said: these, when new."""
        name = _name(owner, key)
        known = await self._table.get(KEYS, name)
        if known is None:
            now = self._clock()
            await self._agenda().note(now + KEPT_S, KIND, name)
            if await self._table.insert(Row(KEYS, name, {"id": batch_id, "said": said, "at": now})):
                return batch_id, said
            known = await self._table.get(KEYS, name)
            if known is None:
                raise StorageFailed("An Idempotency-Key is not there any more.")
        return str(known.properties["id"]), str(known.properties["said"])

    async def renew(self, owner: Owner, key: str, known_id: str, batch_id: str) -> bool:
        """Lets a key stand for another batch, as the one that it stands for was never written; whether that was done,
        which somebody else may have been first to do."""
        row = await self._table.get(KEYS, _name(owner, key))
        if row is None or row.properties["id"] != known_id:
            return False
        return await self._table.swap(replace(row, properties={**row.properties, "id": batch_id}), row.etag) is not None

    async def review(self, name: str) -> None:
        """Removes a row whose time has come; one that was made anew meanwhile has a note of its own."""
        row = await self._table.get(KEYS, name)
        if row is not None and self._clock() >= float(row.properties["at"]) + KEPT_S:
            await self._table.remove(KEYS, name)


def _name(owner: Owner, key: str) -> str:
    return hashlib.sha256(f"{owner.key_id}\n{key}".encode()).hexdigest()
