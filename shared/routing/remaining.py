"""What Azure last said remains at a deployment (`x-ratelimit-remaining-*`), less what was asked for since. Pure."""

from __future__ import annotations

import math

from shared.upstream.ratelimit import Told

BELIEVED_S_MAX = 1.0
"""What an answer says remains is believed when it came so soon after its request: a later word is an old one."""


class Remaining:
    """Azure's last word on one deployment. Its figures hold for the request that they answer, so `cumulative` tokens
    and the `sequence` number of that request are kept: what was reserved after it is taken off. `until` is when no
    word holds any more."""

    __slots__ = (
        "_at",
        "_cumulative",
        "_requests",
        "_sequence",
        "_tokens",
        "requests_until",
        "tokens_until",
        "until",
    )

    def __init__(self) -> None:
        self.until = self.tokens_until = self.requests_until = -math.inf
        self._at = 0.0
        self._tokens = self._requests = self._cumulative = self._sequence = 0

    def hear(self, now: float, sent_at: float, cumulative: int, sequence: int, told: Told) -> None:
        """The headers of the answer to a request that was sent at `sent_at`."""
        if now - sent_at > BELIEVED_S_MAX:
            return
        self._at = now
        if told.remaining_tokens is not None:
            self._tokens, self._cumulative = told.remaining_tokens, cumulative
            self.tokens_until = now + told.reset_tokens_s
        if told.remaining_requests is not None:
            self._requests, self._sequence = told.remaining_requests, sequence
            self.requests_until = now + told.reset_requests_s
        self.until = max(self.tokens_until, self.requests_until)

    def tokens(self, now: float, reserved: int, others_per_s: float) -> float:
        """Tokens that are left, where `reserved` were ever reserved here and others use so many a second."""
        if now >= self.tokens_until:
            return math.inf
        return self._tokens - (reserved - self._cumulative) - others_per_s * (now - self._at)

    def requests(self, now: float, reserved: int) -> float:
        """Requests that are left, where so many were ever reserved here."""
        return math.inf if now >= self.requests_until else self._requests - (reserved - self._sequence)
