from __future__ import annotations

import pytest

from shared.callers.holding import Holding
from shared.callers.shares import (
    BUCKET_S,
    BUDGET,
    EMPTY,
    LAPSE_S,
    REQUESTS,
    TOKENS,
    Lease,
    Pot,
    Shares,
    grant,
    packed,
    pots_of,
    room_at,
    unpacked,
)
from shared.callers.virtual_key import VirtualKey


def pot(limit: int | None, **more: int) -> Pot:
    return Pot(limit, more.get("bucket", 0), more.get("first", 0), more.get("base", 0))


@pytest.mark.parametrize(
    ("left", "need", "more", "holders", "granted"),
    [
        (100, 10, 0, 1, 10),
        (100, 10, 40, 1, 32),
        (100, 10, 5, 1, 15),
        (100, 10, 40, 4, 15),
        (5, 10, 40, 1, 5),
        (0, 10, 40, 1, 0),
        (-7, 10, 40, 1, 0),
    ],
)
def test_an_instance_takes_what_it_needs_and_a_part_of_the_rest(
    left: int, need: int, more: int, holders: int, granted: int
) -> None:
    assert grant(left, need, more, holders) == granted


def test_a_row_keeps_everything() -> None:
    shares = Shares({BUDGET: {3: 4}}, {"i": Lease(1.5, 2.5, {BUDGET: 7}, {TOKENS: {1: 2}})})
    assert unpacked(packed(shares)) == shares


def test_a_period_begins_with_what_the_operator_says() -> None:
    key = VirtualKey("k", "h", "", 0.0, 0.0, max_budget=10, budget_duration="1h", budget_from=100.0, spent=4)
    assert EMPTY.spent(BUDGET, pots_of(key, 100.0)[BUDGET]) == 4
    assert EMPTY.spent(BUDGET, pots_of(key, 3700.0)[BUDGET]) == 0


def test_without_a_budget_what_is_spent_is_counted() -> None:
    key = VirtualKey("k", "h", "", 0.0, 0.0)
    holding = Holding("i", 0.0)
    pots = pots_of(key, 5.0)
    assert holding.fits(pots, {BUDGET: 10**15, REQUESTS: 5}, 5.0)
    holding.take(BUDGET, 100)
    holding.settle(BUDGET, 100, 70, pots[BUDGET].bucket)
    row = holding.propose(EMPTY, pots, {}, {}, 5.0).shares
    assert row.spent(BUDGET, pots[BUDGET]) == 70


def test_what_came_to_more_than_was_set_aside_is_made_up_for() -> None:
    pots = {BUDGET: pot(100)}
    holding = Holding("i", 0.0)
    holding.accept(first := holding.propose(EMPTY, pots, {BUDGET: 10}, {}, 0.0), 0.0)
    holding.take(BUDGET, 10)
    holding.settle(BUDGET, 10, 95, 0)
    assert not holding.fits(pots, {BUDGET: 1}, 0.0)
    holding.accept(second := holding.propose(first.shares, pots, {BUDGET: 10}, {}, 0.0), 0.0)
    assert holding.free == {BUDGET: 5}
    assert second.shares.spent(BUDGET, pots[BUDGET]) == 95


def test_a_share_that_nobody_renews_lapses_but_that_of_a_budget() -> None:
    pots = {REQUESTS: Pot(10, 0, 0, lapses=True), BUDGET: pot(10)}
    row = Shares({}, {"i": Lease(0.0, 0.0, {REQUESTS: 4, BUDGET: 4})})
    assert row.held(REQUESTS, pots[REQUESTS], LAPSE_S) == 0
    assert row.held(BUDGET, pots[BUDGET], LAPSE_S) == 4


def test_an_instance_that_was_taken_for_dead_begins_anew() -> None:
    pots = {BUDGET: pot(100)}
    holding = Holding("i", 0.0)
    holding.accept(first := holding.propose(EMPTY, pots, {BUDGET: 50}, {}, 0.0), 0.0)
    holding.take(BUDGET, 20)
    holding.settle(BUDGET, 20, 20, 0)
    row = first.shares.folded("i", pots, {BUDGET: {0: 20}})
    again = holding.propose(row, pots, {}, {}, 9.0)
    assert again.shares.spent(BUDGET, pots[BUDGET]) == 20
    assert (again.shares.leases["i"].since, holding.free[BUDGET]) == (9.0, 0)


def test_room_comes_when_what_was_spent_is_a_minute_old() -> None:
    pots = pots_of(VirtualKey("k", "h", "", 0.0, 0.0, rpm_limit=2), 1000.0)
    second = int(1000 // BUCKET_S)
    row = Shares({REQUESTS: {second - 3: 1, second: 1}})
    assert room_at(row, REQUESTS, pots[REQUESTS], 1) == (second - 3 + 13) * BUCKET_S
    assert room_at(EMPTY, REQUESTS, pots[REQUESTS], 1) is None
