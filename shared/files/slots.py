"""How many of something may be under way on one instance."""

from __future__ import annotations

from shared.errors import Unavailable


class Slots:
    """How many of something may be under way; used as a context, or by `take` and `give`."""

    def __init__(self, most: int, refusal: str) -> None:
        self.taken = 0
        self._most = most
        self._refusal = refusal

    def check(self) -> None:
        """Raises Unavailable when none is free."""
        if self.taken >= self._most:
            raise Unavailable(self._refusal, retry_after_ms=1000)

    def take(self) -> None:
        """Takes one. Raises Unavailable."""
        self.check()
        self.taken += 1

    def give(self) -> None:
        self.taken -= 1

    def __enter__(self) -> None:
        self.take()

    def __exit__(self, *_: object) -> None:
        self.give()
