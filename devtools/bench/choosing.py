"""The time that choosing a route takes, and what sharing usage costs, without sockets."""

from __future__ import annotations

import random
import time
import timeit

import click

from shared import config
from shared.config import Match
from shared.routing.estimates import Demand
from shared.routing.figures import AGES, Figures, lanes, pack, unpack
from shared.routing.router import Router
from shared.routing.selection import Full
from shared.routing.sharing import Peer, View
from shared.upstream.credentials import api_key
from shared.upstream.deployment import Deployment, deployment_of
from shared.upstream.endpoint import of_entry

DEMAND = Demand(100, 50)


@click.command()
@click.option("--deployments", default=20, show_default=True, help="Deployments of one model.")
@click.option("--instances", default=50, show_default=True, help="Instances that share their usage.")
@click.option("--shared", default=50, show_default=True, help="Deployments that each of these uses.")
def main(deployments: int, instances: int, shared: int) -> None:
    """Choosing a route, and reading what the other instances use (Azure's table library not included)."""
    router = _router(deployments)
    group = router.group("m")

    def once() -> None:
        chosen = router.choose(group, DEMAND)
        assert not isinstance(chosen, Full)
        chosen.state.reserve(router.now(), chosen.tokens).end()

    took = min(timeit.repeat(once, number=2000, repeat=7)) / 2000
    print(f"choosing among {deployments} deployments and reserving: {took * 1e6:.1f} µs")
    router = _router(shared)
    states = {one.id: router.state(one) for one in router.group("m")}
    rows = [pack(_figures(id) for id in states) for _ in range(instances - 1)]
    view = View()

    def turn() -> None:
        now = router.now()
        pack(view.publishable(states, now))
        for number, row in enumerate(rows):
            view.peers[str(number)] = Peer(now, {one.deployment_id: one for one in unpack(row)})
        view.apply(states, now, 1.0, random.random)

    took = min(timeit.repeat(turn, number=3, repeat=5)) / 3
    interval_s = max(1.0, instances / 20)
    print(
        f"one turn of sharing, {instances} instances x {shared} deployments, every row changed: {took * 1e3:.1f} ms, "
        f"every {interval_s:g} s: {100 * took / interval_s:.2f} % of a core"
    )


def _figures(id: str) -> Figures:
    amounts = [random.randrange(1000) for _ in range(AGES)]
    return Figures(id, lanes(amounts), lanes([amount // 100 for amount in amounts]), 3, 10)


def _router(deployments: int) -> Router:
    entries = "".join(
        f"  - model_name: m\n    litellm_params: {{model: azure/d{number}, api_base: 'https://r{number}.openai.azure.com',"
        " api_key: k, tpm: 1000000000, rpm: 100000000}\n"
        for number in range(deployments)
    )

    def build(match: Match) -> Deployment:
        return deployment_of(match, of_entry(match.entry)[0], api_key("k", bearer=False))

    return Router(config.parse(f"model_list:\n{entries}", {}), build, time.monotonic, random.random)
