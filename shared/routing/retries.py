"""Whether a failed attempt is followed by another: the kind of failure, its retry policy, and the retry budget.

What may be sent again at all, by the phase in which it failed (DESIGN §9); an operation's `replay` says which kinds it
allows:

    phase of the failure                                                    kind            sent again
    not sent, or refused in so many words (429, 503, 401, 404 deployment)   Replay.FREELY   always
    upstream said that it failed (5xx)                                      Replay.FAILED   unless spill_on_5xx is off
    sent, and the connection broke before the answer was here               Replay.BROKEN   the same, but only text and
                                                                                            what is free: no image, no
                                                                                            audio, nothing in background
    sent, and no answer in time: perhaps it is still being done             Replay.UNKNOWN  only what is free
    refused for what it says (400), or data has reached the client          Replay.NEVER    never
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shared.errors import (
    BadRequest,
    ContentFiltered,
    DeploymentNotFound,
    NotFound,
    RateLimited,
    SpillwayError,
    Unavailable,
    UpstreamFailed,
    UpstreamMisconfigured,
    UpstreamTimeout,
)

WINDOW_S = 10.0
BACKOFF_BASE_S = 0.5
BACKOFF_MAX_S = 8.0

# LiteLLM's names, the narrower class first.
KINDS: tuple[tuple[type[SpillwayError], str], ...] = (
    (ContentFiltered, "ContentPolicyViolationError"),
    (BadRequest, "BadRequestError"),
    (UpstreamMisconfigured, "AuthenticationError"),
    (UpstreamTimeout, "TimeoutError"),
    (RateLimited, "RateLimitError"),
    (Unavailable, "ServiceUnavailableError"),
    (UpstreamFailed, "InternalServerError"),
    (DeploymentNotFound, "NotFoundError"),
    (NotFound, "NotFoundError"),
)


def kind_of(failure: SpillwayError) -> str:
    """LiteLLM's name for a failure, as `retry_policy` and `allowed_fails_policy` have it; "" for another."""
    return next((name for kind, name in KINDS if isinstance(failure, kind)), "")


def retries_for(failure: SpillwayError, policy: Mapping[str, int], retries: int) -> int:
    """How often a call may be sent again after failures of this kind: the policy's word, else `retries`."""
    return policy.get(f"{kind_of(failure)}Retries", policy.get("DefaultRetries", retries))


def backoff_s(number: int, random: Callable[[], float]) -> float:
    """Seconds before the retry of this number, from 1 on: full jitter up to 0.5 s, doubled, 8 s at most."""
    return random() * min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2.0 ** (number - 1))


class RetryBudget:
    """Retries of an instance as a share of its calls, so that an outage is not multiplied.

    A token bucket: each call puts `ratio` of a token in, each retry takes one out; `minimum` retries in ten seconds
    are always allowed. Time in seconds is an argument.
    """

    def __init__(self, ratio: float, minimum: int) -> None:
        self._ratio = ratio
        self._minimum = minimum
        self._tokens_max = max(float(minimum), 100.0)
        self._tokens = float(minimum)
        self._at = 0.0

    def called(self, now: float) -> None:
        """A call came in."""
        self._refill(now)
        self._tokens = min(self._tokens_max, self._tokens + self._ratio)

    def take(self, now: float) -> bool:
        """Whether a retry may be sent; it is then counted."""
        self._refill(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _refill(self, now: float) -> None:
        gained = (now - self._at) * self._minimum / WINDOW_S
        self._at = now
        if self._tokens < self._minimum:
            self._tokens = min(float(self._minimum), self._tokens + gained)
