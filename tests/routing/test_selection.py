"""Which candidate is asked, and what is said when none can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.routing.selection import Full, wait_ms_of


@given(st.floats(0, 1e7), st.floats(0, 3600))
def test_the_wait_that_is_told_is_never_too_short_and_hardly_too_long(now: float, wait_s: float) -> None:
    wait_ms = wait_ms_of(now + wait_s, now)
    assert wait_ms >= 1
    assert -1e-5 <= wait_ms - wait_s * 1000 <= 1.001 or wait_ms == 1


@pytest.mark.parametrize(
    ("wait_s", "wait_ms"), [(0.0, 1), (-5.0, 1), (0.0001, 1), (0.0011, 2), (0.4, 400), (60, 60_000)]
)
def test_a_wait_is_rounded_up_to_milliseconds(wait_s: float, wait_ms: int) -> None:
    assert wait_ms_of(100 + wait_s, 100.0) == wait_ms


def test_without_any_candidate_the_wait_is_short() -> None:
    assert Full([]).error("m", 0.0).retry_after_ms == 1
