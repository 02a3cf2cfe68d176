"""Money that batches and fine-tuning jobs set aside: within the budget, told once, whoever repeats it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from shared.callers.key_store import KeyStore, shares_place
from shared.callers.presence import HOLDERS
from shared.callers.shares import BUDGET, EMPTY, Lease, Shares, pots_of
from shared.callers.shares_row import read, written
from shared.callers.tasks import CALLS, TASKS, WAIT_S, Tasks
from shared.callers.virtual_key import VirtualKey
from shared.errors import BudgetExceeded, StorageFailed
from tests.memory_table import MemoryTable, Rows

DRAFT = VirtualKey("", "", "", 0.0, 0.0, max_budget=100, budget_from=1.0)


class Town:
    """One key, whose time passes only where somebody waits."""

    def __init__(self, key: VirtualKey) -> None:
        self.at = 1_000_000.0
        self.rows = Rows()
        self.key = key
        self.store = KeyStore(MemoryTable(self.rows), lambda: self.at, lambda size: b"k" * size)
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds

    def tasks(self, table: MemoryTable | None = None) -> Tasks:
        return Tasks(table or MemoryTable(self.rows), self.store, lambda: self.at, self.sleep)

    def row(self) -> Shares:
        found = self.rows.kept.get((shares_place(self.key.key_id), self.key.key_id))
        return EMPTY if found is None else read(found)

    async def put(self, shares: Shares) -> None:
        await MemoryTable(self.rows).put(written(self.key.key_id, shares))

    @property
    def spent(self) -> int:
        return self.row().spent(BUDGET, pots_of(self.key, self.at)[BUDGET])

    @property
    def held(self) -> int:
        return self.row().held(BUDGET, pots_of(self.key, self.at)[BUDGET], self.at)


async def town(**changes: object) -> Town:
    made = Town(DRAFT)
    _, made.key = await made.store.create(replace(DRAFT, **changes), None)  # type: ignore[arg-type]
    return made


async def test_what_a_task_may_cost_is_set_aside_until_it_is_over() -> None:
    one = await town()
    tasks = one.tasks()
    await tasks.begin(one.key, "b", 60)
    assert (one.spent, one.held) == (0, 60)
    await tasks.book(one.key.key_id, "b", 25, whole=False)
    assert (one.spent, one.held) == (25, 35)
    await tasks.book(one.key.key_id, "b", 40, whole=True)
    assert (one.spent, one.held) == (40, 0)
    await tasks.end(one.key.key_id, "b", 45)
    assert (one.spent, one.held, one.row().tasks) == (45, 0, {})


async def test_every_step_may_be_repeated_and_come_late() -> None:
    one = await town()
    tasks, key_id = one.tasks(), one.key.key_id
    for _ in range(2):
        await tasks.begin(one.key, "b", 60)
    for cost in (25, 10, 25):
        await tasks.book(key_id, "b", cost, whole=False)
    assert (one.spent, one.held) == (25, 35)
    for _ in range(2):
        await tasks.end(key_id, "b", 25)
    await tasks.book(key_id, "b", 60, whole=False)
    assert (one.spent, one.held) == (25, 0)


async def test_a_task_that_came_to_more_than_was_set_aside_counts_whole() -> None:
    one = await town()
    await one.tasks().begin(one.key, "b", 60)
    await one.tasks().end(one.key.key_id, "b", 130)
    assert (one.spent, one.held) == (130, 0)


async def test_what_the_budget_does_not_carry_is_refused() -> None:
    one = await town()
    tasks = one.tasks()
    with pytest.raises(BudgetExceeded) as raised:
        await tasks.begin(one.key, "b", 101)
    assert (raised.value.status, raised.value.code) == (402, "insufficient_quota")
    await tasks.begin(one.key, "b", 70)
    with pytest.raises(BudgetExceeded, match=TASKS):
        await tasks.begin(one.key, "c", 31)
    assert set(one.row().tasks) == {"b"}
    assert one.slept == []
    await tasks.end(one.key.key_id, "b", 100)
    with pytest.raises(BudgetExceeded):
        await tasks.begin(one.key, "d", 0)


async def test_what_calls_hold_is_waited_for_a_while() -> None:
    one = await town()
    await one.put(Shares(leases={"i": Lease(one.at, one.at, {BUDGET: 50})}))
    with pytest.raises(BudgetExceeded, match=CALLS):
        await one.tasks().begin(one.key, "b", 60)
    assert sum(one.slept) == pytest.approx(WAIT_S)

    async def given_back(seconds: float) -> None:
        await one.put(Shares(leases={"i": Lease(one.at, one.at, {BUDGET: 40})}))

    tasks = Tasks(MemoryTable(one.rows), one.store, lambda: one.at, given_back)
    await tasks.begin(one.key, "b", 60)
    assert one.held == 100


async def test_a_key_without_a_budget_spends_too() -> None:
    one = await town(max_budget=None)
    await one.tasks().begin(one.key, "b", 60)
    await one.tasks().end(one.key.key_id, "b", 70)
    assert one.spent == 70


async def test_what_is_told_in_a_new_period_counts_there_and_nothing_else() -> None:
    one = await town(budget_duration="1h", budget_from=1_000_000.0)
    tasks, key_id = one.tasks(), one.key.key_id
    await tasks.begin(one.key, "b", 60)
    await tasks.book(key_id, "b", 20, whole=False)
    one.at += 3600
    assert (one.spent, one.held) == (0, 40)
    await tasks.book(key_id, "b", 35, whole=False)
    assert (one.spent, one.held) == (15, 25)
    one.at += 7200
    await tasks.book(key_id, "b", 36, whole=False)
    assert (one.spent, one.held, len(one.row().tasks["b"].spent)) == (1, 24, 2)
    await tasks.end(key_id, "b", 40)
    assert (one.spent, one.held) == (5, 0)


async def test_a_deleted_keys_tasks_are_nobodys() -> None:
    one = await town()
    await one.tasks().begin(one.key, "b", 60)
    await one.store.delete(one.key.key_id)
    await one.tasks().book(one.key.key_id, "b", 1, whole=False)
    await one.tasks().end(one.key.key_id, "b", 1)
    assert one.row() == EMPTY


async def test_tasks_are_no_instances_that_share_the_budget() -> None:
    one = await town()
    await one.tasks().begin(one.key, "b", 60)
    assert one.row().holders(pots_of(one.key, one.at)[BUDGET], one.at) == 0
    assert [key for partition, key in one.rows.kept if partition == HOLDERS] == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(1, 9))
async def test_a_failure_at_any_request_counts_nothing_twice(at: int, when: str) -> None:
    one = await town()
    count = 0

    def strike(_: str) -> None:
        nonlocal count
        count += 1
        if count == at:
            raise StorageFailed("down")

    table = MemoryTable(one.rows, strike) if when == "before" else MemoryTable(one.rows, after=strike)
    tasks, key_id = one.tasks(table), one.key.key_id
    steps: tuple[Callable[[], Awaitable[None]], ...] = (
        lambda: tasks.begin(one.key, "b", 60),
        lambda: tasks.book(key_id, "b", 25, whole=False),
        lambda: tasks.book(key_id, "b", 40, whole=True),
        lambda: tasks.end(key_id, "b", 40),
    )
    for step in steps:
        try:
            await step()
        except StorageFailed:
            await step()
        assert one.spent + one.held <= 60
    assert (one.spent, one.held, one.row().tasks) == (40, 0, {})


async def test_two_that_write_at_once_are_both_counted() -> None:
    one = await town()
    other = one.tasks()
    done = False

    def between(what: str) -> None:
        nonlocal done
        if what == "swap" and not done:
            done = True
            row = MemoryTable(one.rows)
            shares = one.row().begun("c", 30)
            row.table.kept[shares_place(one.key.key_id), one.key.key_id] = replace(
                written(one.key.key_id, shares), etag="another"
            )

    await other.begin(one.key, "a", 1)
    await one.tasks(MemoryTable(one.rows, between)).begin(one.key, "b", 60)
    assert {name: task.held for name, task in one.row().tasks.items()} == {"a": 1, "b": 60, "c": 30}


async def test_a_row_that_is_written_all_the_time_is_given_up() -> None:
    one = await town()
    await one.tasks().begin(one.key, "a", 1)

    def between(what: str) -> None:
        if what == "swap":
            place = shares_place(one.key.key_id), one.key.key_id
            one.rows.kept[place] = replace(one.rows.kept[place], etag=f"another{one.at}")
            one.at += 1

    with pytest.raises(StorageFailed):
        await one.tasks(MemoryTable(one.rows, between)).begin(one.key, "b", 60)
