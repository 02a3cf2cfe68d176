"""What a dead instance held of a key's budget: counted as spent before anybody else may have it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from shared.callers import purses
from shared.callers.desk import desk
from shared.callers.key_store import KeyStore, shares_place
from shared.callers.presence import HOLDERS
from shared.callers.purses import Purses, Ticket
from shared.callers.shares import BUDGET, Shares, pots_of
from shared.callers.shares_row import read
from shared.callers.virtual_key import VirtualKey
from shared.errors import BudgetExceeded, StorageFailed
from shared.operations.key_sweep import KeySweep
from shared.supervisor import Supervisor
from tests.memory_table import MemoryTable, Rows
from tests.spend.world import Fate, Instance, World, settled

DRAFT = VirtualKey("", "", "", 0.0, 0.0, max_budget=1000, budget_from=1.0)


class Killed(BaseException):
    """The timer's process ended here."""


class Worker:
    """An instance with its purses and its ledger."""

    def __init__(self, town: Town) -> None:
        self.books: Instance = town.world.start()
        self.supervisor = Supervisor()
        clock = town.world.clock
        self.purses = Purses(desk(MemoryTable(town.keys), self.books.name, self.supervisor, clock, clock), 1000)

    async def open(self, key: VirtualKey, amount: int) -> tuple[Ticket, str]:
        """An attempt that is sent, and in the ledger."""
        ticket = await self.purses.admit(key, 1, open_ended=False)
        entry = self.books.entry(key_id=key.key_id, reserved=amount)
        await ticket.reserve(entry.entry_id, amount, amount)
        self.handle = self.books.ledger.open(entry)
        await self.books.run()
        return ticket, entry.entry_id

    async def call(self, key: VirtualKey, amount: int, cost: int) -> None:
        ticket, entry_id = await self.open(key, amount)
        self.handle.settle(settled(cost))
        ticket.settle(entry_id, cost)
        ticket.close(1)
        await self.books.run()

    async def die(self) -> None:
        await self.supervisor.close()
        await self.books.die()


