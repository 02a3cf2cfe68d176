"""What one instance knows of one deployment: what it was asked for, what Azure said, whether it may be asked now.

    reserve ─ tokens and a request are counted before anything is sent
    told ──── the answer's headers: Azure's word is believed where it is lower than ours
    correct ─ the answer's usage takes the estimate's place
    cancel ── nothing was sent, or Azure refused it without counting it

Times are seconds of one clock that goes forward; windows count its whole seconds. Pure: nothing here waits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from shared.routing.estimates import Estimates
from shared.routing.windows import BURST_S, MINUTE_S, TICKS, Window, Windows, burst_limit, slots_until
from shared.upstream.ratelimit import Told

TOLD_AFTER_S_MAX = 1.0
"""What an answer says remains is believed when it came so soon after its request: a later word is an old one."""
DRAIN_S = 60.0
"""A full provisioned deployment works off 100 % of utilization in so long (its bucket holds one minute)."""
LATENCY_WEIGHT = 0.3
"""What the newest sample counts in the moving average."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a deployment is not asked now: words for an error, and when (seconds of the clock) that may be over."""

    why: str
    until: float


@dataclass(slots=True)
class Limits:
    """Per minute, None where nobody said; `parallel` calls under way at a time."""

    tpm: int | None = None
    rpm: int | None = None
    parallel: int | None = None


@dataclass(slots=True)
class Grant:
    """What this instance may still admit until it reads the others' figures again; infinite where it is alone."""

    tokens: float = math.inf
    minute: float = math.inf
    burst: float = math.inf
    until: float = math.inf


