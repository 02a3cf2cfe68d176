"""What the other instances use, and the share of what remains that this one may admit until it reads again. Pure.

Each instance's figures are as old as the moment at which this one first saw them: that needs no common clock, and
what they sent since is made up for by what stays in the windows so much longer. An instance's share goes by what it
wants, but is never taken as less than an equal part; the shares of all add up to one, so that between two reads they
admit together no more than what remains, with what is forgotten by then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.routing.figures import AGES, Figures, amounts, lanes, older
from shared.routing.limits import Grant
from shared.routing.state import DeploymentState
from shared.routing.windows import MINUTE_S, Windows

PRESENT_S = 15.0
"""An instance whose figures did not change for so long wants nothing."""
BURST_MARGIN = 0.02
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
                tokens, requests = lanes(own.tokens.by_age()), lanes(own.minute.by_age())
                found.append(Figures(id, tokens, requests, state.in_flight, wanted.used, throttled_ms))
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
            self._fill(id, state, now)
            state.grant = self._grant(id, state, present, now, next_s, random, blind)

    def _fill(self, id: str, state: DeploymentState, now: float) -> None:
        """The sum of the others' figures, each as much older as it was seen before now."""
        tokens = requests = in_flight = 0
        throttled_until = -math.inf
        for peer in self.peers.values():
            figures = peer.figures.get(id)
            if figures is None:
                continue
            age_s = int(now - peer.at)
            if age_s < AGES:
                tokens += older(figures.tokens, age_s)
                requests += older(figures.requests, age_s)
            if age_s < PRESENT_S:
                in_flight += figures.in_flight
            if figures.throttled_ms:
                throttled_until = max(throttled_until, min(peer.at + figures.throttled_ms / 1000, now + MINUTE_S))
        state.peers_in_flight = in_flight
        state.throttle_peers(throttled_until)
        if not tokens and not requests:
            state.all, state.peers_tokens_per_s = state.own, 0.0
            return
        by_age = amounts(tokens)
        if state.all is state.own:
            state.all = Windows()
        state.all.fill(now, state.own, by_age, amounts(requests))
        state.peers_tokens_per_s = sum(by_age[1 : RATE_S + 1]) / RATE_S

    def _grant(
        self,
        id: str,
        state: DeploymentState,
        present: list[Peer],
        now: float,
        next_s: float,
        random: Callable[[], float],
        blind: bool,
    ) -> Grant:
        share = 1 / (1 + len(present)) if blind else self.share(id, state, present, now)
        used_tokens, used_minute, used_burst = state.used_in(next_s)  # what is free by the next read is shared too
        own = state.own
        grant = Grant(until=now + next_s)
        left_tokens, left_requests = state.told_left(now)
        if state.tpm is not None:
            left = state.tpm - used_tokens
            if blind:
                grant.tokens = max(0.0, state.tpm * share - own.tokens.used)
            else:
                open_tokens = min(left, left_tokens)
                grant.tokens = _lot(open_tokens * share, open_tokens, share, _call_tokens(state), random)
        if state.rpm is not None:
            if blind:
                grant.minute = _rounded(state.rpm * share - own.minute.used, random)
                grant.burst = _rounded(state.burst * share - own.burst.used, random)
            else:
                grant.minute = _rounded(min(state.rpm - used_minute, left_requests) * share, random)
                unseen = (state.all.burst.used - own.burst.used) * BURST_MARGIN
                grant.burst = _rounded((state.burst - used_burst - unseen) * share, random)
        return grant

    def share(self, id: str, state: DeploymentState, present: list[Peer], now: float) -> float:
        """This instance's share of what remains at one deployment, of 1."""
        equal = 1 / (1 + len(present))
        wanted = [peer.figures[id].wanted if id in peer.figures else 0 for peer in present]
        own = state.wanted.used
        all_wanted = own + sum(wanted)
        if not all_wanted:
            return equal
        mine = max(own / all_wanted, equal)
        return mine / (mine + sum(max(one / all_wanted, equal) for one in wanted))


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
