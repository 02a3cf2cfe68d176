"""An instance's own running totals in `spillwayspend`: what it has committed, written when it has changed.

Each row is the instance's own and replaced whole, so a lost acknowledgement or a repeated write changes nothing. What a
killed instance had not written yet is in its log, from which the sweep makes the final totals.
"""

from __future__ import annotations

import orjson

from shared.spend import places, records
from shared.spend.totals import Group, Sums, Totals
from shared.storage.tables import TRANSACTION_ROWS_MAX, Row, Table

WRITE_S = 10.0
"""Between two writes."""


class Rollups:
    """Running totals of one instance, by day."""

    def __init__(self, table: Table, instance: str) -> None:
        self._table = table
        self._instance = instance
        self._days: dict[str, Sums] = {}
        self._changed: set[Group] = set()
        self._writing: set[Group] = set()

    def add(self, sums: Sums) -> None:
        """Adds what was committed."""
        for group, totals in sums:
            day = self._days.get(group.day)
            if day is None:
                day = self._days[group.day] = Sums()
            self._changed.add(day.add_one(group, totals))

    @property
    def days(self) -> list[str]:
        """The days of which there are totals."""
        return sorted(self._days)

    def unwritten(self, day: str) -> bool:
        """Whether totals of that day are still to be written."""
        return any(group.day == day for group in self._changed | self._writing)

    def forget(self, day: str) -> None:
        """The day is finished: it is somebody else's to count it now."""
        self._days.pop(day, None)

    async def write(self) -> None:
        """Writes what has changed. Raises StorageFailed: what is left is written the next time."""
        changed = sorted(self._changed)
        for month in sorted({places.month_of(group.day) for group in changed}):
            groups = [group for group in changed if places.month_of(group.day) == month]
            for start in range(0, len(groups), TRANSACTION_ROWS_MAX):
                await self._write(month, groups[start : start + TRANSACTION_ROWS_MAX])

    async def _write(self, month: str, groups: list[Group]) -> None:
        rows = [self._row(month, group, self._days[group.day].groups[group]) for group in groups]
        self._writing = set(groups)
        self._changed -= self._writing  # what is added while this is written has changed again
        try:
            await self._table.put_all(rows)
        except BaseException:
            self._changed |= self._writing
            raise
        finally:
            self._writing = set()

    def _row(self, month: str, group: Group, totals: Totals) -> Row:
        key = places.rollup_key(group.day, group.key_id, group.model, group.deployment, self._instance)
        return Row(
            month,
            key,
            {
                "key_id": group.key_id,
                "model": group.model,
                "deployment": group.deployment,
                "totals": records.written(totals.written()).decode(),
            },
        )


def read_rollup(row: Row) -> tuple[Group, str, Totals]:
    """A row of an instance's running totals: its group, the instance, the totals."""
    found = row.properties
    day, instance = row.key[:8], row.key.rpartition("|")[2]
    group = Group(day, str(found["key_id"]), str(found["model"]), str(found["deployment"]))
    return group, instance, Totals.read(orjson.loads(str(found["totals"])))
