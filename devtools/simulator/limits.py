"""Azure's rate limits: TPM and RPM windows of standard deployments, the leaky bucket of provisioned ones.

Pure: time in seconds is an argument. A window starts with the first request that finds the last one over, so that
what a test sees does not depend on the wall clock. Rules: Azure OpenAI's quota and provisioned-throughput pages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from devtools.simulator.resources import Deployment

MINUTE_S = 60.0
UNLIMITED_TOKENS = 30_000_000
UNLIMITED_REQUESTS = 300_000
NEVER_FITS_S = 86_400
"""Azure's `retry after` when one request is larger than the whole limit."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not admitted: `kind` is `token`, `call` or `provisioned`."""

    kind: str
    retry_after_ms: int

    @property
    def retry_after_s(self) -> int:
        return max(1, math.ceil(self.retry_after_ms / 1000))


@dataclass(slots=True)
class Window:
    """A counter that starts anew `length_s` after its first request."""

    length_s: float
    start: float = -math.inf
    used: int = 0

    def roll(self, now: float) -> None:
        if now - self.start >= self.length_s:
            self.start, self.used = now, 0

    def left_s(self, now: float) -> float:
        return max(0.0, self.start + self.length_s - now)


class StandardLimit:
    """TPM over a minute and RPM over `rpm_window_s`; failed requests count, refused ones do not."""

    def __init__(self, deployment: Deployment) -> None:
        self.tpm, self.rpm = deployment.tpm, deployment.rpm
        self.tokens = Window(MINUTE_S)
        self.minute = Window(MINUTE_S)
        self.requests = Window(deployment.rpm_window_s)

    @property
    def requests_max(self) -> int | None:
        """Requests in one `rpm_window_s`: the RPM's share of it, rounded up."""
        return None if self.rpm is None else max(1, math.ceil(self.rpm * self.requests.length_s / MINUTE_S))

    def admit(self, tokens: int, now: float) -> Refusal | None:
        """Counts the request with its estimated tokens, or tells why not."""
        for window in (self.tokens, self.minute, self.requests):
            window.roll(now)
        if self.tpm is not None and self.tokens.used + tokens > self.tpm:
            wait_s = NEVER_FITS_S if tokens > self.tpm else self.tokens.left_s(now)
            return Refusal("token", math.ceil(wait_s * 1000))
        if self.requests_max is not None and self.requests.used >= self.requests_max:
            return Refusal("call", math.ceil(self.requests.left_s(now) * 1000))
        self.tokens.used += tokens
        self.minute.used += 1
        self.requests.used += 1
        return None

    def correct(self, estimated: int, actual: int) -> None:
        """Azure does not correct a standard deployment's counter when the real usage is known."""

    def headers(self, now: float) -> dict[str, str]:
        """`x-ratelimit-*`; the resets are plain seconds, unlike OpenAI's."""
        tokens_max = UNLIMITED_TOKENS if self.tpm is None else self.tpm
        requests_max = UNLIMITED_REQUESTS if self.rpm is None else self.rpm
        tokens_used = 0 if self.tpm is None else self.tokens.used
        requests_used = 0 if self.rpm is None else self.minute.used
        return {
            "x-ratelimit-limit-tokens": str(tokens_max),
            "x-ratelimit-remaining-tokens": str(max(0, tokens_max - tokens_used)),
            "x-ratelimit-reset-tokens": str(math.ceil(self.tokens.left_s(now))),
            "x-ratelimit-limit-requests": str(requests_max),
            "x-ratelimit-remaining-requests": str(max(0, requests_max - requests_used)),
            "x-ratelimit-reset-requests": str(math.ceil(self.requests.left_s(now))),
        }


class ProvisionedLimit:
    """A bucket of one minute's tokens that drains at the PTUs' speed; open while it is below 100 %."""

    def __init__(self, deployment: Deployment) -> None:
        self.capacity = float(deployment.tpm or UNLIMITED_TOKENS)
        self.level = 0.0
        self.updated = 0.0

    def _drain(self, now: float) -> None:
        self.level = max(0.0, self.level - (now - self.updated) * self.capacity / MINUTE_S)
        self.updated = now

    def admit(self, tokens: int, now: float) -> Refusal | None:
        """Adds the estimate while utilisation is below 100 %; the last one may go over it."""
        self._drain(now)
        if self.level >= self.capacity:
            over = self.level - self.capacity
            return Refusal("provisioned", math.floor(over / self.capacity * MINUTE_S * 1000) + 1)
        self.level += tokens
        return None

    def correct(self, estimated: int, actual: int) -> None:
        """Replaces the estimate with what the call really took."""
        self.level = max(0.0, self.level + actual - estimated)

    def headers(self, now: float) -> dict[str, str]:
        """`azure-openai-deployment-utilization`, a percentage such as `12.3%`."""
        self._drain(now)
        return {"azure-openai-deployment-utilization": f"{100 * self.level / self.capacity:.1f}%"}


class NoLimit:
    """The limit of a batch's lines: they wait for capacity instead of being refused."""

    def admit(self, tokens: int, now: float) -> Refusal | None:
        return None

    def correct(self, estimated: int, actual: int) -> None:
        """Nothing was counted."""

    def headers(self, now: float) -> dict[str, str]:
        return {}


NO_LIMIT = NoLimit()
Limit = StandardLimit | ProvisionedLimit | NoLimit


class Limits:
    """The limit of every deployment, made on first use; one whose settings changed starts afresh."""

    def __init__(self) -> None:
        self._limits: dict[tuple[str, str], tuple[Deployment, Limit]] = {}

    def of(self, resource: str, name: str, deployment: Deployment) -> Limit:
        known = self._limits.get((resource, name))
        if known is not None and known[0] is deployment:
            return known[1]
        limit: Limit = ProvisionedLimit(deployment) if deployment.provisioned else StandardLimit(deployment)
        self._limits[resource, name] = (deployment, limit)
        return limit

    def clear(self) -> None:
        self._limits.clear()
