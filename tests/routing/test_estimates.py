"""What a call will take at a deployment: the estimate, corrected by what earlier ones took there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.routing.estimates import (
    OUTPUT_DEFAULT,
    OUTPUTS_BETWEEN,
    OUTPUTS_KEPT,
    RATIO_MAX,
    RATIO_MIN,
    Demand,
    Estimates,
)
from shared.usage.usage import Usage


def taught(*calls: tuple[int, int], prompt: int = 100) -> Estimates:
    """What a deployment taught by calls of these prompt and completion tokens."""
    estimates = Estimates()
    for used, written in calls:
        estimates.learn(Demand(prompt), Usage(used, written))
    return estimates


def test_at_first_the_estimate_is_believed_and_an_answer_is_a_usual_one() -> None:
    assert Estimates().tokens(Demand(100, 50)) == 150
    assert Estimates().tokens(Demand(100)) == 100 + OUTPUT_DEFAULT


def test_what_answers_with_no_tokens_is_its_prompt_alone() -> None:
    assert Estimates().tokens(Demand(100, None, output=False)) == 100


def test_a_deployment_that_counts_twice_as_much_is_soon_expected_to() -> None:
    assert 190 <= taught(*[(200, 1)] * 40).tokens(Demand(100, 0)) <= 200


def test_one_odd_call_changes_little() -> None:
    assert taught(*[(100, 1)] * 10, (10_000, 1)).tokens(Demand(100, 0)) <= 100 * (1 + 0.1 * RATIO_MAX)


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**6)), max_size=200), st.integers(0, 10**6))
def test_the_ratio_stays_in_its_bounds_whatever_is_told(calls: list[tuple[int, int]], prompt: int) -> None:
    estimates = taught(*calls, prompt=prompt)
    assert RATIO_MIN <= estimates.ratio <= RATIO_MAX
    assert estimates.tokens(Demand(prompt)) >= 1


def test_an_answer_without_a_maximum_is_taken_for_the_ninetieth_percentile_of_the_last() -> None:
    assert taught(*[(1, written) for written in range(1, 101)]).tokens(Demand(0)) == 91


def test_old_answers_are_forgotten() -> None:
    assert taught(*[(1, 10_000)] * OUTPUTS_KEPT, *[(1, 10)] * OUTPUTS_KEPT).tokens(Demand(0)) == 10


@pytest.mark.parametrize(("answers", "expected"), [(OUTPUTS_BETWEEN - 1, OUTPUT_DEFAULT), (OUTPUTS_BETWEEN, 7)])
def test_the_percentile_is_looked_at_after_so_many_answers(answers: int, expected: int) -> None:
    assert taught(*[(1, 7)] * answers).tokens(Demand(0)) == expected


def test_a_maximum_wins_over_what_is_usual() -> None:
    assert taught(*[(1, 5000)] * 50).tokens(Demand(0, 10)) == 10