class DeploymentState:
    """One deployment's state on this instance. `configured` are the limits that its entry has."""

    __slots__ = (
        "_told_at",
        "_told_cumulative",
        "_told_requests",
        "_told_requests_left",
        "_told_requests_until",
        "_told_tokens_left",
        "_told_tokens_until",
        "burst",
        "configured",
        "estimates",
        "failed_until",
        "fails",
        "grant",
        "in_flight",
        "latency_s",
        "own",
        "peers",
        "peers_in_flight",
        "peers_throttled_until",
        "peers_tokens_per_s",
        "requests",
        "reserved",
        "rpm",
        "throttled_until",
        "tpm",
        "utilization",
        "utilization_at",
        "wanted",
    )

    def __init__(self, configured: Limits) -> None:
        self.configured = configured
        self.tpm = configured.tpm
        self.rpm = configured.rpm
        self.burst = None if self.rpm is None else burst_limit(self.rpm)
        self.own = Windows()
        self.peers: Windows | None = None
        self.peers_in_flight = 0
        self.peers_tokens_per_s = 0.0
        self.grant = Grant()
        self.wanted = Window(BURST_S)
        self.estimates = Estimates()
        self.in_flight = 0
        self.reserved = 0
        self.requests = 0
        self.throttled_until = -math.inf
        self.peers_throttled_until = -math.inf
        self.failed_until = -math.inf
        self.fails = Window(MINUTE_S)
        self.latency_s: float | None = None
        self.utilization = 0.0
        self.utilization_at = -math.inf
        self._told_at = 0.0
        self._told_tokens_left = self._told_requests_left = 0
        self._told_tokens_until = self._told_requests_until = -math.inf
        self._told_cumulative = self._told_requests = 0

    def roll(self, now: float) -> None:
        """Forgets what is older than the windows by now."""
        self.own.roll(now)
        if self.peers is not None:
            self.peers.roll(now)

    def used(self) -> tuple[int, int, int]:
        """Tokens and requests of the minute, requests of ten seconds: this instance's and the others'."""
        own, peers = self.own, self.peers
        if peers is None:
            return own.tokens.used, own.minute.used, own.burst.used
        return (
            own.tokens.used + peers.tokens.used,
            own.minute.used + peers.minute.used,
            own.burst.used + peers.burst.used,
        )

    def used_in(self, seconds: float) -> tuple[int, int, int]:
        """What of it will still count in so many seconds."""
        leaving = self.own.leaving(seconds)
        theirs = (0, 0, 0) if self.peers is None else self.peers.leaving(seconds)
        tokens, minute, burst = (
            used - own - other for used, own, other in zip(self.used(), leaving, theirs, strict=True)
        )
        return tokens, minute, burst

    def refusal(self, now: float, tokens: int) -> Refused | None:
        """Why a call of about `tokens` may not go there now; None when there is room for it."""
        if now < self.throttled_until or now < self.peers_throttled_until:
            return Refused("told to wait by Azure", max(self.throttled_until, self.peers_throttled_until))
        if int(now * TICKS) > self.own.burst.second:
            self.roll(now)
        used, minute, burst = self.used()
        grant = self.grant
        if self.tpm is not None and used + tokens > self.tpm and (tokens <= self.tpm or used or self.in_flight):
            return Refused("tokens per minute", self._until(now, "tokens", self.tpm - tokens))
        if self.rpm is not None and minute >= self.rpm:
            return Refused("requests per minute", self._until(now, "minute", self.rpm - 1))
        if self.burst is not None and burst >= self.burst:
            return Refused("requests per ten seconds", self._until(now, "burst", self.burst - 1))
        parallel = self.configured.parallel
        if parallel is not None and self.in_flight + self.peers_in_flight >= parallel:
            return Refused("parallel requests", now + 1.0)
        if (tokens > grant.tokens and used) or grant.minute < 1 or grant.burst < 1:
            return Refused("this instance's share", max(grant.until, now))
        return self._told_refusal(now, tokens)

    def share(self, tokens: int) -> float | None:
        """The share of its tightest limit that is used with a call of `tokens` more; None without any limit."""
        used, minute, burst = self.used()
        share = -1.0
        if self.tpm is not None:
            share = (used + tokens) / self.tpm
        if self.rpm is not None and self.burst is not None:
            share = max(share, (minute + 1) / self.rpm, (burst + 1) / self.burst)
        return share if share >= 0 else None

    def fullness(self, now: float) -> float:
        """Utilization of a provisioned deployment as it should be by now, 1.0 when it is full."""
        return max(0.0, self.utilization / 100 - (now - self.utilization_at) / DRAIN_S)

    def reserve(self, now: float, tokens: int) -> Reservation:
        """Counts a call that is about to be sent."""
        self.own.add(now, tokens, 1)
        self.wanted.add(int(now), 1)
        self.reserved += tokens
        self.requests += 1
        self.in_flight += 1
        grant = self.grant
        grant.tokens -= tokens
        grant.minute -= 1
        grant.burst -= 1
        return Reservation(self, now, tokens, self.reserved, self.requests)

    def throttle(self, until: float) -> None:
        """Azure told this instance to wait until then; what others were told is kept apart, and not told on."""
        self.throttled_until = max(self.throttled_until, until)

    def told(self, now: float, sent: Reservation, told: Told) -> None:
        """The headers of the answer to `sent`."""
        if told.limit_tokens is not None or told.limit_requests is not None:
            self._limit(told)
        if told.utilization is not None:
            self.utilization, self.utilization_at = told.utilization, now
        if now - sent.at > TOLD_AFTER_S_MAX:
            return
        self._told_at = now
        if told.remaining_tokens is not None:
            self._told_tokens_left = told.remaining_tokens
            self._told_cumulative = sent.cumulative
            self._told_tokens_until = now + told.reset_tokens_s
        if told.remaining_requests is not None:
            self._told_requests_left = told.remaining_requests
            self._told_requests = sent.sequence
            self._told_requests_until = now + told.reset_requests_s

    def took(self, seconds_per_token: float) -> None:
        """A sample for latency-based routing."""
        if self.latency_s is None:
            self.latency_s = seconds_per_token
        self.latency_s += LATENCY_WEIGHT * (seconds_per_token - self.latency_s)

    def told_left(self, now: float) -> tuple[float, float]:
        """Tokens and requests that Azure's last word leaves, less what was asked for since; infinite without one."""
        tokens = requests = math.inf
        if now < self._told_tokens_until:
            others = self.peers_tokens_per_s * (now - self._told_at)
            tokens = self._told_tokens_left - (self.reserved - self._told_cumulative) - others
        if now < self._told_requests_until:
            requests = self._told_requests_left - (self.requests - self._told_requests)
        return tokens, requests

    def _told_refusal(self, now: float, tokens: int) -> Refused | None:
        if now < self._told_tokens_until or now < self._told_requests_until:
            left, requests = self.told_left(now)
            if tokens > left and not (self.tpm is not None and tokens > self.tpm):
                return Refused("tokens that Azure says remain", self._told_tokens_until)
            if requests < 1:
                return Refused("requests that Azure says remain", self._told_requests_until)
        if self.utilization >= 100 and self.fullness(now) >= 1:
            over_s = (self.utilization / 100 - 1) * DRAIN_S
            return Refused("provisioned throughput", self.utilization_at + over_s)
        return None

    def _limit(self, told: Told) -> None:
        """A limit that is told and lower than configured is a temporary one; where none is configured it is the one."""
        limits = self.configured
        if told.limit_tokens is not None:
            self.tpm = told.limit_tokens if limits.tpm is None else min(limits.tpm, told.limit_tokens)
        if told.limit_requests is not None:
            self.rpm = told.limit_requests if limits.rpm is None else min(limits.rpm, told.limit_requests)
            self.burst = burst_limit(self.rpm)

    def _until(self, now: float, window: str, used_max: int) -> float:
        """When no more than `used_max` is in the window any more, this instance's and the others' taken together."""
        own: Window = getattr(self.own, window)
        amounts = own.by_age()
        if self.peers is not None:
            amounts = [one + other for one, other in zip(amounts, getattr(self.peers, window).by_age(), strict=True)]
        ticks = TICKS if window == "burst" else 1
        return (int(now * ticks) + slots_until(amounts, used_max)) / ticks


@dataclass(slots=True)
class Reservation:
    """One call that was counted before it was sent. `cumulative` and `sequence`: all tokens and requests ever reserved
    there, with this one. Every method may be called twice."""

    state: DeploymentState
    at: float
    tokens: int
    cumulative: int
    sequence: int
    under_way: bool = True
    counted: bool = True

    def end(self) -> None:
        """The deployment is done with it; it stays counted."""
        if self.under_way:
            self.under_way = False
            self.state.in_flight -= 1

    def correct(self, tokens: int) -> None:
        """The call took so many tokens."""
        if self.counted:
            difference = tokens - self.tokens
            self.tokens = tokens
            self.state.own.add(self.at, difference, 0)
            self.state.grant.tokens -= difference

    def cancel(self) -> None:
        """The call was not counted there: nothing was sent, or it was refused for its limit."""
        if self.counted:
            self.counted = False
            state = self.state
            state.own.add(self.at, -self.tokens, -1)
            state.grant.tokens += self.tokens
            state.grant.minute += 1
            state.grant.burst += 1
        self.end()
