"""What the other instances use, and the share of what remains that this one may admit until it reads again. Pure.

Each instance's figures are as old as the moment at which this one first saw them: that needs no common clock, and
what they sent since is made up for by what stays in the windows so much longer. An instance's share goes by what it
wants, but is never taken as less than an equal part; the shares of all add up to one, so that between two reads they
admit together no more than what remains, with what is forgotten by then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.routing.figures import AGES, Figures, amounts, lanes, older
from shared.routing.limits import Grant
from shared.routing.state import DeploymentState
from shared.routing.windows import MINUTE_S, Windows

PRESENT_S = 15.0
"""An instance whose figures did not change for so long wants nothing."""
BURST_MARGIN = 0.025
"""Of what the others sent in ten seconds, kept free: a second between two reads is much of so short a window."""
RATE_S = 5
"""The others' pace is taken from so many seconds."""


@dataclass(slots=True)
class Peer:
    """Another instance: its figures by deployment, and when (seconds of this instance's clock) they were its latest."""

    at: float
    figures: Mapping[str, Figures]


@dataclass(slots=True)
class View:
    """What this instance knows of the others, by their ids."""

    peers: dict[str, Peer] = field(default_factory=dict)

    def publishable(self, states: Mapping[str, DeploymentState], now: float) -> list[Figures]:
        """This instance's own figures: the deployments that have any."""
        found: list[Figures] = []
        for id, state in states.items():
            own, wanted = state.own, state.wanted
            own.roll(now)
            wanted.roll(int(now))
            throttled_ms = max(0, round((state.throttled_until - now) * 1000)) if now < state.throttled_until else 0
            if own.minute.used or own.tokens.used or state.in_flight or wanted.used or throttled_ms:
                used = lanes(own.tokens.by_age(), own.minute.by_age())
                found.append(Figures(id, used, state.in_flight, wanted.used, throttled_ms))
        return found

    def apply(
        self,
        states: Mapping[str, DeploymentState],
        now: float,
        next_s: float,
        random: Callable[[], float],
        *,
        blind: bool = False,
    ) -> None:
        """Puts the others' use and this instance's grants into the states, until the next read in `next_s` seconds.

        `blind`: the others cannot be read any more; each instance then keeps to an equal part of the whole limit, of
        all that were there lately, for as long as that lasts.
        """
        self.peers = {id: peer for id, peer in self.peers.items() if blind or now - peer.at < AGES}
        present = [peer for peer in self.peers.values() if blind or now - peer.at < PRESENT_S]
        for id, state in states.items():
            state.roll(now)
            if not self.peers:
                state.all, state.peers_in_flight, state.peers_tokens_per_s = state.own, 0, 0.0
                state.throttle_peers(-math.inf)
                state.grant = Grant()
                continue
            wanted = self._fill(id, state, now)
            share = 1 / (1 + len(present)) if blind else share_of(state.wanted.used, wanted, len(present))
            state.grant = _Dealer(share, next_s, random, blind)(state, now)

    def _fill(self, id: str, state: DeploymentState, now: float) -> list[int]:
        """The sum of the others' figures, each as much older as it was seen before now; what each of those that are
        there wants."""
        used = in_flight = 0
        throttled_until = -math.inf
        wanted: list[int] = []
        by_age: dict[int, int] = {}
        for peer in self.peers.values():
            figures = peer.figures.get(id)
            if figures is None:
                continue
            age_s = int(now - peer.at)
            by_age[age_s] = by_age.get(age_s, 0) + figures.used
            if age_s < PRESENT_S:
                in_flight += figures.in_flight
                wanted.append(figures.wanted)
            if figures.throttled_ms:
                throttled_until = max(throttled_until, min(peer.at + figures.throttled_ms / 1000, now + MINUTE_S))
        for age_s, amount in by_age.items():
            used += older(amount, min(age_s, AGES))
        state.peers_in_flight = in_flight
        state.throttle_peers(throttled_until)
        if not used:
            state.all, state.peers_tokens_per_s = state.own, 0.0
            return wanted
        tokens, requests = amounts(used)
        if state.all is state.own:
            state.all = Windows()
        state.all.fill(now, state.own, tokens, requests)
        state.peers_tokens_per_s = sum(tokens[1 : RATE_S + 1]) / RATE_S
        return wanted


@dataclass(frozen=True, slots=True)
class _Dealer:
    """Deals an instance its share of what remains at one deployment, `lasts_s` seconds at a time. `blind`: of the whole
    limit, where the others cannot be read."""

    share: float
    lasts_s: float
    random: Callable[[], float]
    blind: bool

    def __call__(self, state: DeploymentState, now: float) -> Grant:
        if self.blind:
            grant = _blind_grant(state, self.share, self.random)
        else:
            grant = _grant(state, self.share, now, self.lasts_s, self.random)
        grant.until = now + self.lasts_s
        grant.renew = self
        return grant


def share_of(own: int, wanted: Sequence[int], others: int) -> float:
    """An instance's share of what remains at one deployment, of 1: by what it wants and what each of so many others
    does, who may want nothing, but each as if it wanted at least an equal part."""
    equal = 1 / (1 + others)
    every = own + sum(wanted)
    if not every:
        return equal
    floor = every * equal
    mine = max(own, floor)
    theirs = sum([one if one > floor else floor for one in wanted]) + floor * (others - len(wanted))
    return mine / (mine + theirs)


def _blind_grant(state: DeploymentState, share: float, random: Callable[[], float]) -> Grant:
    """Where the others cannot be read: a part of the whole limit."""
    own, grant = state.own, Grant()
    if state.tpm is not None:
        grant.tokens = max(0.0, state.tpm * share - own.tokens.used)
    if state.rpm is not None:
        grant.minute = _rounded(state.rpm * share - own.minute.used, random)
        grant.burst = _rounded(state.burst * share - own.burst.used, random)
    return grant


def _grant(state: DeploymentState, share: float, now: float, next_s: float, random: Callable[[], float]) -> Grant:
    """A part of what remains, with what is free by the next read."""
    used_tokens, used_minute, used_burst = state.used_in(next_s)
    left_tokens, left_requests = state.told_left(now)
    grant = Grant()
    if state.tpm is not None:
        left = min(state.tpm - used_tokens, left_tokens)
        grant.tokens = _lot(left * share, left, share, _call_tokens(state), random)
    if state.rpm is not None:
        grant.minute = _rounded(min(state.rpm - used_minute, left_requests) * share, random)
        unseen = (state.all.burst.used - state.own.burst.used) * BURST_MARGIN
        grant.burst = _rounded((state.burst - used_burst - unseen) * share, random)
    return grant


def _call_tokens(state: DeploymentState) -> float:
    """What a call takes there on average."""
    requests = state.own.minute.used
    return state.own.tokens.used / requests if requests else 0.0


def _lot(part: float, left: float, share: float, call: float, random: Callable[[], float]) -> float:
    """Where a part is too small for a single call, what is left is drawn for: each instance as often as its share."""
    if part >= call or left <= 0:
        return max(0.0, part)
    return left if random() < share else 0.0


def _rounded(part: float, random: Callable[[], float]) -> float:
    """Whole requests: what is over is drawn for, so that nothing is lost on average."""
    if part <= 0:
        return 0.0
    whole = math.floor(part)
    return float(whole + (random() < part - whole))
