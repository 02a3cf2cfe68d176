"""One call, tried on one deployment after another while that is safe.

choose ─ the candidates with room that were not tried yet, by order and strategy
  │        └ none: another model (fallbacks); a pause, then those that failed; waiting for room; else the failure
send ── reserved before, corrected after
  └ failed: a deployment that refused or failed cools down, and the next is chosen if the failure allows it
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from shared.errors import (
    PERHAPS_DONE,
    BadRequest,
    DeploymentNotFound,
    NotFound,
    RateLimited,
    Replay,
    SpillwayError,
    Unavailable,
    UpstreamMisconfigured,
    UpstreamUnreachable,
)
from shared.ids import entry_id
from shared.routing.estimates import NOTHING, Demand
from shared.routing.fallbacks import Fallbacks
from shared.routing.retries import backoff_s, retries_for
from shared.routing.router import Router
from shared.routing.selection import Chosen, Full
from shared.routing.state import Reservation
from shared.routing.telling import most_telling
from shared.routing.unfit import Unfit
from shared.upstream.deployment import Deployment
from shared.upstream.ratelimit import Told
from shared.usage.usage import Usage

T = TypeVar("T")

_NOT_AGAIN = (RateLimited, UpstreamMisconfigured, DeploymentNotFound)
"""What the same deployment would only say again."""
ATTEMPTS_MAX = 20
"""Of one call, whatever the configuration says: over this a call does more harm than good."""
TIMED_OUT_S = 1000.0
"""What latency-based routing takes an attempt for that got no answer (LiteLLM's figure)."""


@dataclass(slots=True)
class Attempt:
    """One send of a call to a deployment. `number` counts from 1. `now` is the router's clock, `started` by it.

    `simulates_stream`: the model cannot stream, so its whole answer is made into a stream. `failure`: why the next one
    was made, or none.
    """

    entry_id: str
    number: int
    deployment: Deployment
    reservation: Reservation
    demand: Demand
    now: Callable[[], float]
    started: float
    simulates_stream: bool = False
    failure: SpillwayError | None = None
    _settled: bool = field(default=False, repr=False)

    def end(self) -> None:
        """The deployment is done with it. May be called twice."""
        self.reservation.end()

    def told(self, told: Told) -> None:
        """What the answer's headers say of the deployment."""
        self.reservation.state.told(self.now(), self.reservation, told)

    def settle(self, usage: Usage) -> None:
        """What it took; the first word counts."""
        if self._settled:
            return
        self._settled = True
        tokens = usage.prompt + usage.completion
        if usage.source == "upstream" and (tokens or not usage.characters):  # speech in bytes tells no tokens
            self.reservation.correct(tokens)
            state = self.reservation.state
            state.estimates.learn(self.demand, usage)
            state.took((self.now() - self.started) / max(1, usage.completion))


@dataclass(slots=True)
class Trail:
    """The attempts of one call so far, for its headers and its record, also when it fails."""

    call_id: str
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def last(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None


@dataclass(frozen=True, slots=True)
class Rules:
    """How often and after what one call may be sent again.

    `retries`: further attempts within a group after the first; `policy`: LiteLLM's retry_policy, which wins. `again`:
    a deployment that failed may be asked again, after a pause, where nothing else is free; without a word of the
    operator's each is asked once, and the client is told to come again. `replay`: the kinds of failure after which the
    operation may be sent again. `max_wait_s`: how long a call waits where every deployment is full.
    """

    retries: int = 2
    again: bool = False
    policy: Mapping[str, int] = field(default_factory=dict)
    replay: frozenset[Replay] = frozenset({Replay.FREELY, Replay.FAILED})
    max_wait_s: float = 0.0


@dataclass(slots=True)
class Group:
    """The deployments of one model, and what this call met with there. `pauses` so far, and `tried` since the last."""

    model: str
    candidates: Sequence[Deployment]
    failures: list[SpillwayError] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    pauses: int = 0

    @property
    def untried(self) -> Sequence[Deployment]:
        """The candidates that were not asked, or not since the last pause."""
        if not self.tried:
            return self.candidates
        return [one for one in self.candidates if one.id not in self.tried]

    @property
    def last(self) -> SpillwayError | None:
        return self.failures[-1] if self.failures else None


@dataclass(slots=True)
class Run:
    """What trying one call needs. `wanted`: whether anybody still waits for its answer."""

    router: Router
    trail: Trail
    wanted: Callable[[], bool]
    rules: Rules = field(default_factory=Rules)
    demand: Demand = NOTHING
    fallbacks: Fallbacks | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def first_success(self, group: Group, send: Callable[[Attempt], Awaitable[T]]) -> T:
        """What the first successful `send` gives; its attempt is still open, the failed ones are ended.

        The next deployment is asked only when the failure's `replay` kind allows it and the answer is still wanted.
        Raises what explains best why it failed: a rate limit, with the soonest retry, when any deployment was merely
        full; else the last failure.
        """
        self.router.called()
        wait_until = self.router.now() + self.rules.max_wait_s
        met = [group]
        while True:
            group = met[-1]
            chosen = self.router.choose(group.untried, self.demand)
            if isinstance(chosen, Full):
                if await self.router.first_read():
                    continue
                following = self._fallback(group.last or chosen.error(group.model, self.router.now()))
                if following is not None:
                    self.router.missed(group.candidates)
                    met.append(following)
                elif not await self._paused(group) and not await self._room(group, wait_until):
                    raise self._told(met, chosen)
                continue
            attempt = self._begin(chosen)
            group.tried.add(attempt.deployment.id)
            try:
                return await send(attempt)
            except Unfit as unfit:
                self._unfit(met, attempt, unfit)
                continue
            except SpillwayError as failure:
                self._failed(group, attempt, failure)
            except BaseException:
                attempt.end()
                raise
            if not self._may_go_on(group):
                following = self._fallback(group.failures[-1])
                if following is None:
                    raise self._told(met)
                met.append(following)

    def _begin(self, chosen: Chosen) -> Attempt:
        number, now = len(self.trail.attempts) + 1, self.router.now()
        reservation = chosen.state.reserve(now, chosen.tokens)
        entry = entry_id(self.trail.call_id, number)
        demand = self.demand.at(chosen.deployment)
        attempt = Attempt(entry, number, chosen.deployment, reservation, demand, self.router.now, now)
        self.trail.attempts.append(attempt)
        return attempt

    def _failed(self, group: Group, attempt: Attempt, failure: SpillwayError) -> None:
        """What a failure means for its deployment: its reservation, and whether it is left alone for a while."""
        group.failures.append(failure)
        attempt.failure = failure
        attempt.end()
        if isinstance(failure, RateLimited | UpstreamUnreachable | DeploymentNotFound):
            attempt.reservation.cancel()  # not sent, or not counted there
        if failure.replay is Replay.UNKNOWN:
            attempt.reservation.state.took(TIMED_OUT_S)
        self.router.failed(attempt.deployment, failure)

    def _unfit(self, met: Sequence[Group], attempt: Attempt, unfit: Unfit) -> None:
        """Nothing was sent, and only deployments of another kind are asked any more. Raises where there are none."""
        group = met[-1]
        attempt.reservation.cancel()
        group.candidates = [one for one in group.candidates if not unfit.means(one)]
        if group.candidates:
            self.trail.attempts.remove(attempt)
            return
        attempt.failure = unfit.failure
        raise self._told(met) if group.failures else unfit.failure

    def _may_go_on(self, group: Group) -> bool:
        """Whether the call may be sent again within its group. A rate limit is no failure, and costs no retry."""
        failure, rules = group.failures[-1], self.rules
        if not self._wanted():
            return False
        refused = isinstance(failure, BadRequest | NotFound)  # nothing was done, and a policy may know better
        asked_for = refused and retries_for(failure, rules.policy, 0) > 0
        if failure.replay not in rules.replay and not asked_for:
            return False
        retries = retries_for(failure, rules.policy, rules.retries)
        if isinstance(failure, RateLimited):
            return retries > 0
        counted = sum(not isinstance(one, RateLimited) for one in group.failures)
        # What was never sent multiplies nothing, so it takes nothing of the budget.
        return counted <= retries and (isinstance(failure, UpstreamUnreachable) or self.router.may_retry())

    def _fallback(self, failure: SpillwayError) -> Group | None:
        """The next model's deployments, where there is one for this failure and what was sent may be sent again."""
        if self.fallbacks is None or not self._wanted():
            return None
        if failure.replay in PERHAPS_DONE and failure.replay not in self.rules.replay:
            return None
        following = self.fallbacks.after(failure)
        return None if following is None else Group(*following)

    async def _paused(self, group: Group) -> bool:
        """A pause with jitter, after which those that failed are asked again; False where that is of no use."""
        last = group.last
        if not self.rules.again or last is None or isinstance(last, _NOT_AGAIN) or not self._wanted():
            return False
        if isinstance(self.router.choose(group.candidates, self.demand), Full):
            return False
        group.pauses += 1
        await self.sleep(backoff_s(group.pauses, self.router.random))
        group.tried.clear()
        return self._wanted()

    async def _room(self, group: Group, until: float) -> bool:
        """Waits for room where every deployment is full, no longer than `until`; False where there will be none."""
        router = self.router
        full = router.choose(group.candidates, self.demand)
        now = router.now()
        if isinstance(full, Full) and now < full.until <= until and router.may_wait() and self._wanted():
            with router.waiting():
                await self.sleep(full.until - now)
            group.tried.clear()
            return self._wanted()
        return False

    def _wanted(self) -> bool:
        return self.wanted() and len(self.trail.attempts) < ATTEMPTS_MAX

    def _told(self, met: Sequence[Group], full: Full | None = None) -> SpillwayError:
        """The failure that the client is told. `met`: the groups that were asked; `full`: why none of the last one's
        that were not asked could be.

        Where all of them are full that is told of the model that was asked for, with the soonest end of all.
        """
        asked, last = met[0], met[-1]
        told = most_telling(last.failures) if last.failures else None
        if told is not None and not isinstance(told, RateLimited):
            return told
        self.router.missed(last.candidates)
        now = [found for one in met if isinstance(found := self.router.choose(one.candidates, self.demand), Full)]
        if len(now) == len(met) and (told is None or len(last.candidates) > 1 or len(met) > 1):
            return now[0].error(asked.model, self.router.now(), min(one.until for one in now))
        if told is None and full is not None:
            return full.error(last.model, self.router.now())
        return told or Unavailable("The model is unavailable for the moment. Try again later.", retry_after_ms=1000)
