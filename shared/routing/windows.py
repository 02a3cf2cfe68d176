"""What a deployment was asked for lately: tokens and requests of a sliding minute, requests of sliding ten seconds.

Azure evaluates tokens by the minute and requests by the second or by ten seconds, so a minute's worth may not come at
once (facts: Azure OpenAI's quota page). A window counts by whole seconds and keeps one second more than its length:
whatever minute Azure looks at, what was counted in it never exceeds the limit.

Pure: time is a second of any clock that goes forward, as an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

MINUTE_S = 60
BURST_S = 10
BURST_MIN = 10
"""A burst of so many requests is always allowed: the sixth of a small rpm would be none at all."""


class Window:
    """Amounts of the last `length` whole seconds and the running one; `used` is their sum."""

    __slots__ = ("_amounts", "_size", "second", "used")

    def __init__(self, length: int) -> None:
        self._size = length + 1
        self._amounts = [0] * self._size
        self.second = 0
        self.used = 0

    def roll(self, second: int) -> None:
        """Forgets what is older than the window at `second`; a second that has passed is ignored."""
        gone = second - self.second
        if gone <= 0:
            return
        if gone >= self._size:
            if self.used:
                self._amounts = [0] * self._size
                self.used = 0
        else:
            for passed in range(self.second + 1, second + 1):
                slot = passed % self._size
                self.used -= self._amounts[slot]
                self._amounts[slot] = 0
        self.second = second

    def add(self, second: int, amount: int) -> None:
        """Counts `amount`, perhaps negative, at `second`; what is older than the window no longer matters."""
        self.roll(second)
        if self.second - second < self._size:
            self._amounts[second % self._size] += amount
            self.used += amount

    def fill(self, second: int, amounts: Sequence[int]) -> None:
        """Makes `amounts` the window's own, by age in seconds: the first is that of `second`."""
        self.second = second
        self._amounts = [0] * self._size
        for age, amount in enumerate(amounts[: self._size]):
            self._amounts[(second - age) % self._size] = amount
        self.used = sum(self._amounts)

    def by_age(self) -> list[int]:
        """Amounts by age in seconds, that of the running second first."""
        slot = self.second % self._size
        return self._amounts[slot::-1] + self._amounts[:slot:-1]

    def seconds_until(self, used_max: int) -> int:
        """Whole seconds, from the running one on, until no more than `used_max` is in the window."""
        over = self.used - used_max
        if over <= 0:
            return 0
        for age, amount in reversed(list(enumerate(self.by_age()))):
            over -= amount
            if over <= 0:
                return self._size - age
        return self._size


@dataclass(slots=True)
class Windows:
    """The three windows of one deployment."""

    tokens: Window = field(default_factory=lambda: Window(MINUTE_S))
    minute: Window = field(default_factory=lambda: Window(MINUTE_S))
    burst: Window = field(default_factory=lambda: Window(BURST_S))

    def roll(self, second: int) -> None:
        """Brings all three to `second`."""
        if second > self.tokens.second:
            self.tokens.roll(second)
            self.minute.roll(second)
            self.burst.roll(second)

    def add(self, second: int, tokens: int, requests: int) -> None:
        """Counts, perhaps negatively, at `second`."""
        self.tokens.add(second, tokens)
        if requests:
            self.minute.add(second, requests)
            self.burst.add(second, requests)


def burst_limit(rpm: int) -> int:
    """Requests in ten seconds at `rpm` requests a minute."""
    return max(-(-rpm // (MINUTE_S // BURST_S)), BURST_MIN)
