"""Which keys are being changed, so that an instance need not read all the others again and again.

Whoever changes a key writes a note with its id right before the write (`announce`), each in a row of its own. Instances
in use look at the notes every LOOK_S: a key that has one is read as often as if nobody looked (known_keys.py), any
other is what it was when it was read, TRUSTED_S ago at most, without a request for each.

A note stays NOTE_S, the write that it announces takes seconds, so it does not matter when it was made, by whom, or
whether anybody knows that it was. And a note that came after a key was read is still there while the key is trusted, so
one look tells, whatever was missed before. No answer, or too many notes: every key is read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from shared.errors import StorageFailed, Unavailable
from shared.storage.tables import PAGE_ROWS_MAX, Row, Table
from shared.supervisor import Supervisor

log = logging.getLogger("spillway")

NOTES = "changing"
LOOK_S = 2.0
TRUST_S = 4.0
"""What was seen so long ago is no word on a key any more."""
NOTE_S = 1800.0
TRUSTED_S = 900.0
"""Half of NOTE_S: clocks differ."""
IDLE_S = 20.0
"""Nobody has asked for so long: nobody looks."""
NOTES_MAX = PAGE_ROWS_MAX
ANSWER_S = 3.0


async def announce(table: Table, key_id: str, at: float, random_bytes: Callable[[int], bytes]) -> None:
    """The key is about to be changed; `at` is in seconds since 1970. Raises StorageFailed: it must not be changed."""
    await table.put(Row(NOTES, f"{key_id}.{random_bytes(6).hex()}", {"at": at}))


async def clean(table: Table, at: float) -> None:
    """Removes old notes. Raises StorageFailed."""
    rows = await table.rows(NOTES, PAGE_ROWS_MAX)
    old = [row.key for row in rows if at - float(row.properties["at"]) >= NOTE_S]
    if old:
        await table.remove_all(NOTES, old)


class KeyChanges:
    """What one instance knows of the notes. `now` is a clock in seconds that goes forward."""

    def __init__(self, table: Table, supervisor: Supervisor, now: Callable[[], float]) -> None:
        self._table = table
        self._supervisor = supervisor
        self._now = now
        self._seen_at = self._asked_at = float("-inf")
        self._noted: dict[str, float] = {}
        self._looking = False

    def settled(self, key_id: str, read_at: float) -> bool:
        """Whether what was read of a key then (the read's beginning, by `now`) is still what it is."""
        now = self._now()
        self._asked_at = now
        if not self._looking:
            self._begin()
        return now - self._seen_at < TRUST_S and self._noted.get(key_id, float("-inf")) < read_at > now - TRUSTED_S

    async def look(self) -> None:
        """Reads the notes. Raises StorageFailed."""
        began = self._now()
        rows = await self._table.rows(NOTES, NOTES_MAX, only=("at",))
        if len(rows) >= NOTES_MAX:
            return
        now = self._now()
        self._noted = {key_id: at for key_id, at in self._noted.items() if now - at < TRUSTED_S}
        self._noted |= dict.fromkeys((row.key.partition(".")[0] for row in rows), now)
        self._seen_at = began

    def _begin(self) -> None:
        with suppress(Unavailable):
            self._supervisor.start(self._follow(), "key changes", standing=True)
            self._looking = True

    async def _follow(self) -> None:
        """Looks until nobody asks any more."""
        try:
            while self._now() - self._asked_at < IDLE_S:
                try:
                    async with asyncio.timeout(ANSWER_S):
                        await self.look()
                except (StorageFailed, TimeoutError) as error:
                    log.info("changes of keys cannot be seen (%s); each key is read again", type(error).__name__)
                await asyncio.sleep(LOOK_S)
        finally:
            self._looking = False
