"""What is to be looked at when its time has come: files that expire, and things that were begun and perhaps not ended.

One partition, sorted by time, so that a sweep with nothing to do reads nothing. An entry is written *before* what it
is about, and says only where to look: whoever comes to it decides by what is there then. Looking twice is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.storage.tables import Row, Table

PARTITION = "due"


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to look at: its `kind`, and the `subject` by which that kind finds it."""

    key: str
    kind: str
    subject: str


class Agenda:
    """The entries of one table. Every method raises StorageFailed and may be repeated."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def note(self, at: float, kind: str, subject: str) -> None:
        """Something is to be looked at, at `at` (seconds since 1970) or later."""
        key = f"{_sortable(at)}_{kind}_{subject}"
        await self._table.put(Row(PARTITION, key, {"kind": kind, "subject": subject}))

    async def due(self, now: float, count: int) -> list[Entry]:
        """What is to be looked at now, the longest due first."""
        rows = await self._table.rows(PARTITION, count, before=_sortable(now))
        return [Entry(row.key, str(row.properties["kind"]), str(row.properties["subject"])) for row in rows]

    async def done(self, entry: Entry) -> None:
        """It was looked at."""
        await self._table.remove(PARTITION, entry.key)


def _sortable(at: float) -> str:
    return f"{int(at):012d}"
