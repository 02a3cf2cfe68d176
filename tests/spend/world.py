"""Instances, tables and a clock for tests of the ledger: instances die, storage fails, acknowledgements get lost.

`Fate` decides what becomes of each request to a table. `World` has the tables, an `Instance` is one worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from shared.errors import StorageFailed
from shared.ids import call_id, entry_id
from shared.spend.entry import Entry, Settlement
from shared.spend.ledger import Handle, Ledger, Mode
from shared.spend.logs import Place, Wanted, page
from shared.spend.places import day_of
from shared.spend.report import totals
from shared.spend.sweep import Sweep, Swept
from shared.spend.totals import Sums
from shared.supervisor import Supervisor
from tests.memory_table import MemoryTable, Rows

NOON = 1_782_907_200.0
"""2026-07-01 12:00 UTC."""
FIRST_DAY, LAST_DAY = "20260629", "20260710"


class Killed(BaseException):
    """The process died here."""


@dataclass
class Fate:
    """What becomes of the requests of one process. `kill_at` counts requests down to the one that it does not survive;
    `after`: it dies when the request was done. `lost` acknowledgements do not come; `down`: nothing gets through.
    `hold_at` counts requests down to the one at which the process stands still, before it or `after`, until `released`.
    """

    kill_at: int | None = None
    after: bool = False
    lost: int = 0
    down: bool = False
    hold_at: int | None = None
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def holds(self) -> bool:
        """Whether the process stands still."""
        return self.hold_at is not None and self.hold_at < 0

    async def stand_still(self, *, done: bool) -> None:
        if self.hold_at is not None and not done:
            self.hold_at -= 1
        if self.holds and done == self.after:
            await self.released.wait()

    def go_on(self) -> None:
        self.hold_at = None
        self.released.set()
        self.released = asyncio.Event()

    def before(self, what: str) -> None:
        if self.kill_at is not None:
            self.kill_at -= 1
            if self.kill_at < 0 and not self.after:
                raise Killed
        if self.down:
            raise StorageFailed("down")

    def done(self, what: str) -> None:
        if self.kill_at is not None and self.kill_at < 0:
            raise Killed
        if self.lost:
            self.lost -= 1
            raise StorageFailed("the acknowledgement was lost")


class SlowTable:
    """A client that lets others run before and after each request."""

    def __init__(self, table: MemoryTable, fate: Fate) -> None:
        self.table = table
        self.fate = fate

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def asked(*args: Any, **named: Any) -> Any:
            await asyncio.sleep(0)
            await self.fate.stand_still(done=False)
            answer = await getattr(self.table, name)(*args, **named)
            await self.fate.stand_still(done=True)
            await asyncio.sleep(0)
            return answer

        return asked


async def at_once(seconds: float) -> None:
    """Sleeps no longer than a turn of the loop."""
    await asyncio.sleep(0)


@dataclass
class World:
    """The storage account and the time."""

    ledger: Rows = field(default_factory=Rows)
    spend: Rows = field(default_factory=Rows)
    now: float = NOON
    instances: int = 0

    def clock(self) -> float:
        return self.now

    def tables(self, fate: Fate) -> tuple[Any, Any]:
        """Clients of both tables."""
        tables = (MemoryTable(rows, fate.before, fate.done) for rows in (self.ledger, self.spend))
        table, spend = (SlowTable(one, fate) for one in tables)
        return table, spend

    def start(self, mode: Mode = "before_reply", **timing: Any) -> Instance:
        self.instances += 1
        return Instance(self, f"{self.instances:012x}", mode, **timing)

    async def sweep(self, fate: Fate | None = None, *, days_kept: int = 400) -> Swept:
        """One run of the timer, which may be killed."""
        table, spend = self.tables(fate or Fate())
        return await Sweep(table, spend, self.clock, lambda: 0.0, days_kept=days_kept).run()

    async def settle_down(self) -> None:
        """Lets the timer do all that is left, long after the last instance was heard of."""
        for pause_s in (*[400.0] * 6, 90_000.0, *[400.0] * 4):
            self.now += pause_s
            await self.sweep()

    async def listed(self, wanted: Wanted | None = None, limit: int = 3) -> list[Entry]:
        """The whole list, page by page."""
        found: list[Entry] = []
        after: Place | None = None
        table, _ = self.tables(Fate())
        while True:
            got = await page(table, FIRST_DAY, LAST_DAY, wanted or Wanted(), after=after, limit=limit)
            found += [entry for _, entry in got.items]
            if not got.has_more:
                return found
            assert got.last is not None
            assert got.last != after
            after = Place.read(str(got.last))

    async def totals(self) -> Sums:
        _, spend = self.tables(Fate())
        return await totals(spend, FIRST_DAY, LAST_DAY)


class Instance:
    """One worker. Its calls are numbered; each has one attempt. `timing` is the ledger's `interval_s` and `sleep`."""

    def __init__(self, world: World, name: str, mode: Mode, **timing: Any) -> None:
        self.world = world
        self.name = name
        self.fate = Fate()
        self.supervisor = Supervisor()
        self.table, self.spend = world.tables(self.fate)
        self.ledger = Ledger(
            self.table, self.spend, name, self.supervisor, world.clock, mode=mode,
            **{"interval_s": 0.001, "sleep": at_once, **timing},
        )  # fmt: skip
        self.calls = 0
        self.held: asyncio.Future[None] | None = None

    def entry(self, **values: Any) -> Entry:
        self.calls += 1
        usual = {"key_id": "key_1", "model": "gpt-4o", "deployment_id": "dep_1", "reserved": 900}
        values = {**usual, "estimate": {"prompt": 9}, **values}
        attempt = entry_id(call_id(day_of(self.world.now), self.name, self.calls), 1)
        return Entry(attempt, "chat_completions", started_at=self.world.now, **values)

    def open(self, **values: Any) -> Handle:
        return self.ledger.open(self.entry(**values))

    async def run(self, turns: int = 40) -> None:
        """Lets the writer work."""
        for _ in range(turns):
            await asyncio.sleep(0)

    async def beat(self) -> None:
        assert self.ledger.house is not None
        await self.ledger.house.beat_round()

    async def write_totals(self) -> None:
        assert self.ledger.house is not None
        await self.ledger.house.total_round()

    async def rounds(self) -> None:
        """What it does twice a minute."""
        await self.beat()
        await self.write_totals()

    async def die(self) -> None:
        """Stops where it is."""
        if self.held is not None:
            self.held.cancel()
            await asyncio.gather(self.held, return_exceptions=True)
        await self.supervisor.close()


def settled(cost: int = 100, **values: Any) -> Settlement:
    return Settlement("settled", usage={"prompt": 10, "completion": 5}, cost=cost, http_status=200, **values)
