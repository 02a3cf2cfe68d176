"""Which deployment takes a shard, and how much of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.batches.placing import CUT_SHARE, WAIT_S, Later, Never, Seat, Taken, place

NOW = 1000.0


def seat(name: str, limit: int | None = None, enqueued: int = 0, order: int = 0) -> Seat:
    return Seat(name, name, limit, enqueued, order)


def test_the_one_with_most_room_takes_it() -> None:
    seats = [seat("a", 100, 60), seat("b", 100, 20), seat("c", 50)]
    assert place(30, seats, {}, NOW, split=False) == Taken(seats[1])


def test_the_lowest_order_comes_first_where_it_has_room() -> None:
    seats = [seat("a", 1000, order=2), seat("b", 100, order=1)]
    assert place(30, seats, {}, NOW, split=False) == Taken(seats[1])
    assert place(300, seats, {}, NOW, split=False) == Taken(seats[0])


def test_a_quota_that_nobody_told_is_no_obstacle_and_batches_spread() -> None:
    seats = [seat("a", enqueued=10), seat("b")]
    assert place(10**12, seats, {}, NOW, split=False) == Taken(seats[1])


def test_what_is_left_alone_is_not_asked_and_waited_for() -> None:
    seats = [seat("a", 100), seat("b", 50)]
    assert place(10, seats, {"a": NOW + 9}, NOW, split=False) == Taken(seats[1])
    assert place(10, seats, {"a": NOW + 9, "b": NOW + 4}, NOW, split=False) == Later(NOW + 4)
    assert place(10, seats, {"a": NOW, "b": NOW}, NOW, split=False) == Taken(seats[0])


def test_where_there_is_no_room_it_waits() -> None:
    assert place(60, [seat("a", 100, 50)], {}, NOW, split=False) == Later(NOW + WAIT_S)


def test_what_fits_nowhere_whole_and_may_not_be_cut_never_goes() -> None:
    found = place(101, [seat("a", 100), seat("b", 50)], {}, NOW, split=False)
    assert isinstance(found, Never)
    assert "101" in found.message
    assert "100" in found.message
    assert isinstance(place(101, [seat("a", 100), seat("b")], {"b": NOW + 1}, NOW, split=False), Later)


def test_it_is_cut_where_it_may_be_and_not_into_slivers() -> None:
    seats = [seat("a", 100, 40), seat("b", 100, 90)]
    assert place(500, seats, {}, NOW, split=True) == Taken(seats[0], 60)
    assert place(500, [seats[1]], {}, NOW, split=True) == Later(NOW + WAIT_S)


def test_without_deployments_it_never_goes() -> None:
    assert isinstance(place(1, [], {}, NOW, split=True), Never)


SEATS = st.lists(
    st.builds(
        seat, st.sampled_from("abcd"), st.one_of(st.none(), st.integers(0, 100)), st.integers(0, 100), st.integers(0, 2)
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda one: one.deployment,
)


@given(need=st.integers(1, 200), seats=SEATS, split=st.booleans(), avoided=st.sets(st.sampled_from("abcd")))
def test_no_deployment_is_given_more_than_it_has_room_for(
    need: int, seats: list[Seat], split: bool, avoided: set[str]
) -> None:
    found = place(need, seats, dict.fromkeys(avoided, NOW + 1), NOW, split=split)
    if not isinstance(found, Taken):
        free = [one for one in seats if one.deployment not in avoided]
        assert not any(one.limit is None or one.room >= need for one in free)
        return
    assert found.seat.deployment not in avoided
    tokens = need if found.tokens is None else found.tokens
    assert found.seat.limit is None or tokens <= found.seat.room
    if found.tokens is not None:
        assert split
        assert found.seat.limit is None or found.tokens * CUT_SHARE >= found.seat.limit


@pytest.mark.parametrize("limit", [0, 1])
def test_a_quota_of_nothing_takes_nothing(limit: int) -> None:
    assert not isinstance(place(2, [seat("a", limit)], {}, NOW, split=False), Taken)
