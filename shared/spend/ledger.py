"""The ledger as a call uses it: an attempt is opened before it is sent, and settled when its outcome is known.

What is promised, by SPILLWAY_LEDGER:

before_reply   the attempt is in the table before the first byte of its answer leaves. It is written while the model
               works. When storage does not answer it is waited for a quarter of a second; then the call is served, its
               record waits in memory (`buffered`), and a kill may lose it.
before_send    the attempt is in the table before it is sent; else the call is answered 503.
async          nothing is waited for.

With WAITING_MAX records in memory nothing new is begun: 503. Without a storage account there is no ledger, and one
warning says so. A settle never fails and is never refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal

from shared.errors import StorageFailed
from shared.spend.entry import Entry, Settlement, closed
from shared.spend.housekeeping import Housekeeping
from shared.spend.outside import settle_late
from shared.spend.records import storable
from shared.spend.segments import OUTAGE_S, WAITING_MAX, Batch, Segments
from shared.storage.tables import Table
from shared.supervisor import Supervisor

log = logging.getLogger("spillway")

Mode = Literal["before_reply", "before_send", "async"]
State = Literal["off", "ok", "buffering", "full"]
REPLY_WAIT_S = 0.25
SEND_WAIT_S = 5.0
HEADER = "x-spillway-ledger"


@dataclass(slots=True)
class Handle:
    """One attempt in the ledger. `ledger` None: there is none.

    `before_send`, `before_reply` and `before_end` are awaited before the attempt is sent, before the first byte of its
    answer leaves and, settled, before the last one does. `buffered`: the call was served before its record was in the
    table.
    """

    entry: Entry
    ledger: Ledger | None = None
    opened: Batch | None = None
    settled: Batch | None = None
    buffered: bool = False

    async def before_send(self) -> None:
        """Raises StorageFailed when the attempt must not be sent; it is settled then, as one that cost nothing."""
        if self.ledger is None or self.opened is None or self.ledger.mode != "before_send":
            return
        if not await self.opened.wait(self.ledger.patience_s(SEND_WAIT_S)):
            self.settle(Settlement("failed", cost=0, http_status=StorageFailed.status, code=str(StorageFailed.code)))
            raise StorageFailed("The call cannot be entered in the ledger, so it is not sent.", retry_after_ms=1000)

    async def before_reply(self) -> None:
        """Waits for the open record a moment at most."""
        await self._moment(self.opened)

    async def before_end(self) -> None:
        """Waits for the settled record a moment at most."""
        await self._moment(self.settled)

    def settle(self, settlement: Settlement) -> bool:
        """Closes the attempt; the first settle counts. Whether this was it."""
        if not self.entry.is_open:
            return False
        if self.ledger is None:
            self.entry = closed(self.entry, settlement, self.entry.started_at)
            return True
        return self.ledger.settle(self, settlement)

    async def _moment(self, batch: Batch | None) -> None:
        if self.ledger is None or batch is None or self.ledger.mode == "async" or batch.committed:
            return
        assert self.ledger.segments is not None
        self.ledger.segments.hurry()
        if not await batch.wait(self.ledger.patience_s(REPLY_WAIT_S)):
            self.buffered = True


class Ledger:
    """The ledger of one instance. Belongs to the running event loop; `table` and `spend` None: it is off."""

    def __init__(
        self,
        table: Table | None,
        spend: Table | None,
        instance: str,
        supervisor: Supervisor,
        clock: Callable[[], float],
        *,
        mode: Mode = "before_reply",
        interval_s: float = 0.003,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.mode = mode
        self._clock = clock
        self._supervisor = supervisor
        self._table = table
        self._told = False
        self.house: Housekeeping | None = None
        self.segments: Segments | None = None
        if table is not None and spend is not None:
            house = self.house = Housekeeping(table, spend, instance, clock)
            self.segments = Segments(
                table,
                instance,
                supervisor,
                interval_s=interval_s,
                announce=house.heartbeat.announce,
                committed=house.committed,
                under_way=lambda: house.heartbeat.under_way,
                sleep=sleep,
            )
            house.has_waiting = self.segments.has_waiting
            house.settle = self._give_up
            house.wake = self.segments.wake

    @property
    def state(self) -> State:
        """`off` without a storage account, `buffering` while storage does not answer, `full` when nothing is begun."""
        if self.segments is None:
            return "off"
        if self.segments.waiting >= WAITING_MAX:
            return "full"
        return "buffering" if self.segments.failing_s or self.segments.writing_s > OUTAGE_S else "ok"

    def patience_s(self, seconds: float) -> float:
        """How long to wait for a record: not at all when storage has been away for a while, and a little longer for the
        very first, before which Azure's library is loaded and the table made."""
        segments = self.segments
        assert segments is not None
        if segments.writing_s > OUTAGE_S:
            return 0.0
        return seconds if segments.has_written or segments.failing_s else max(seconds, OUTAGE_S)

    def open(self, entry: Entry) -> Handle:
        """Opens an attempt. Raises StorageFailed when too many records wait for storage, Unavailable when there are too
        many tasks."""
        if self.segments is None or self.house is None:
            if not self._told:
                self._told = True
                log.warning("there is no storage account: nothing is entered in a ledger")
            return Handle(entry)
        if self.segments.waiting >= WAITING_MAX:
            raise StorageFailed("Too many calls wait to be entered in the ledger.", retry_after_ms=1000)
        self.house.keep(self._supervisor)
        entry = storable(entry)
        self.house.heartbeat.opened(entry)
        return Handle(entry, self, self.segments.add(entry))

    def settle(self, handle: Handle, settlement: Settlement) -> bool:
        """Closes a handle's attempt, unless somebody else has; whether it did."""
        assert self.segments is not None
        assert self.house is not None
        continued = not self.segments.holds(handle.entry.entry_id)
        handle.entry = closed(handle.entry, settlement, round(self._clock(), 3), continued=continued)
        if not self.house.heartbeat.is_open(handle.entry.entry_id):
            return False
        self.house.heartbeat.closing(handle.entry.entry_id)
        handle.settled = self.segments.add(handle.entry)
        return True

    def _give_up(self, entry: Entry) -> None:
        """Closes an attempt of which there is no handle any more."""
        assert self.segments is not None
        assert self.house is not None
        if self.house.heartbeat.is_open(entry.entry_id):
            self.house.heartbeat.closing(entry.entry_id)
            self.segments.add(replace(entry, continued=not self.segments.holds(entry.entry_id)))

    async def settle_late(self, entry: Entry) -> None:
        """Enters a closed entry that any instance opened; `outside.settle_late`. Raises StorageFailed."""
        if self._table is not None:
            await settle_late(self._table, entry)

    async def flush(self, seconds: float) -> None:
        """Waits until everything is in the table, at most so long, and not at all while storage does not answer."""
        if self.segments is not None:
            await self.segments.flush(self.patience_s(seconds))
