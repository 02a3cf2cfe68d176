"""One deployment's state: exact limits, Azure's own words, and reservations that are corrected or given back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.routing.limits import Limits
from shared.routing.state import DeploymentState, Reservation
from shared.routing.windows import TICKS
from shared.upstream.ratelimit import Told


def admitted(state: DeploymentState, calls: int, tokens: int = 1, now: float = 100.0) -> list[Reservation]:
    """Of so many calls at one time, those that found room."""
    return [state.reserve(now, tokens) for _ in range(calls) if state.refusal(now, tokens) is None]


def why(state: DeploymentState, now: float = 100.0, tokens: int = 1) -> str:
    refused = state.refusal(now, tokens)
    return "" if refused is None else refused.why


def room(state: DeploymentState, now: float, tokens: int) -> bool:
    return state.has_room(now, int(now * TICKS), tokens)


@pytest.mark.parametrize("rpm", [1, 2, 5, 10])
def test_as_many_requests_are_admitted_as_the_limit_says(rpm: int) -> None:
    state = DeploymentState(Limits(rpm=rpm))
    assert len(admitted(state, rpm + 5)) == rpm


def test_a_minute_never_has_more_than_the_limit_however_calls_are_spread() -> None:
    state = DeploymentState(Limits(rpm=5))
    times = [
        100 + step / 4
        for step in range(1200)
        if state.refusal(100 + step / 4, 1) is None and state.reserve(100 + step / 4, 1)
    ]
    assert all(sum(start <= one < start + 60 for one in times) <= 5 for start in times)
    assert len(times) >= 5 * 4


def test_twelve_calls_at_once_never_reserve_more_than_the_tokens_of_a_minute() -> None:
    state = DeploymentState(Limits(tpm=30))
    assert len(admitted(state, 12, tokens=7)) == 4
    assert why(state, tokens=7) == "tokens per minute"


def test_a_small_answer_gives_room_back() -> None:
    state = DeploymentState(Limits(tpm=30))
    [call, *_] = admitted(state, 1, tokens=30)
    call.correct(10)
    assert (why(state, tokens=20), why(state, tokens=21)) == ("", "tokens per minute")


def test_what_was_not_sent_is_not_counted() -> None:
    state = DeploymentState(Limits(tpm=30, rpm=1))
    [call] = admitted(state, 1, tokens=30)
    call.cancel()
    call.cancel()
    assert (state.used(), state.in_flight) == ((0, 0, 0), 0)


def test_a_call_larger_than_the_limit_goes_only_to_an_idle_deployment() -> None:
    state = DeploymentState(Limits(tpm=30))
    assert len(admitted(state, 2, tokens=100)) == 1
    busy = DeploymentState(Limits(tpm=30))
    admitted(busy, 1, tokens=1)
    assert why(busy, tokens=100) == "tokens per minute"


@pytest.mark.parametrize(
    ("limits", "calls", "tokens"), [(Limits(tpm=30), 3, 10), (Limits(rpm=3), 3, 1), (Limits(rpm=600), 100, 1)]
)
def test_the_time_that_is_told_is_true(limits: Limits, calls: int, tokens: int) -> None:
    state = DeploymentState(limits)
    admitted(state, calls, tokens, now=100.3)
    refused = state.refusal(100.3, tokens)
    assert refused is not None
    assert state.refusal(refused.until - 0.01, tokens) is not None
    assert state.refusal(refused.until, tokens) is None


def test_parallel_requests_are_bounded_until_one_ends() -> None:
    state = DeploymentState(Limits(parallel=2))
    first, _ = admitted(state, 3)
    assert why(state) == "parallel requests"
    first.end()
    assert why(state) == ""


def test_a_limit_that_azure_lowers_holds_until_it_says_otherwise() -> None:
    state = DeploymentState(Limits(tpm=1000))
    [call] = admitted(state, 1, tokens=10)
    state.told(100.1, call, Told(limit_tokens=50))
    assert why(state, tokens=45) == "tokens per minute"
    state.told(100.2, call, Told(limit_tokens=5000))
    assert (state.tpm, why(state, tokens=45)) == (1000, "")


def test_without_a_configured_limit_the_one_that_is_told_counts() -> None:
    state = DeploymentState(Limits())
    [call] = admitted(state, 1)
    state.told(100.1, call, Told(limit_requests=12))
    assert len(admitted(state, 20, now=100.2)) == 9  # the burst of ten, less the first


def test_what_azure_says_remains_counts_less_what_was_asked_for_since() -> None:
    state = DeploymentState(Limits(tpm=1000))
    [call] = admitted(state, 1, tokens=10)
    state.told(100.1, call, Told(limit_tokens=1000, remaining_tokens=100, reset_tokens_s=20))
    state.reserve(100.2, 60)
    assert (why(state, 100.3, 40), why(state, 100.3, 41)) == ("", "tokens that Azure says remain")
    assert why(state, 120.2, 41) == ""


def test_an_old_word_is_not_believed() -> None:
    state = DeploymentState(Limits(tpm=1000))
    [call] = admitted(state, 1, tokens=10)
    state.told(105.0, call, Told(limit_tokens=1000, remaining_tokens=0, reset_tokens_s=20))
    assert why(state, 105.1, 10) == ""


def test_of_several_reasons_the_one_that_lasts_longest_is_told() -> None:
    state = DeploymentState(Limits(tpm=10, rpm=1, parallel=1))
    admitted(state, 1, tokens=10, now=100.0)
    state.throttle(103.0)
    refused = state.refusal(102.0, 10)
    assert refused is not None
    assert refused.until == 161.0
    state.throttle(200.0)
    assert why(state, 102.0) == "told to wait by Azure"


def test_a_call_larger_than_the_limit_waits_until_the_window_is_empty() -> None:
    state = DeploymentState(Limits(tpm=30))
    for now in (80.0, 100.0):
        [call] = admitted(state, 1, tokens=1, now=now)
        call.end()
    refused = state.refusal(100.0, 1000)
    assert refused is not None
    assert refused.until == 161.0
    assert (why(state, 160.9, 1000), why(state, 161.0, 1000)) == ("tokens per minute", "")


def test_a_call_larger_than_the_limit_waits_for_one_under_way_of_which_nothing_counts() -> None:
    state = DeploymentState(Limits(tpm=30))
    admitted(state, 1, tokens=1, now=100.0)
    refused = state.refusal(170.0, 1000)
    assert refused is not None
    assert refused.until == 171.0


@given(
    st.lists(st.tuples(st.floats(0, 200), st.integers(1, 20)), max_size=30),
    st.integers(1, 60),
    st.sampled_from([Limits(tpm=50), Limits(rpm=3), Limits(rpm=70), Limits(50, 12)]),
)
def test_a_reason_is_told_exactly_where_there_is_no_room(
    calls: list[tuple[float, int]], tokens: int, limits: Limits
) -> None:
    state = DeploymentState(limits)
    for after_s, used in sorted(calls):
        state.reserve(100 + after_s, used).end()
    now = 100 + max((after_s for after_s, _ in calls), default=0.0)
    refused = state.refusal(now, tokens)
    assert (refused is None) == room(state, now, tokens)
    if refused is not None:
        assert refused.until > now
        assert not room(state, refused.until - 0.05, tokens)
        assert room(state, refused.until, tokens)


def test_a_provisioned_deployment_that_is_just_full_is_left_alone_for_a_second() -> None:
    state = DeploymentState(Limits())
    [call] = admitted(state, 1)
    state.told(100.0, call, Told(utilization=100.0))
    assert (why(state, 100.9), why(state, 101.0)) == ("provisioned throughput", "")
    state.told(101.0, call, Told(utilization=99.9))
    assert why(state, 101.0) == ""


def test_a_full_provisioned_deployment_is_left_alone_until_it_has_drained() -> None:
    state = DeploymentState(Limits())
    [call] = admitted(state, 1)
    state.told(100.0, call, Told(utilization=105.0))
    assert (why(state, 102.9), why(state, 103.1)) == ("provisioned throughput", "")


def test_a_throttle_ends_in_time() -> None:
    state = DeploymentState(Limits())
    state.throttle(107.5)
    assert (why(state, 107.4), why(state, 107.5)) == ("told to wait by Azure", "")
