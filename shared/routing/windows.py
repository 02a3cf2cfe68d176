"""What a deployment was asked for lately: tokens and requests of a sliding minute, requests of sliding ten seconds.

Azure evaluates tokens by the minute and requests by the second or by ten seconds, so a minute's worth may not come at
once (Azure OpenAI's quota page). A window counts by whole seconds, the short one by tenths, and keeps one more than its
length: whatever minute Azure looks at, what was counted in it never exceeds the limit.

Pure: time is an argument, in seconds of any clock that goes forward. Sums are kept while counting: reading one costs
nothing, and no amount of a slot is ever negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

MINUTE_S = 60
BURST_S = 10
TICKS = 10
"""Of the short window in a second: a second more than ten would cost a tenth of the throughput."""
BURST_MIN = 10
"""A burst of so many requests is always allowed: the sixth of a small rpm would be none at all."""


class Window:
    """Amounts of the last `length` slots of time and the running one; `used` is their sum. A slot is a second, or what
    whoever counts takes for one."""

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
        if self.used:
            size, amounts = self._size, self._amounts
            if gone >= size:
                self._amounts = [0] * size
                self.used = 0
            else:
                for passed in range(self.second + 1, second + 1):
                    slot = passed % size
                    if amount := amounts[slot]:
                        self.used -= amount
                        amounts[slot] = 0
        self.second = second

    def add(self, second: int, amount: int) -> None:
        """Counts `amount`, perhaps negative, at `second`; what is older than the window no longer matters."""
        self.roll(second)
        if self.second - second < self._size:
            self._amounts[second % self._size] += amount
            self.used += amount

    def fill(self, second: int, amounts: Sequence[int]) -> None:
        """Makes `amounts` the window's own, by age in seconds: the first is that of `second`."""
        size = self._size
        by_age = [*amounts[:size], *(0 for _ in range(size - len(amounts)))]
        by_age.reverse()  # the oldest first, which comes right behind the running slot
        turn = (second + 1) % size
        self._amounts = by_age[size - turn :] + by_age[: size - turn]
        self.second = second
        self.used = sum(by_age)

    def by_age(self) -> list[int]:
        """Amounts by age in seconds, that of the running second first."""
        slot = self.second % self._size
        return self._amounts[slot::-1] + self._amounts[:slot:-1]

    def leaving(self, slots: int) -> int:
        """What is forgotten in so many slots of time from now on."""
        if not self.used or slots <= 0:
            return 0
        first = (self.second + 1) % self._size
        end = first + min(slots, self._size)
        return sum(self._amounts[first:end]) + sum(self._amounts[: max(0, end - self._size)])

    def slots_until(self, used_max: int) -> int:
        """Slots of time, from the running one on, until no more than `used_max` is in the window."""
        over = self.used - used_max
        if over <= 0:
            return 0
        for ahead in range(1, self._size + 1):
            over -= self._amounts[(self.second + ahead) % self._size]
            if over <= 0:
                return ahead
        return self._size


class Windows:
    """The three windows of one deployment."""

    __slots__ = ("burst", "minute", "tokens")

    def __init__(self) -> None:
        self.tokens = Window(MINUTE_S)
        self.minute = Window(MINUTE_S)
        self.burst = Window(BURST_S * TICKS)

    def roll(self, now: float) -> None:
        """Brings all three to `now`."""
        self.burst.roll(int(now * TICKS))
        second = int(now)
        if second > self.tokens.second:
            self.tokens.roll(second)
            self.minute.roll(second)

    def add(self, at: float, tokens: int, requests: int) -> None:
        """Counts, perhaps negatively, what was at a time."""
        second = int(at)
        self.tokens.add(second, tokens)
        if requests:
            self.minute.add(second, requests)
            self.burst.add(int(at * TICKS), requests)

    def leaving(self, seconds: float) -> tuple[int, int, int]:
        """Tokens, requests of the minute and of ten seconds that are forgotten in the seconds to come."""
        whole = int(seconds)
        return self.tokens.leaving(whole), self.minute.leaving(whole), self.burst.leaving(int(seconds * TICKS))

    def fill(self, now: float, own: Windows, tokens: Sequence[int], requests: Sequence[int]) -> None:
        """Makes it the sum of `own`, which was rolled to `now`, and of the others' amounts, by age in seconds; those of
        a second are spread over it."""
        second = int(now)
        self.tokens.fill(second, list(map(add, own.tokens.by_age(), tokens)))
        self.minute.fill(second, list(map(add, own.minute.by_age(), requests)))
        tick = int(now * TICKS)
        running = tick % TICKS + 1  # of the second that is not over
        spread = _spread(requests[0], running)
        for amount in requests[1 : BURST_S + 1]:
            spread += _spread(amount, TICKS)
        self.burst.fill(tick, list(map(add, own.burst.by_age(), spread)))


def _spread(amount: int, slots: int) -> list[int]:
    """The amount in so many nearly equal parts."""
    if not amount:
        return [0] * slots
    each, over = divmod(amount, slots)
    return [each + 1] * over + [each] * (slots - over)


def burst_limit(rpm: int) -> int:
    """Requests in ten seconds at `rpm` requests a minute."""
    return max(-(-rpm // (MINUTE_S // BURST_S)), BURST_MIN)


def free_at(window: Window, now: float, used_max: int, ticks: int = 1) -> float:
    """When no more than `used_max` is in a window any more that counts so many slots a second."""
    return (int(now * ticks) + window.slots_until(used_max)) / ticks
