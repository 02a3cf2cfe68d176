"""What the others' figures mean here: how old they are, and each instance's share of what is left."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.routing.figures import AGES, Figures, lanes
from shared.routing.limits import LATE_S, Limits
from shared.routing.sharing import PRESENT_S, Peer, View, share_of
from shared.routing.state import DeploymentState

NOW = 1000.0


def figures(
    tokens: dict[int, int] | None = None, *, wanted: int = 0, in_flight: int = 0, throttled_ms: int = 0
) -> Figures:
    amounts = [(tokens or {}).get(age, 0) for age in range(AGES)]
    return Figures("d", lanes(amounts, [int(amount > 0) for amount in amounts]), in_flight, wanted, throttled_ms)


def applied(
    *peers: Peer, now: float = NOW, tpm: int = 600, random: float = 0.99, blind: bool = False, own: int = 0
) -> DeploymentState:
    state = DeploymentState(Limits(tpm))
    if own:
        state.reserve(now, own)
    View({f"i{number}": peer for number, peer in enumerate(peers)}).apply(
        {"d": state}, now, 1.0, lambda: random, blind=blind
    )
    return state


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20))
def test_shares_by_demand_sum_to_one_and_none_starves(wanted: list[int]) -> None:
    shares = []
    for mine, own in enumerate(wanted):
        others = [one for number, one in enumerate(wanted) if number != mine and one]
        shares.append(share_of(own, others, len(wanted) - 1))
    assert math.isclose(sum(shares), 1.0)
    assert min(shares) >= 0.5 / len(wanted)


def test_who_wants_more_gets_more() -> None:
    assert share_of(90, [10], 1) > 0.6


def test_an_instance_that_never_asked_there_counts_for_an_equal_part() -> None:
    assert share_of(0, [], 1) == 0.5
    assert share_of(10, [], 1) == pytest.approx(2 / 3)


def test_alone_everything_is_granted() -> None:
    assert applied().grant.tokens == math.inf


def test_figures_grow_older_while_they_are_not_told_anew() -> None:
    seen = Peer(NOW, {"d": figures({0: 100, 50: 7})})
    assert applied(seen).used()[0] == 107
    assert applied(seen, now=NOW + 11).used()[0] == 100
    assert applied(seen, now=NOW + 60).used()[0] == 100
    assert applied(seen, now=NOW + 61).used()[0] == 0


def test_what_is_in_flight_elsewhere_is_forgotten_when_nothing_more_is_heard() -> None:
    seen = Peer(NOW, {"d": figures(in_flight=3)})
    assert applied(seen).peers_in_flight == 3
    assert applied(seen, now=NOW + PRESENT_S).peers_in_flight == 0


def test_an_instance_not_heard_of_for_a_while_wants_nothing() -> None:
    seen = Peer(NOW, {"d": figures({0: 1}, wanted=10)})
    assert applied(seen).grant.tokens < 400
    assert applied(seen, now=NOW + PRESENT_S).grant.tokens == 599


@pytest.mark.parametrize(("random", "granted"), [(0.16, 300), (0.17, 0)])
def test_where_a_part_is_too_small_for_a_call_what_is_left_is_drawn_for(random: float, granted: int) -> None:
    five = [Peer(NOW, {"d": figures(wanted=1)})] * 5
    assert applied(*five, own=60, random=random).grant.tokens == pytest.approx(90)
    assert applied(*five, own=300, random=random).grant.tokens == granted


def test_what_azure_told_another_is_no_word_to_this_one() -> None:
    state = applied(Peer(NOW, {"d": figures(throttled_ms=5000)}))
    assert state.refusal(NOW + 4.9, 1) is not None
    assert state.refusal(NOW + 5.0, 1) is None
    assert View().publishable({"d": state}, NOW) == []


def test_no_word_of_another_stops_this_one_for_more_than_a_minute() -> None:
    assert applied(Peer(NOW, {"d": figures(throttled_ms=10**9)})).peers_throttled_until == NOW + 60


def test_blind_an_equal_part_of_the_limit_is_granted_whatever_was_wanted() -> None:
    seen = Peer(NOW, {"d": figures({0: 10}, wanted=1000)})
    assert applied(seen, now=NOW + 300, blind=True, own=40).grant.tokens == 300 - 40


def test_a_grant_is_used_up_until_the_next_read_and_dealt_anew_when_that_is_late() -> None:
    state = applied(Peer(NOW, {"d": figures({0: 60})}))
    granted = int(state.grant.tokens)
    assert 0 < granted < 600 - 60
    for _ in range(granted // 10):
        state.reserve(NOW, 10)
    for now, until in ((NOW + 0.5, NOW + 1), (NOW + 1.2, NOW + 1 + LATE_S)):
        refused = state.refusal(now, 10)
        assert refused is not None
        assert (refused.why, refused.until) == ("this instance's share", until)
    assert state.refusal(NOW + 1 + LATE_S, 10) is None
    assert 0 < state.grant.tokens <= (600 - 60 - granted) / 2 + 1


def test_what_is_dealt_anew_without_a_read_is_a_share_of_what_is_left_each_time() -> None:
    state = applied(Peer(NOW, {"d": figures({0: 60})}))
    now, sent = NOW, 0
    for _ in range(10):
        while state.has_room(now, int(now * 10), 10):
            state.reserve(now, 10)
            sent += 10
        now += 1 + LATE_S
    assert 500 < sent <= 600 - 60


def test_blind_a_late_read_grants_no_more_than_an_equal_part() -> None:
    state = applied(Peer(NOW, {"d": figures({0: 60})}), blind=True)
    now, sent = NOW, 0
    for _ in range(10):
        while state.has_room(now, int(now * 10), 10):
            state.reserve(now, 10)
            sent += 10
        now += 1 + LATE_S
    assert sent == 300
