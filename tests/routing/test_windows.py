"""Sliding windows, beside a model that keeps every amount with its time."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared.routing.windows import BURST_S, MINUTE_S, TICKS, Window, Windows, burst_limit


def test_what_was_counted_is_used_for_a_minute_and_a_second() -> None:
    window = Window(60)
    window.add(100, 7)
    window.roll(160)
    before = window.used
    window.roll(161)
    assert (before, window.used) == (7, 0)


def test_a_correction_of_an_old_second_counts_while_it_is_in_the_window() -> None:
    window = Window(60)
    window.add(100, 7)
    window.add(150, 1)
    window.add(100, -3)
    window.roll(161)
    assert window.used == 1


def test_a_correction_that_comes_too_late_changes_nothing() -> None:
    window = Window(60)
    window.add(100, 7)
    window.roll(200)
    window.add(100, -3)
    assert window.used == 0


def test_a_clock_that_stands_still_or_goes_back_forgets_nothing() -> None:
    window = Window(60)
    window.add(100, 7)
    window.roll(90)
    assert (window.used, window.second) == (7, 100)


def test_amounts_are_listed_by_age() -> None:
    window = Window(3)
    for second, amount in ((10, 1), (11, 2), (12, 3)):
        window.add(second, amount)
    assert window.by_age() == [3, 2, 1, 0]


@pytest.mark.parametrize(("used_max", "seconds"), [(6, 0), (5, 2), (4, 3), (3, 3), (0, 4)])
def test_it_says_when_there_is_room(used_max: int, seconds: int) -> None:
    window = Window(3)
    for second, amount in ((10, 1), (11, 2), (12, 3)):
        window.add(second, amount)
    assert window.slots_until(used_max) == seconds
    window.roll(12 + seconds)
    assert window.used <= used_max


@pytest.mark.parametrize(("rpm", "burst"), [(1, 10), (60, 10), (61, 11), (600, 100), (601, 101)])
def test_a_burst_is_the_sixth_of_a_minute_but_never_less_than_ten(rpm: int, burst: int) -> None:
    assert burst_limit(rpm) == burst


def test_the_figures_of_others_are_spread_over_their_seconds() -> None:
    windows = Windows()
    windows.fill(100.45, Windows(), [5, 20] + [0] * 59, [5, 20] + [0] * 59)
    assert (windows.tokens.used, windows.minute.used, windows.burst.used) == (25, 25, 25)
    windows.roll(100.45 + BURST_S - 0.5)
    assert 0 < windows.burst.used < 25


class Reference(RuleBasedStateMachine):
    """Windows hold what came in the last minute and second, and in the last ten seconds and tenth."""

    def __init__(self) -> None:
        super().__init__()
        self.windows = Windows()
        self.ticks = 1000 * TICKS
        self.calls: list[tuple[int, int]] = []

    @property
    def now(self) -> float:
        return self.ticks / TICKS

    @rule(ticks=st.integers(0, 700))
    def wait(self, ticks: int) -> None:
        self.ticks += ticks
        self.windows.roll(self.now)

    @rule(tokens=st.integers(0, 1000))
    def reserve(self, tokens: int) -> None:
        self.calls.append((self.ticks, tokens))
        self.windows.add(self.now, tokens, 1)

    @rule(at=st.integers(min_value=0), tokens=st.integers(0, 1000))
    def correct(self, at: int, tokens: int) -> None:
        if self.calls:
            index = at % len(self.calls)
            ticks, before = self.calls[index]
            self.calls[index] = (ticks, tokens)
            self.windows.add(ticks / TICKS, tokens - before, 0)

    @rule(at=st.integers(min_value=0))
    def cancel(self, at: int) -> None:
        if self.calls:
            ticks, tokens = self.calls.pop(at % len(self.calls))
            self.windows.add(ticks / TICKS, -tokens, -1)

    @invariant()
    def agree(self) -> None:
        second = self.ticks // TICKS
        minute = [tokens for ticks, tokens in self.calls if second - ticks // TICKS <= MINUTE_S]
        burst = [ticks for ticks, _ in self.calls if self.ticks - ticks <= BURST_S * TICKS]
        windows = self.windows
        assert (windows.tokens.used, windows.minute.used, windows.burst.used) == (sum(minute), len(minute), len(burst))


TestReference = Reference.TestCase
