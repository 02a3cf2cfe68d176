"""The writer of one instance's log: records are gathered and written as segments, one write at a time.

The next write starts when the last one returned, at least `interval_s` after it, at once when nothing is under way or
somebody waits to whose record nothing will be added; what an attempt says in between is one record. A segment that is
to be written is frozen: it is tried under the same key with the same content until it is acknowledged, so that a write
which succeeded without telling us changes nothing. Segments are written in their order. In an outage they wait, packed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from shared.errors import SpillwayError, StorageFailed
from shared.spend import places, records
from shared.spend.entry import Entry, day_and_instance, greater
from shared.spend.totals import Sums
from shared.storage.tables import Row, Table
from shared.supervisor import Supervisor

log = logging.getLogger("spillway")

RECORDS_MAX = 500
"""Of a segment; packing them keeps the event loop for about 5 ms."""
WAITING_MAX = 100_000
"""Records that wait for storage; with more, nothing new is begun."""
WRITE_S = 5.0
"""One write; it is repeated after that."""
RETRY_S, RETRY_S_MAX, GIVE_WAY_S = 0.1, 2.0, 0.004
LOOKS = 5
OUTAGE_S = 1.0
"""Storage that has not taken a segment for so long is not waited for."""


class Batch:
    """What is written together. It may be waited for by anybody, any number of times."""

    def __init__(self) -> None:
        self.left = 0
        self.committed = False
        self._waiting: set[asyncio.Future[bool]] = set()

    @property
    def is_awaited(self) -> bool:
        return bool(self._waiting)

    def written(self) -> None:
        """One of its segments is in the table."""
        self.left -= 1
        if self.left == 0:
            self.committed = True
            for future in self._waiting:
                _answer(future, True)

    async def wait(self, seconds: float) -> bool:
        """Whether it was committed within so many seconds in which this process ran.

        The time is waited in LOOKS parts, so that an event loop which stood still for longer does not take its own
        pause for storage's silence. Every call waits here: a bare timer takes half of what asyncio.timeout does.
        """
        if seconds <= 0:
            return self.committed
        loop = asyncio.get_running_loop()
        for _ in range(LOOKS):
            if self.committed:
                break
            future: asyncio.Future[bool] = loop.create_future()
            self._waiting.add(future)
            timer = loop.call_later(seconds / LOOKS, _answer, future, False)
            try:
                await future
            finally:
                timer.cancel()
                self._waiting.discard(future)
        return self.committed


def _answer(future: asyncio.Future[bool], committed: bool) -> None:
    if not future.done():  # its time is over, or nobody waits any more
        future.set_result(committed)


@dataclass(slots=True)
class Segment:
    """Records of one day, frozen. `sums` is what its closed ones come to, `closed` their ids."""

    day: str
    sequence: int
    payload: bytes
    count: int
    sums: Sums
    closed: list[str] = field(default_factory=list)


class Segments:
    """The log of one instance. Belongs to the running event loop.

    `announce(day)` is awaited before a segment is written and before it counts as committed; it raises StorageFailed
    when nobody would know of the segment. `committed` is called with every segment that is in the table. `under_way`
    tells how many attempts are open.
    """

    def __init__(
        self,
        table: Table,
        instance: str,
        supervisor: Supervisor,
        *,
        interval_s: float,
        announce: Callable[[str], Awaitable[None]],
        committed: Callable[[Segment], None],
        under_way: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._table = table
        self._instance = instance
        self._supervisor = supervisor
        self._interval_s = interval_s
        self._announce = announce
        self._committed = committed
        self._under_way = under_way
        self._sleep = sleep
        self._queue: dict[str, Entry] = {}
        self._batch = Batch()
        self._frozen: deque[tuple[Segment, Batch]] = deque()
        self._frozen_count = 0
        self._sequences: dict[str, int] = {}
        self._writer: asyncio.Task[None] | None = None
        self._pause: asyncio.Future[None] | None = None
        self._gives_way = False
        self._returned_at = float("-inf")
        self._failing_since: float | None = None
        self._begun_at: float | None = None

    @property
    def waiting(self) -> int:
        """Records that are not in the table yet."""
        return len(self._queue) + self._frozen_count

    @property
    def failing_s(self) -> float:
        """For how long storage has failed; 0 when its last answer was good."""
        return 0.0 if self._failing_since is None else self._now() - self._failing_since

    @property
    def writing_s(self) -> float:
        """For how long the segment under way has been tried."""
        return 0.0 if self._begun_at is None else self._now() - self._begun_at

    @property
    def has_written(self) -> bool:
        """Whether storage has taken a segment."""
        return self._returned_at > float("-inf")

    def has_waiting(self, day: str) -> bool:
        """Whether something of that day is not in the table yet."""
        waits = any(segment.day == day for segment, _ in self._frozen)
        return waits or any(day_and_instance(entry_id)[0] == day for entry_id in self._queue)

    def add(self, entry: Entry) -> Batch:
        """Takes a record; the batch with which it will be committed. Never waits, never refuses."""
        known = self._queue.get(entry.entry_id)
        self._queue[entry.entry_id] = entry if known is None else greater(known, entry)
        batch = self._batch
        if len(self._queue) >= RECORDS_MAX:
            self._freeze()
        self.wake()
        return batch

    def holds(self, entry_id: str) -> bool:
        """Whether a record of this attempt is still to be frozen: the next one becomes one with it."""
        return entry_id in self._queue

    def hurry(self) -> None:
        """Somebody begins to wait. Ends the pause before the next write where nothing more is to come, so that few
        calls at a time do not wait for company, and one that only gives way."""
        if self._pause is not None and (self._gives_way or not self._under_way()):
            self._pause.cancel()

    async def flush(self, seconds: float) -> None:
        """Waits until nothing is left to write, at most so long."""
        if self._writer is not None:
            await asyncio.wait({self._writer}, timeout=seconds)

    def wake(self) -> None:
        """Has everything written that waits, if nobody does."""
        if (self._queue or self._frozen) and (self._writer is None or self._writer.done()):
            try:
                self._writer = self._supervisor.start(self._write_all(), "ledger")
            except SpillwayError:
                log.warning("the ledger's writer could not be started; the next record tries again")

    async def _write_all(self) -> None:
        """Writes until nothing is left."""
        while self._queue or self._frozen:
            if not self._frozen:
                await self._gather()
                self._freeze()
            segment, batch = self._frozen[0]
            await self._write(segment)
            self._frozen.popleft()
            self._frozen_count -= segment.count
            self._committed(segment)
            batch.written()

    async def _gather(self) -> None:
        """Lets records come together until the interval is over, or those are all there are.

        While nobody waits for them it first gives way: the request or the reply that the records are about leaves at
        this moment, and would have to wait for so dear a thing as a write.
        """
        self._gives_way = True
        if not self._batch.is_awaited:
            await self._paused(GIVE_WAY_S)
        self._gives_way = False
        seconds = self._returned_at + self._interval_s - self._now()
        if seconds > 0 and not self._is_complete:
            await self._paused(seconds)
        else:
            await self._sleep(0.0)

    async def _paused(self, seconds: float) -> None:
        """Sleeps until it is hurried."""
        self._pause = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait({self._pause})
        finally:
            self._pause.cancel()

    @property
    def _is_complete(self) -> bool:
        """Whether somebody waits for what is queued, and no attempt is under way that may bring more."""
        return self._batch.is_awaited and not self._under_way()

    def _freeze(self) -> None:
        """Makes segments of all that is queued."""
        entries, batch = list(self._queue.values()), self._batch
        self._queue, self._batch = {}, Batch()
        by_day: dict[str, list[Entry]] = {}
        for entry in entries:
            by_day.setdefault(day_and_instance(entry.entry_id)[0], []).append(entry)
        for day, some in by_day.items():
            for payload, records_of in _fitting(some):
                self._frozen.append((self._segment(day, payload, records_of), batch))
                self._frozen_count += len(records_of)
                batch.left += 1

    def _segment(self, day: str, payload: bytes, entries: list[Entry]) -> Segment:
        sequence = self._sequences[day] = self._sequences.get(day, 0) + 1
        sums = Sums(None)
        sums.count(day, entries)
        closed = [entry.entry_id for entry in entries if not entry.is_open]
        return Segment(day, sequence, payload, len(entries), sums, closed)

    async def _write(self, segment: Segment) -> None:
        """Writes a segment, however often it takes."""
        partition = places.log_partition(segment.day, self._instance)
        row = Row(partition, places.segment_key(segment.sequence), records.properties(segment.payload))
        pause = RETRY_S
        self._begun_at = self._now()
        while True:
            try:
                async with asyncio.timeout(WRITE_S):
                    await self._announce(segment.day)
                    await self._table.put(row)
                    await self._announce(segment.day)  # in case we stood still just now
            except (StorageFailed, TimeoutError):
                self._failed()
            else:
                self._succeeded()
                return
            await self._sleep(pause)
            pause = min(2 * pause, RETRY_S_MAX)

    def _failed(self) -> None:
        if self._failing_since is None:
            self._failing_since = self._now()
            log.warning("the ledger cannot be written; its records wait in memory until storage is back")

    def _succeeded(self) -> None:
        self._returned_at, self._begun_at = self._now(), None
        if self._failing_since is not None:
            self._failing_since = None
            log.warning("the ledger is written again; %d records waited", self.waiting)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _fitting(entries: list[Entry]) -> list[tuple[bytes, list[Entry]]]:
    """The entries in runs that fit into a row each, packed."""
    payloads = records.encoded(entries)
    if len(payloads) == 1 or len(entries) == 1:
        return [(payloads[0], entries)]
    half = len(entries) // 2
    return _fitting(entries[:half]) + _fitting(entries[half:])
