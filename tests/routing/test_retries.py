"""The names of failures in a retry policy, the budget that keeps an outage from being multiplied, and jitter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import (
    BadRequest,
    ContentFiltered,
    ContextLengthExceeded,
    DeploymentNotFound,
    NotFound,
    RateLimited,
    SpillwayError,
    Unavailable,
    UpstreamFailed,
    UpstreamMisconfigured,
    UpstreamNoReply,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from shared.routing.retries import BACKOFF_MAX_S, WINDOW_S, RetryBudget, backoff_s, kind_of, retries_for


@pytest.mark.parametrize(
    ("failure", "name"),
    [
        (ContentFiltered("x"), "ContentPolicyViolationError"),
        (ContextLengthExceeded("x"), "BadRequestError"),
        (BadRequest("x"), "BadRequestError"),
        (UpstreamMisconfigured("x"), "AuthenticationError"),
        (UpstreamTimeout("x"), "TimeoutError"),
        (RateLimited("x"), "RateLimitError"),
        (Unavailable("x"), "ServiceUnavailableError"),
        (UpstreamFailed("x"), "InternalServerError"),
        (UpstreamUnreachable("x"), "InternalServerError"),
        (UpstreamNoReply("x"), "InternalServerError"),
        (DeploymentNotFound("x"), "NotFoundError"),
        (NotFound("x"), "NotFoundError"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, SpillwayError) else one,
)
def test_each_failure_has_litellms_name(failure: SpillwayError, name: str) -> None:
    assert kind_of(failure) == name
    assert retries_for(failure, {f"{name}Retries": 7, "DefaultRetries": 3}, 2) == 7
    assert retries_for(failure, {"DefaultRetries": 3}, 2) == 3
    assert retries_for(failure, {}, 2) == 2


@given(st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_a_pause_is_anything_up_to_its_bound(number: int, chance: float) -> None:
    pause_s = backoff_s(number, lambda: chance)
    assert 0 <= pause_s <= BACKOFF_MAX_S
    assert pause_s <= 0.5 * 2.0 ** min(number - 1, 30)


def test_so_many_retries_are_always_allowed_in_ten_seconds() -> None:
    budget = RetryBudget(ratio=0.0, minimum=3)
    assert [budget.take(100.0) for _ in range(5)] == [True] * 3 + [False] * 2
    assert [budget.take(100.0 + WINDOW_S) for _ in range(5)] == [True] * 3 + [False] * 2


def test_calls_earn_retries_by_the_ratio() -> None:
    budget = RetryBudget(ratio=0.25, minimum=0)
    for _ in range(40):
        budget.called(100.0)
    assert sum(budget.take(100.0) for _ in range(50)) == 10


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=400))
def test_retries_are_never_more_than_the_budget(events: list[tuple[float, bool]]) -> None:
    budget, now, calls, retries = RetryBudget(ratio=0.2, minimum=10), 0.0, 0, 0
    for passed, is_call in events:
        now += passed
        if is_call:
            budget.called(now)
            calls += 1
        else:
            retries += budget.take(now)
    assert retries <= 10 + 0.2 * calls + now * 10 / WINDOW_S + 1e-6


def test_a_quiet_time_does_not_save_up_an_outage() -> None:
    budget = RetryBudget(ratio=0.2, minimum=10)
    assert sum(budget.take(10**6) for _ in range(1000)) <= 10
    for _ in range(10**4):
        budget.called(10**6)
    assert sum(budget.take(10**6) for _ in range(1000)) <= 100
