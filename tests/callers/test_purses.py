from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from shared.callers import purses, wallet
from shared.callers.desk import desk
from shared.callers.key_store import shares_place
from shared.callers.purses import PATIENT_S, Purses, Ticket
from shared.callers.shares import BUDGET, EMPTY, PARALLEL, TOKENS, Shares, pots_of
from shared.callers.shares_row import read
from shared.callers.virtual_key import VirtualKey
from shared.callers.wallet import Wallet
from shared.config.pricing import PICO
from shared.errors import BudgetExceeded, RateLimited, StorageFailed
from shared.supervisor import Supervisor
from tests.memory_table import MemoryTable, Rows

KEY = VirtualKey("key_0", "h", "", 0.0, 0.0, budget_from=1.0)


class Town:
    """Instances of one storage account, whose time passes only when a test says so."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.at = 1_000_000.0
        self.rows = Rows()
        self.tables: list[MemoryTable] = []
        self._stack = stack

    def instance(self, reserve_max: int = 1000, **more: int) -> Purses:
        supervisor = Supervisor()
        self._stack.push_async_callback(supervisor.close)
        self.tables.append(MemoryTable(self.rows))
        one = desk(self.tables[-1], f"i{len(self.tables)}", supervisor, lambda: self.at, lambda: self.at)
        return Purses(one, reserve_max, **more)

    def row(self, key: VirtualKey) -> Shares:
        found = self.rows.kept.get((shares_place(key.key_id), key.key_id))
        return EMPTY if found is None else read(found)

    def spent(self, key: VirtualKey) -> int:
        return self.row(key).spent(BUDGET, pots_of(key, self.at)[BUDGET])

    def held(self, key: VirtualKey, name: str = BUDGET) -> int:
        return self.row(key).held(name, pots_of(key, self.at)[name], self.at)

    async def until(self, condition: Callable[[], bool], step_s: float = 0.0) -> None:
        """Lets time pass until it holds."""
        async with asyncio.timeout(5):
            while not condition():
                self.at += step_s
                await asyncio.sleep(0.002)


@pytest.fixture
async def town(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    monkeypatch.setattr(purses, "TICK_S", 0.001)
    monkeypatch.setattr(purses, "ASK_S", 0.01)
    monkeypatch.setattr(wallet, "PAUSE_S", 0.0001)
    async with AsyncExitStack() as stack:
        yield Town(stack)


ids = (f"call_{number}.1" for number in itertools.count(1))


async def opened(
    one: Purses, key: VirtualKey, amount: int | None = 0, tokens: int = 1, **more: Any
) -> tuple[Ticket, str]:
    ticket = await one.admit(key, tokens, open_ended=more.get("open_ended", False))
    entry_id = next(ids)
    try:
        await ticket.reserve(entry_id, amount, more.get("probable", amount))
    except BaseException:
        ticket.close(0)
        raise
    return ticket, entry_id


async def call(
    one: Purses, key: VirtualKey, amount: int | None, cost: int | None, tokens: int = 1, **more: Any
) -> None:
    ticket, entry_id = await opened(one, key, amount, tokens, **more)
    ticket.settle(entry_id, cost)
    ticket.close(tokens)


async def as_many_as_may_be(one: Purses, key: VirtualKey) -> int:
    """How many calls are let in before one is refused for the rate."""
    for number in range(100):
        try:
            await call(one, key, 0, 0)
        except RateLimited:
            return number
    return 100


async def test_a_budget_is_spent_to_its_end_and_no_further(town: Town) -> None:
    one, key = town.instance(), replace(KEY, max_budget=100)
    for _ in range(10):
        await call(one, key, 10, 10)
    with pytest.raises(BudgetExceeded) as raised:
        await call(one, key, 10, 10)
    assert (raised.value.status, raised.value.code, raised.value.should_retry) == (402, "insufficient_quota", False)
    await town.until(lambda: town.spent(key) == 100, step_s=1.0)


async def test_a_call_that_finds_enough_asks_storage_for_nothing(town: Town) -> None:
    one, key = town.instance(), replace(KEY, max_budget=PICO)
    await call(one, key, 10, 10)
    asked = dict(town.tables[0].calls)
    for _ in range(3):
        await call(one, key, 10, 10)
    assert town.tables[0].calls == asked


async def test_what_was_set_aside_and_not_used_is_there_again(town: Town) -> None:
    one, key = town.instance(), replace(KEY, max_budget=100)
    for _ in range(21):  # the last one finds 60 left
        await call(one, key, 60, 2)
    with pytest.raises(BudgetExceeded):
        await call(one, key, 60, 2)


async def test_four_instances_and_two_hundred_calls_never_have_more_than_the_budget(town: Town) -> None:
    fleet = [town.instance() for _ in range(4)]
    key = replace(KEY, max_budget=1000)
    under_way = settled = most = 0

    async def one_call(number: int) -> bool:
        nonlocal under_way, settled, most
        try:
            ticket, entry_id = await opened(fleet[number % 4], key, 30)
        except BudgetExceeded:
            return False
        under_way += 30
        most = max(most, under_way + settled)
        await asyncio.sleep(0.001 * (number % 7))
        under_way, settled = under_way - 30, settled + 20
        ticket.settle(entry_id, 20)
        ticket.close(1)
        return True

    async def pass_time() -> None:
        while True:
            town.at += 0.01
            await asyncio.sleep(0.002)

    passing = asyncio.create_task(pass_time())
    let_in = sum(await asyncio.gather(*(one_call(number) for number in range(200))))
    passing.cancel()
    assert most <= 1000
    assert 1000 - 30 < settled == 20 * let_in <= 1000
    await town.until(lambda: town.spent(key) == settled and not town.row(key).leases, step_s=1.0)


async def test_money_that_another_instance_holds_idly_is_waited_for(town: Town) -> None:
    first, second = town.instance(), town.instance()
    key = replace(KEY, max_budget=100)
    ticket, entry_id = await opened(first, key, 90)
    waiting = asyncio.create_task(opened(second, key, 50))
    await town.until(lambda: town.tables[1].calls.get("get", 0) > 1)
    ticket.settle(entry_id, 5)
    ticket.close(1)
    await town.until(waiting.done, step_s=0.01)
    other, other_id = waiting.result()
    other.settle(other_id, 50)
    other.close(1)
    assert await second.spent(key) == 55


async def test_what_is_set_aside_for_long_is_a_402_that_says_so(town: Town) -> None:
    one, key = town.instance(), replace(KEY, max_budget=100, budget_duration="30d")
    await opened(one, key, 90)
    asking = asyncio.create_task(opened(one, key, 50))
    await town.until(asking.done, step_s=0.1)
    with pytest.raises(BudgetExceeded) as raised:
        await asking
    assert "set aside for calls under way" in raised.value.message
    assert "It is reset in " in raised.value.message
    assert float(raised.value.extra_headers["x-spillway-key-budget-reset-s"]) > 0


async def test_a_refusal_says_what_is_left_and_what_was_wanted(town: Town) -> None:
    one, key = town.instance(), replace(KEY, max_budget=10 * PICO)
    await call(one, key, PICO, PICO)
    with pytest.raises(BudgetExceeded) as raised:
        await call(one, key, 10 * PICO, 1)
    assert "of 10 USD 9 are left; this call may cost 10." in raised.value.message
    assert raised.value.extra_headers["x-spillway-key-budget-left-usd"] == "9"


async def test_a_used_up_budget_is_not_looked_up_with_every_call(town: Town) -> None:
    one, key = town.instance(), replace(KEY, max_budget=10)
    await call(one, key, 10, 10)
    for _ in range(20):
        with pytest.raises(BudgetExceeded):
            await call(one, key, 10, 10)
    assert town.tables[0].calls["get"] <= 3


async def test_a_call_without_an_end_in_sight_sets_aside_no_more_than_it_may_and_than_there_is(town: Town) -> None:
    one, key = town.instance(reserve_max=40), replace(KEY, max_budget=100)
    tickets = [await opened(one, key, 10_000, open_ended=True) for _ in range(3)]
    assert town.held(key) == 100
    asking = asyncio.create_task(opened(one, key, 10_000, open_ended=True))
    await town.until(asking.done, step_s=0.1)
    with pytest.raises(BudgetExceeded):
        await asking
    for ticket, entry_id in tickets:
        ticket.settle(entry_id, 20)
        ticket.close(1)


async def test_many_calls_without_an_end_in_sight_find_room_at_once(town: Town) -> None:
    one, key = town.instance(reserve_max=1000), replace(KEY, max_budget=1600)
    tickets = [await opened(one, key, 10_000, open_ended=True, probable=20) for _ in range(12)]
    assert town.held(key) >= 12 * 100
    for ticket, entry_id in tickets:
        ticket.settle(entry_id, 20)
        ticket.close(1)


async def test_only_such_a_call_overspends_and_that_is_told(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    one, key = town.instance(reserve_max=40), replace(KEY, max_budget=100)
    await call(one, key, 10_000, 250, open_ended=True)
    with pytest.raises(BudgetExceeded):
        await call(one, key, 1, 1)
    await town.until(lambda: town.spent(key) == 250, step_s=1.0)
    assert await one.spent(key) == 250
    assert len([record for record in caplog.records if "more than its budget" in record.message]) == 1


async def test_a_call_that_costs_nothing_needs_no_budget(town: Town) -> None:
    one, key = town.instance(), replace(KEY, max_budget=0)
    await call(one, key, 0, 0)
    with pytest.raises(BudgetExceeded):
        await call(one, key, 1, 0)


async def test_what_has_no_price_needs_that_something_is_left(town: Town) -> None:
    one = town.instance()
    await call(one, replace(KEY, max_budget=1), None, None)
    with pytest.raises(BudgetExceeded):
        await call(one, replace(KEY, key_id="key_1", max_budget=0), None, None)


async def test_a_budget_is_whole_again_in_its_next_period(town: Town) -> None:
    one, key = town.instance(), replace(KEY, max_budget=10, budget_duration="1h")
    await call(one, key, 10, 10)
    town.at += 3600
    await call(one, key, 10, 10)
    assert await one.spent(key) == 10


async def test_a_budget_that_is_raised_lets_calls_in_at_once(town: Town) -> None:
    one, key = town.instance(), replace(KEY, max_budget=10)
    await call(one, key, 10, 10)
    with pytest.raises(BudgetExceeded):
        await call(one, key, 10, 10)
    await call(one, replace(key, max_budget=20), 10, 10)


async def test_a_soft_budget_is_told_once(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    one, key = town.instance(), replace(KEY, soft_budget=10)
    ticket, entry_id = await opened(one, key, 5)
    assert "x-spillway-soft-budget" not in ticket.headers()
    ticket.settle(entry_id, 10)
    ticket.close(1)
    assert ticket.headers()["x-spillway-soft-budget"] == "exceeded"
    await call(one, key, 5, 5)
    assert len([record for record in caplog.records if "soft budget" in record.message]) == 1


async def test_an_answer_tells_what_its_key_has_spent(town: Town) -> None:
    one, key = town.instance(), replace(KEY, max_budget=PICO)
    ticket, entry_id = await opened(one, key, PICO // 2)
    ticket.settle(entry_id, PICO // 4)
    assert ticket.headers() == {"x-spillway-key-spend-usd": "0.25", "x-spillway-key-max-budget-usd": "1"}
    ticket.close(1)


async def test_without_a_limit_what_is_spent_is_known_to_all(town: Town) -> None:
    one, other = town.instance(), town.instance()
    await call(one, KEY, 7, 5)
    assert await one.spent(KEY) == 5
    await town.until(lambda: town.spent(KEY) == 5, step_s=0.1)
    assert await other.spent(KEY) == 5


async def test_an_idle_instance_holds_nothing_and_forgets_the_key(town: Town) -> None:
    one, key = town.instance(), replace(KEY, max_budget=1000)
    await call(one, key, 10, 10)
    assert town.held(key) > 0
    await town.until(lambda: not len(one), step_s=0.5)
    assert (town.row(key).leases, town.spent(key)) == ({}, 10)


async def test_a_lease_is_renewed_while_a_call_on_it_is_open(town: Town) -> None:
    one, key = town.instance(), replace(KEY, max_budget=1000)
    ticket, entry_id = await opened(one, key, 10)
    began = town.at
    await town.until(lambda: town.row(key).leases["i1"].at >= began + 600, step_s=1.0)
    assert town.held(key) == 10
    ticket.settle(entry_id, 10)
    ticket.close(1)


@pytest.mark.parametrize(
    ("limits", "field"),
    [({"rpm_limit": 3}, "requests"), ({"tpm_limit": 30}, "tokens"), ({"max_parallel_requests": 3}, "at once")],
)
async def test_a_limit_holds_over_all_instances(town: Town, limits: dict[str, Any], field: str) -> None:
    fleet, key = [town.instance() for _ in range(3)], replace(KEY, **limits)
    tickets = []
    refused: list[RateLimited] = []
    for number in range(9):
        try:
            tickets.append(await opened(fleet[number % 3], key, tokens=10))
        except RateLimited as failure:
            refused.append(failure)
    assert 1 <= len(tickets) <= 3
    assert field in refused[-1].message
    assert refused[-1].should_retry
    assert refused[-1].retry_after_ms is not None
    assert refused[-1].retry_after_ms > 0


async def test_one_instance_uses_a_limit_up(town: Town) -> None:
    one, key = town.instance(), replace(KEY, rpm_limit=10)
    for _ in range(10):
        await call(one, key, 0, 0)
    with pytest.raises(RateLimited) as raised:
        await call(one, key, 0, 0)
    assert 55_000 <= (raised.value.retry_after_ms or 0) <= 65_000
    town.at += 65
    await call(one, key, 0, 0)


async def test_tokens_are_corrected_when_they_are_known(town: Town) -> None:
    one, key = town.instance(), replace(KEY, tpm_limit=100)
    ticket, entry_id = await opened(one, key, tokens=90)
    with pytest.raises(RateLimited):
        await opened(one, key, tokens=20)
    ticket.settle(entry_id, 0)
    ticket.close(30)
    await call(one, key, 0, 0, tokens=70)


async def test_a_call_for_more_tokens_than_the_limit_needs_the_whole_minute(town: Town) -> None:
    one, key = town.instance(), replace(KEY, tpm_limit=100)
    await call(one, key, 0, 0, tokens=5000)
    with pytest.raises(RateLimited):
        await call(one, key, 0, 0, tokens=1)


async def test_a_place_is_free_again_when_its_call_ends(town: Town) -> None:
    one, key = town.instance(), replace(KEY, max_parallel_requests=1)
    for _ in range(3):
        await call(one, key, 0, 0)
    assert one._wallets[key.key_id].holding.set_aside[PARALLEL] == 0


async def test_a_limit_of_nothing_lets_nothing_in(town: Town) -> None:
    one = town.instance()
    with pytest.raises(RateLimited):
        await call(one, replace(KEY, rpm_limit=0), 0, 0)
    with pytest.raises(RateLimited):
        await call(one, replace(KEY, key_id="key_2", tpm_limit=0), 0, 0)
    with pytest.raises(RateLimited):
        await call(one, replace(KEY, key_id="key_1", max_parallel_requests=0), 0, 0)


async def test_a_refused_call_leaves_nothing_behind(town: Town) -> None:
    one, key = town.instance(), replace(KEY, rpm_limit=1, max_parallel_requests=5)
    await call(one, key, 0, 0)
    for _ in range(5):
        with pytest.raises(RateLimited):
            await call(one, key, 0, 0)
    await town.until(lambda: not len(one), step_s=0.5)
    assert town.row(key).leases == {}


def fail(town: Town, number: int = 0) -> None:
    town.tables[number].failures = 10**9


async def test_in_an_outage_a_budget_works_until_its_lease_is_used(town: Town) -> None:
    one, key = town.instance(), replace(KEY, max_budget=1000)
    await call(one, key, 10, 10)
    free = one._wallets[key.key_id].usable(BUDGET)
    fail(town)
    for _ in range(free // 10):
        await call(one, key, 10, 10)
    with pytest.raises(StorageFailed) as raised:
        await call(one, key, 10, 10)
    assert (raised.value.status, raised.value.should_retry) == (503, True)
    await call(one, replace(KEY, key_id="key_1"), 10, 10)
    town.tables[0].failures = 0
    await call(one, key, 10, 10)
    await town.until(lambda: town.spent(key) == 20 + free // 10 * 10, step_s=1.0)


async def test_in_an_outage_each_instance_keeps_to_its_part_of_a_rate(town: Town) -> None:
    fleet, key = [town.instance() for _ in range(2)], replace(KEY, rpm_limit=10)
    under_way = [await opened(one, key) for one in fleet]
    began = town.at
    await town.until(lambda: all(lease.at > began + 100 for lease in town.row(key).leases.values()), step_s=1.0)
    let_in = 0
    for number, one in enumerate(fleet):
        fail(town, number)
        let_in += await as_many_as_may_be(one, key)
    assert let_in == 10
    assert len(under_way) == 2


async def test_a_lease_that_nobody_could_renew_for_long_is_not_used(town: Town) -> None:
    one, key = town.instance(), replace(KEY, max_budget=1000)
    await call(one, key, 10, 10)
    fail(town)
    town.at += 241
    with pytest.raises(StorageFailed):
        await call(one, key, 10, 10)


async def test_an_acknowledgement_that_is_lost_changes_no_sum(town: Town) -> None:
    one, key = town.instance(), replace(KEY, max_budget=1000)
    losses = itertools.cycle([True, False, False])

    def after(what: str) -> None:
        if what in ("insert", "swap") and next(losses):
            raise StorageFailed("lost")

    town.tables[0].after = after
    spent = 0
    for _ in range(30):
        try:
            await call(one, key, 20, 15)
            spent += 15
        except StorageFailed:
            town.at += 1
    await town.until(lambda: not len(one), step_s=0.5)
    assert (town.spent(key), town.row(key).leases) == (spent, {})


async def test_a_cancelled_call_leaves_nothing_behind(town: Town) -> None:
    one, key = town.instance(), replace(KEY, max_budget=100, max_parallel_requests=5)
    ticket, entry_id = await opened(one, key, 90)
    asking = asyncio.create_task(opened(one, key, 50))
    await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    ticket.settle(entry_id, 90)
    ticket.close(1)
    await town.until(lambda: not len(one), step_s=0.5)
    assert (town.row(key).leases, town.spent(key)) == ({}, 90)
    assert {PARALLEL, TOKENS} & town.row(key).closed.keys() == set()


def test_a_wallet_that_nobody_used_is_not_written(town: Town) -> None:
    assert Wallet(KEY, desk(MemoryTable(), "i", Supervisor(), lambda: 0.0, lambda: 0.0)).gone


async def test_a_key_without_limits_is_written_seldom_and_all_that_it_spent_is_told(town: Town) -> None:
    one = town.instance()
    await call(one, KEY, 10, 10)
    await town.until(lambda: town.spent(KEY) == 10, step_s=0.1)
    table, began = town.tables[0], town.at
    before = sum(table.calls.values())
    for _ in range(10):
        await call(one, KEY, 10, 10)
        town.at += (PATIENT_S - 10) / 10
        await one.turn()
    assert sum(table.calls.values()) == before
    spent = 10 + 10 * 10
    assert await one.spent(KEY) == spent
    await town.until(lambda: town.spent(KEY) == spent, step_s=1.0)
    assert town.at - began < PATIENT_S + 30
    await town.until(lambda: len(one) == 0, step_s=1.0)
    assert town.spent(KEY) == spent
    assert not town.row(KEY).leases


async def test_a_key_that_is_limited_from_now_on_is_told_as_soon_as_a_limited_one(town: Town) -> None:
    one, limited = town.instance(), replace(KEY, max_budget=1000)
    await call(one, KEY, 10, 10)
    await town.until(lambda: town.spent(KEY) == 10, step_s=0.1)
    await call(one, KEY, 5, 5)
    await call(one, limited, 0, 0)
    await town.until(lambda: town.spent(KEY) == 15, step_s=0.1)
    began = town.at
    await town.until(lambda: len(one) == 0, step_s=0.1)
    assert town.at - began < wallet.RENEW_S


def keys(count: int, **limits: Any) -> list[VirtualKey]:
    return [replace(KEY, key_id=f"key_{number}", **limits) for number in range(count)]


@pytest.mark.parametrize("limits", [{}, {"max_budget": 1000}])
async def test_of_more_keys_than_stay_the_one_used_least_lately_leaves_and_its_spending_is_told(
    town: Town, limits: dict[str, Any]
) -> None:
    one, some = town.instance(keys_max=3), keys(4, **limits)
    for key in (*some[:3], some[0], some[3]):
        await call(one, key, 1, 1)
    await town.until(lambda: len(one) == 3)
    assert one._wallets.keys() == {"key_2", "key_0", "key_3"}
    assert (town.spent(some[1]), town.row(some[1]).leases) == (1, {})


async def test_as_many_keys_as_stay_are_not_asked_for_again(town: Town) -> None:
    one, some = town.instance(keys_max=20), keys(20)
    for key in some:
        await call(one, key, 1, 1)
    await town.until(lambda: all(town.spent(key) == 1 for key in some), step_s=0.1)
    asked = dict(town.tables[0].calls)
    for _ in range(10):
        for key in some:
            await call(one, key, 1, 1)
        town.at += (PATIENT_S - 10) / 10
        await one.turn()
    assert town.tables[0].calls == asked


async def test_no_call_is_refused_for_how_many_keys_there_are_and_memory_is_bounded(town: Town) -> None:
    one, some = town.instance(keys_max=2), keys(50, max_budget=100)
    most = 0
    for _ in range(2):
        for key in some:
            await call(one, key, 10, 3)
            most = max(most, len(one))
    assert most <= 2 * purses.FULL
    await town.until(lambda: len(one) == 0, step_s=1.0)
    assert [town.spent(key) for key in some] == [6] * 50
    assert not any(town.row(key).leases for key in some)


async def test_keys_that_have_calls_under_way_stay(town: Town) -> None:
    one, some = town.instance(keys_max=1), keys(10, max_budget=100)
    under_way = [await opened(one, key, 10) for key in some]
    for _ in range(3):
        await one.turn()
    assert len(one) == 10
    for ticket, entry_id in under_way:
        ticket.settle(entry_id, 7)
        ticket.close(1)
    await town.until(lambda: len(one) == 1)
    assert [town.spent(key) for key in some[:9]] == [7] * 9


async def test_many_keys_that_come_at_once_all_spend_what_they_spend(town: Town) -> None:
    one, some = town.instance(keys_max=2), keys(60)
    await asyncio.gather(*(call(one, key, 10, 4) for key in some * 3))
    await town.until(lambda: len(one) == 0, step_s=1.0)
    assert [town.spent(key) for key in some] == [12] * 60


async def test_in_an_outage_what_was_spent_is_not_forgotten_for_another_key(town: Town) -> None:
    one, some = town.instance(keys_max=2), keys(6)
    for key in some[:4]:
        await call(one, key, 5, 5)
    fail(town)
    with pytest.raises(StorageFailed):
        await call(one, some[4], 5, 5)
    await call(one, some[3], 5, 5)
    assert len(one) == 4
    town.tables[0].failures = 0
    town.at += wallet.TELL_S
    await call(one, some[4], 5, 5)
    await town.until(lambda: len(one) == 0, step_s=1.0)
    assert [town.spent(key) for key in some] == [5, 5, 5, 10, 5, 0]


async def test_a_lease_that_nobody_else_shares_is_renewed_and_ended_without_reading_the_row(town: Town) -> None:
    one = town.instance()
    await call(one, KEY, 10, 10)
    await town.until(lambda: town.spent(KEY) == 10, step_s=0.1)
    assert town.tables[0].calls == {"put": 1, "get": 1, "insert": 1}
    await town.until(lambda: not len(one), step_s=1.0)
    assert (town.spent(KEY), town.row(KEY).leases) == (10, {})
    assert {**town.tables[0].calls, "put": 0} == {"put": 0, "get": 1, "insert": 1, "swap": 1}


async def test_a_row_that_another_wrote_meanwhile_is_read_before_it_is_written(town: Town) -> None:
    one, other = town.instance(), town.instance()
    await call(one, KEY, 10, 10)
    await town.until(lambda: town.spent(KEY) == 10, step_s=0.1)
    await call(other, KEY, 7, 7)
    await town.until(lambda: not len(one) and not len(other), step_s=1.0)
    assert (town.spent(KEY), town.row(KEY).leases) == (17, {})


async def test_a_lost_acknowledgement_of_the_end_of_a_lease_changes_no_sum(town: Town) -> None:
    one = town.instance()
    await call(one, KEY, 10, 10)
    await town.until(lambda: town.spent(KEY) == 10, step_s=0.1)
    lost = itertools.chain([True], itertools.repeat(False))

    def after(what: str) -> None:
        if what == "swap" and next(lost):
            raise StorageFailed("lost")

    town.tables[0].after = after
    await town.until(lambda: not len(one), step_s=1.0)
    assert town.tables[0].calls["get"] == 2
    assert (town.spent(KEY), town.row(KEY).leases) == (10, {})
