"""What one instance knows of one deployment: what it was asked for, what Azure said, whether it may be asked now.

    reserve ─ tokens and a request are counted before anything is sent
    told ──── the answer's headers: Azure's word is believed where it is lower than ours
    correct ─ the answer's usage takes the estimate's place
    cancel ── nothing was sent, or Azure refused it without counting it

Times are seconds of one clock that goes forward; windows count its whole seconds. Pure: nothing here waits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from shared.routing.estimates import Estimates
from shared.routing.limits import Grant, Limits, Refused
from shared.routing.remaining import Remaining
from shared.routing.windows import BURST_S, MINUTE_S, TICKS, Window, Windows, burst_limit, free_at
from shared.upstream.ratelimit import Told

DRAIN_S = 60.0
"""A full provisioned deployment works off 100 % of utilization in so long (its bucket holds one minute)."""
FULL_S_MIN = 1.0
"""A provisioned deployment that says it is full is left alone so long at least, also when it is just so."""
UNDER_WAY_S = 1.0
"""When a call that is under way will end is not known: it is looked at again in so long."""
LATENCY_WEIGHT = 0.3
"""What the newest sample counts in the moving average."""


class DeploymentState:
    """One deployment's state on this instance. `configured` are the limits that its entry has.

    `own` is what this instance asked for, `all` that and what the others did; the same object as long as there are no
    others. `changes` counts what the others are to be told.
    """

    __slots__ = (
        "_blocked_until",
        "_full_until",
        "all",
        "burst",
        "changes",
        "configured",
        "estimates",
        "failed_until",
        "fails",
        "grant",
        "in_flight",
        "latency_s",
        "own",
        "peers_in_flight",
        "peers_throttled_until",
        "peers_tokens_per_s",
        "remaining",
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
        self.burst = 0 if self.rpm is None else burst_limit(self.rpm)
        self.own = self.all = Windows()
        self.peers_in_flight = 0
        self.peers_tokens_per_s = 0.0
        self.grant = Grant()
        self.wanted = Window(BURST_S)
        self.estimates = Estimates()
        self.in_flight = self.reserved = self.requests = self.changes = 0
        self.throttled_until = self.peers_throttled_until = self._full_until = self._blocked_until = -math.inf
        self.failed_until = -math.inf
        self.fails = Window(MINUTE_S)
        self.latency_s: float | None = None
        self.utilization = 0.0
        self.utilization_at = -math.inf
        self.remaining = Remaining()

    def roll(self, now: float) -> None:
        """Forgets what is older than the windows by now."""
        self.own.roll(now)
        if self.all is not self.own:
            self.all.roll(now)

    def used(self) -> tuple[int, int, int]:
        """Tokens and requests of the minute, requests of ten seconds: this instance's and the others'."""
        windows = self.all
        return windows.tokens.used, windows.minute.used, windows.burst.used

    def used_in(self, seconds: float) -> tuple[int, int, int]:
        """What of it will still count in so many seconds."""
        tokens, minute, burst = self.all.leaving(seconds)
        windows = self.all
        return windows.tokens.used - tokens, windows.minute.used - minute, windows.burst.used - burst

    def has_room(self, now: float, tick: int, tokens: int) -> bool:
        """Whether a call of about `tokens` may go there now; `tick` is that of now. Called for every candidate of every
        call, so it reads sums alone."""
        if now < self._blocked_until:
            return False
        windows = self.all
        burst = windows.burst
        if tick > burst.second:
            windows.roll(now)
        used = windows.tokens.used
        tpm = self.tpm
        if tpm is not None and used + tokens > tpm and (tokens <= tpm or used or self.in_flight):
            return False
        rpm = self.rpm
        if rpm is not None and (windows.minute.used >= rpm or burst.used >= self.burst):
            return False
        parallel = self.configured.parallel
        if parallel is not None and self.in_flight + self.peers_in_flight >= parallel:
            return False
        grant = self.grant
        if (grant.minute < 1 or grant.burst < 1 or (tokens > grant.tokens and used)) and not (
            now >= grant.renewable_at and self._granted_anew(now).admits(tokens, used)
        ):
            return False
        return now >= self.remaining.until or self._told_refusal(now, tokens) is None

    def refusal(self, now: float, tokens: int) -> Refused | None:
        """Why a call of about `tokens` may not go there now, the reason that lasts longest; None when it may."""
        if self.has_room(now, int(now * TICKS), tokens):
            return None
        return max(self._reasons(now, tokens), key=lambda one: one.until)

    def _reasons(self, now: float, tokens: int) -> Iterator[Refused]:
        """All that speaks against it; the same rules as `has_room`."""
        if now < self.throttled_until or now < self.peers_throttled_until:
            yield Refused("told to wait by Azure", max(self.throttled_until, self.peers_throttled_until))
        if now < self._full_until:
            yield Refused("provisioned throughput", self._full_until)
        self.roll(now)
        windows, grant = self.all, self.grant
        used = windows.tokens.used
        if self.tpm is not None and used + tokens > self.tpm and (tokens <= self.tpm or used or self.in_flight):
            until = free_at(windows.tokens, now, max(0, self.tpm - tokens))
            yield Refused("tokens per minute", until if used else now + UNDER_WAY_S)
        if self.rpm is not None and windows.minute.used >= self.rpm:
            yield Refused("requests per minute", free_at(windows.minute, now, self.rpm - 1))
        if self.rpm is not None and windows.burst.used >= self.burst:
            yield Refused("requests per ten seconds", free_at(windows.burst, now, self.burst - 1, TICKS))
        parallel = self.configured.parallel
        if parallel is not None and self.in_flight + self.peers_in_flight >= parallel:
            yield Refused("parallel requests", now + UNDER_WAY_S)
        if not grant.admits(tokens, used):
            yield Refused("this instance's share", grant.until if now < grant.until else grant.renewable_at)
        told = self._told_refusal(now, tokens)
        if told is not None:
            yield told

    def share(self, tokens: int) -> float | None:
        """The share of its tightest limit that is used with a call of `tokens` more; None without any limit."""
        windows = self.all
        tpm, rpm = self.tpm, self.rpm
        share = None if tpm is None else (windows.tokens.used + tokens) / tpm
        if rpm is not None:
            minute = (windows.minute.used + 1) / rpm
            burst = (windows.burst.used + 1) / self.burst
            if burst > minute:
                minute = burst
            if share is None or minute > share:
                share = minute
        return share

    def fullness(self, now: float) -> float:
        """Utilization of a provisioned deployment as it should be by now, 1.0 when it is full."""
        return max(0.0, self.utilization / 100 - (now - self.utilization_at) / DRAIN_S)

    def reserve(self, now: float, tokens: int) -> Reservation:
        """Counts a call that is about to be sent."""
        self.count(now, tokens, 1)
        self.wanted.add(int(now), 1)
        self.in_flight += 1
        self.reserved += tokens
        self.requests += 1
        return Reservation(self, now, tokens, self.reserved, self.requests)

    def count(self, at: float, tokens: int, requests: int) -> None:
        """Counts, perhaps negatively, what this instance asked for at a time."""
        self.own.add(at, tokens, requests)
        if self.all is not self.own:
            self.all.add(at, tokens, requests)
        grant = self.grant
        grant.tokens -= tokens
        grant.minute -= requests
        grant.burst -= requests
        self.changes += 1

    def missed(self, now: float) -> None:
        """A call found no room here: more is wanted than what is sent."""
        self.wanted.add(int(now), 1)
        self.changes += 1

    def throttle(self, until: float) -> None:
        """Azure told this instance to wait until then; what others were told is kept apart, and not told on."""
        self.throttled_until = max(self.throttled_until, until)
        self.changes += 1
        self._block()

    def throttle_peers(self, until: float) -> None:
        """What Azure told the others at the last look; nothing said before counts."""
        self.peers_throttled_until = until
        self._block()

    def told(self, now: float, sent: Reservation, told: Told) -> None:
        """The headers of the answer to `sent`."""
        if told.limit_tokens is not None or told.limit_requests is not None:
            self._limit(told)
        if told.utilization is not None:
            self.utilization, self.utilization_at = told.utilization, now
            over_s = (told.utilization / 100 - 1) * DRAIN_S
            self._full_until = now + max(over_s, FULL_S_MIN) if told.utilization >= 100 else -math.inf
            self._block()
        self.remaining.hear(now, sent.at, sent.cumulative, sent.sequence, told)

    def took(self, seconds_per_token: float) -> None:
        """A sample for latency-based routing."""
        if self.latency_s is None:
            self.latency_s = seconds_per_token
        self.latency_s += LATENCY_WEIGHT * (seconds_per_token - self.latency_s)

    def told_left(self, now: float) -> tuple[float, float]:
        """Tokens and requests that Azure's last word leaves, less what was asked for since; infinite without one."""
        remaining = self.remaining
        return (
            remaining.tokens(now, self.reserved, self.peers_tokens_per_s),
            remaining.requests(now, self.requests),
        )

    def _told_refusal(self, now: float, tokens: int) -> Refused | None:
        left, requests = self.told_left(now)
        if tokens > left and not (self.tpm is not None and tokens > self.tpm):
            return Refused("tokens that Azure says remain", self.remaining.tokens_until)
        if requests < 1:
            return Refused("requests that Azure says remain", self.remaining.requests_until)
        return None

    def _granted_anew(self, now: float) -> Grant:
        """A grant whose time is over is dealt once more from what is known: the read behind the next one is late."""
        if self.grant.renew is not None:
            self.grant = self.grant.renew(self, now)
        return self.grant

    def _block(self) -> None:
        self._blocked_until = max(self.throttled_until, self.peers_throttled_until, self._full_until)

    def _limit(self, told: Told) -> None:
        """A limit that is told and lower than configured is a temporary one; where none is configured it is the one."""
        limits = self.configured
        if told.limit_tokens is not None:
            self.tpm = told.limit_tokens if limits.tpm is None else min(limits.tpm, told.limit_tokens)
        if told.limit_requests is not None:
            self.rpm = told.limit_requests if limits.rpm is None else min(limits.rpm, told.limit_requests)
            self.burst = burst_limit(self.rpm)


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
            self.state.changes += 1

    def correct(self, tokens: int) -> None:
        """The call took so many tokens."""
        if self.counted:
            difference = tokens - self.tokens
            self.tokens = tokens
            self.state.count(self.at, difference, 0)

    def cancel(self) -> None:
        """The call was not counted there: nothing was sent, or it was refused for its limit."""
        if self.counted:
            self.counted = False
            self.state.count(self.at, -self.tokens, -1)
        self.end()