class Town:
    """A storage account, its keys, and the timer."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.world = World()
        self.keys = Rows()
        self.store = KeyStore(MemoryTable(self.keys), self.world.clock, lambda size: b"k" * size)
        self._stack = stack

    def worker(self) -> Worker:
        made = Worker(self)
        self._stack.push_async_callback(made.die)
        return made

    async def sweep(self, table: MemoryTable | None = None) -> int:
        ledger, _ = self.world.tables(Fate())
        return await KeySweep(table or MemoryTable(self.keys), ledger, self.store, self.world.clock).run()

    async def pass_time(self, *, ledger: bool = True) -> None:
        """Minutes in which the timer runs."""
        for _ in range(5):
            self.world.now += 150.0
            if ledger:
                await self.world.sweep()
            await self.sweep()

    async def refused(self, call: Coroutine[Any, Any, None]) -> bool:
        """Whether the call is, while time goes by."""
        asking = asyncio.create_task(call)
        while not asking.done():
            self.world.now += 0.1
            await asyncio.sleep(0.001)
        return isinstance(asking.exception(), BudgetExceeded)

    def row(self, key: VirtualKey) -> Shares:
        return read(self.keys.kept[shares_place(key.key_id), key.key_id])

    def committed(self, key: VirtualKey) -> tuple[int, int]:
        """What is spent, and held."""
        pot = pots_of(key, self.world.now)[BUDGET]
        return self.row(key).spent(BUDGET, pot), self.row(key).held(BUDGET, pot, self.world.now)

    @property
    def holders(self) -> list[str]:
        return [key for partition, key in self.keys.kept if partition == HOLDERS]


@pytest.fixture
async def town(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    monkeypatch.setattr(purses, "TICK_S", 3600.0)
    async with AsyncExitStack() as stack:
        yield Town(stack)


@pytest.fixture
async def key(town: Town) -> VirtualKey:
    return (await town.store.create(DRAFT, None))[1]


async def test_a_dead_instances_open_attempt_is_spent_and_the_rest_is_free(town: Town, key: VirtualKey) -> None:
    dead = town.worker()
    await dead.call(key, 100, 60)
    await dead.open(key, 200)
    assert sum(town.committed(key)) > 260
    await dead.die()
    await town.pass_time()
    assert town.committed(key) == (260, 0)
    assert town.holders == []


async def test_nothing_is_given_back_before_the_ledger_has_closed_its_attempts(town: Town, key: VirtualKey) -> None:
    dead = town.worker()
    await dead.open(key, 200)
    held = town.committed(key)
    await dead.die()
    await town.pass_time(ledger=False)
    assert town.committed(key) == held
    await town.pass_time()
    assert town.committed(key) == (200, 0)


async def test_what_another_instance_may_have_is_known_at_every_moment(town: Town, key: VirtualKey) -> None:
    dead, other = town.worker(), town.worker()
    await dead.call(key, 700, 650)
    await dead.open(key, 300)
    await dead.die()
    assert await town.refused(other.call(key, 200, 200))
    await town.pass_time()
    assert await town.refused(other.call(key, 100, 100))
    await other.call(key, 50, 50)


async def test_what_was_settled_and_not_told_is_found_in_the_ledger(town: Town, key: VirtualKey) -> None:
    dead = town.worker()
    for _ in range(4):
        await dead.call(key, 10, 10)
    told = town.row(key).spent(BUDGET, pots_of(key, town.world.now)[BUDGET])
    assert told < 40
    await dead.die()
    await town.pass_time()
    assert town.committed(key) == (40, 0)


async def test_an_instance_that_lives_keeps_its_share(town: Town, key: VirtualKey) -> None:
    alive = town.worker()
    ticket, entry_id = await alive.open(key, 200)
    for _ in range(10):
        town.world.now += 100.0
        await alive.books.rounds()
        await alive.purses._wallets[key.key_id].keep()
        await town.world.sweep()
        await town.sweep()
    assert town.committed(key) == (0, 200)
    ticket.settle(entry_id, 200)
    ticket.close(1)


async def test_an_instance_whose_heartbeat_is_gone_in_good_order_is_done_with(town: Town, key: VirtualKey) -> None:
    idle = town.worker()
    await idle.call(key, 10, 10)
    await idle.die()
    ledger = town.world.ledger.kept
    for place in [place for place in ledger if place[0] == "heartbeats"]:
        del ledger[place]
    await town.pass_time(ledger=False)
    assert town.committed(key) == (10, 0)


async def test_an_earlier_period_is_not_counted(town: Town, key: VirtualKey) -> None:
    dead = town.worker()
    await dead.call(key, 10, 10)
    await dead.die()
    await town.store.change(key.key_id, lambda known: replace(known, budget_from=town.world.now + 1))
    await town.pass_time()
    changed = await town.store.get(key.key_id)
    assert town.committed(changed) == (0, 0)


async def test_a_key_that_is_gone_leaves_no_row(town: Town, key: VirtualKey) -> None:
    dead = town.worker()
    await dead.call(key, 10, 10)
    await dead.die()
    row = town.keys.kept[shares_place(key.key_id), key.key_id]
    await town.store.delete(key.key_id)
    town.keys.kept[shares_place(key.key_id), key.key_id] = row  # written by an instance that did not know yet
    await town.pass_time()
    assert (shares_place(key.key_id), key.key_id) not in town.keys.kept
    assert town.holders == []


async def test_with_nothing_to_do_it_takes_one_request(town: Town, key: VirtualKey) -> None:
    table = MemoryTable(town.keys)
    await town.sweep(table)
    assert table.calls == {"rows": 1}


@pytest.mark.parametrize("when", ["before", "after"])
async def test_it_may_be_killed_at_any_request(town: Town, key: VirtualKey, when: str) -> None:
    for nth in itertools.count(1):
        dead = town.worker()
        spent, _ = town.committed(key) if nth > 1 else (0, 0)
        await dead.call(key, 5, 5)
        await dead.open(key, 7)
        await dead.die()
        town.world.now += 400.0
        await town.sweep()
        for _ in range(3):
            town.world.now += 200.0
            await town.world.sweep()
        calls = itertools.count(1)

        def kill(what: str, nth: int = nth, calls: itertools.count[int] = calls) -> None:
            if next(calls) == nth:
                raise Killed

        try:
            done = await town.sweep(MemoryTable(town.keys, **{when: kill}))
        except Killed:
            done = 0
        await town.pass_time()
        assert town.committed(key) == (spent + 12, 0)
        assert town.holders == []
        if done:
            assert nth > 2
            return


async def test_storage_that_fails_leaves_the_work_to_the_next_run(town: Town, key: VirtualKey) -> None:
    dead = town.worker()
    await dead.open(key, 200)
    await dead.die()
    table = MemoryTable(town.keys)
    table.failures = 1
    with pytest.raises(StorageFailed):
        await town.sweep(table)
    await town.pass_time()
    assert town.committed(key) == (200, 0)
