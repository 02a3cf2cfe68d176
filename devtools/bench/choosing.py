"""The time that choosing a route takes, without sockets: from a parsed call to its reservation. And what of it a client
notices where all are full: the time of a 429 over sockets."""

from __future__ import annotations

import random
import time
import timeit
from collections.abc import Callable

import click

from devtools.bench.refused import refused_ms, told
from shared import config
from shared.config import Match
from shared.routing.estimates import Demand
from shared.routing.figures import AGES, Figures, lanes
from shared.routing.filters import Asked
from shared.routing.router import Router
from shared.routing.selection import Full
from shared.routing.sharing import Peer, View
from shared.upstream.credentials import api_key
from shared.upstream.deployment import Deployment, deployment_of
from shared.upstream.endpoint import of_entry

DEMAND = Demand(100, 50)
ASKED = Asked()
CHAT, AZURE = frozenset({"chat"}), frozenset({"azure"})
CALLS, REPEATS = 100, 200
STEP_S = 0.01
"""Between two calls under load: at 100 calls a second a window moves on with every tenth of them."""


class Clock:
    """Seconds that pass only when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@click.command()
@click.option("--deployments", default=20, show_default=True, help="Deployments of one model.")
@click.option("--refusals", default=1000, show_default=True, help="Calls over sockets that are refused; 0 for none.")
def main(deployments: int, refusals: int) -> None:
    """Choosing a route: candidates, filters, limits, order, strategy, reservation; and a refusal over sockets."""
    print(f"choosing among {deployments} deployments and reserving, of {REPEATS} x {CALLS} calls the fastest {CALLS}:")
    for name, once in (
        ("nothing used yet", _idle(deployments)),
        ("all in use, by others too, time moving on", _under_load(deployments)),
        ("all full: the 429 with its reasons", _full(deployments)),
    ):
        print(f"  {name:42} {_microseconds(once):6.1f} µs")
    if refusals:
        took = refused_ms(deployments, refusals)
        print(
            f"{refusals} calls one after another that are refused, all {deployments} being full, as a client sees them:"
        )
        print(f"  {told(took)}")


def _microseconds(once: Callable[[], None]) -> float:
    """Processor time of one call. Others on the machine slow it down, so the fastest of many repeats is taken."""
    once()
    return min(timeit.repeat(once, timer=time.process_time, number=CALLS, repeat=REPEATS)) / CALLS * 1e6


def _idle(deployments: int) -> Callable[[], None]:
    found, _ = router(deployments)

    def once() -> None:
        _choose(found)

    return once


def _under_load(deployments: int) -> Callable[[], None]:
    found, clock = router(deployments)
    states = {one.id: found.state(one) for one in found.group("m")}
    view = View()
    view.peers["other"] = Peer(clock(), {id: figures(id) for id in states})
    for _ in range(200 * deployments):
        clock.now += STEP_S / 10
        _choose(found)
    view.apply(states, clock(), 1.0, random.random)
    for state in states.values():
        state.grant.tokens = state.grant.minute = state.grant.burst = 1e12

    def once() -> None:
        clock.now += STEP_S
        _choose(found)

    return once


def _full(deployments: int) -> Callable[[], None]:
    found, clock = router(deployments, limits="tpm: 100000, rpm: 600")
    for _ in range(deployments * 100):
        clock.now += STEP_S
        candidates = found.candidates("m", CHAT, AZURE)
        chosen = found.choose(candidates, DEMAND)
        if not isinstance(chosen, Full):
            chosen.state.reserve(clock(), 1000).end()
    for one in found.group("m"):
        found.state(one).reserve(clock(), 100_000)

    def once() -> None:
        chosen = found.choose(found.candidates("m", CHAT, AZURE), DEMAND)
        assert isinstance(chosen, Full)
        chosen.error("m", clock())

    return once


def _choose(found: Router) -> None:
    candidates = found.kept(found.candidates("m", CHAT, AZURE), ASKED, DEMAND).deployments
    chosen = found.choose(candidates, DEMAND)
    assert not isinstance(chosen, Full)
    chosen.state.reserve(found.now(), chosen.tokens).end()


def figures(id: str) -> Figures:
    """What an instance has used of a deployment, in every second something."""
    amounts = [random.randrange(1000) for _ in range(AGES)]
    return Figures(id, lanes(amounts, [amount // 100 for amount in amounts]), 3, 10)


def router(deployments: int, limits: str = "tpm: 1000000000, rpm: 100000000") -> tuple[Router, Clock]:
    """A router of one model with so many deployments, and its clock."""
    entries = "".join(
        f"  - model_name: m\n    litellm_params: {{model: azure/d{number}, api_base: 'https://r{number}.openai.azure.com',"
        f" api_key: k, {limits}}}\n"
        for number in range(deployments)
    )

    def build(match: Match) -> Deployment:
        return deployment_of(match, of_entry(match.entry)[0], api_key("k", bearer=False))

    clock = Clock()
    return Router(config.parse(f"model_list:\n{entries}", {}), build, clock, random.random), clock
