"""Which instances are dead: those whose heartbeat stands still, by what the sweep itself has seen.

An instance's own clock only says when to look closer. It is dead when its row has not changed between two looks that
are CONFIRM_S apart by the sweep's clock, so an instance with a wrong clock is never given up while it beats.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.spend import places
from shared.spend.heartbeat import CONFIRM_S, SILENT_S, Beat
from shared.storage.tables import Row, Table


async def dead(table: Table, beats: Sequence[Beat], notes: Sequence[Row], now: float) -> list[Beat]:
    """The heartbeats of dead instances; of those that may be, it takes a note beside `notes`. Raises StorageFailed."""
    noted = {row.key: row for row in notes}
    found: list[Beat] = []
    for beat in beats:
        note = noted.pop(beat.instance, None)
        if beat.buried:
            found.append(beat)
            continue
        stands_still = note is not None and note.properties["number"] == beat.number
        if note is not None and stands_still:
            if now - float(note.properties["since"]) >= CONFIRM_S:
                found.append(beat)
        elif now - beat.at >= SILENT_S:
            await table.put(Row(places.SILENT, beat.instance, {"number": beat.number, "since": now}))
        elif note is not None:
            await forget(table, beat.instance)
    for instance in noted:
        await forget(table, instance)
    return found


async def forget(table: Table, instance: str) -> None:
    """Removes the note of an instance that is alive, or done with. Raises StorageFailed."""
    await table.remove(places.SILENT, instance)
