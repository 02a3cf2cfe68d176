"""Instances of one configuration that share a table, a clock that a test moves, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shared import config
from shared.config import Match
from shared.routing.estimates import Demand
from shared.routing.peers import Peers
from shared.routing.router import Router
from shared.routing.selection import Full
from shared.routing.state import DeploymentState, Reservation
from shared.upstream.credentials import api_key
from shared.upstream.deployment import Deployment, deployment_of
from shared.upstream.endpoint import of_entry
from tests.memory_table import MemoryTable, Rows

WALL = 1_800_000_000.0
"""Unix time when the fleet's clock is 0."""


class Clock:
    """Seconds, until it is moved always the same."""

    def __init__(self) -> None:
        self.now = 1000.25

    def __call__(self) -> float:
        return self.now


@dataclass
class Instance:
    """One instance: its router, its side of the sharing, its client of the table."""

    router: Router
    peers: Peers
    table: MemoryTable

    def state(self, model: str = "m") -> DeploymentState:
        """What it knows of the model's first deployment."""
        return self.router.state(self.router.group(model)[0])

    def ask(self, tokens: int = 1, model: str = "m") -> Reservation | Full:
        """One call of so many tokens: where it went, or why nowhere."""
        self.router.called()
        candidates = self.router.group(model)
        chosen = self.router.choose(candidates, Demand(tokens, 0, output=False))
        if isinstance(chosen, Full):
            self.router.missed(candidates)
            return chosen
        return chosen.state.reserve(self.router.now(), chosen.tokens)

    def asks(self, count: int, tokens: int = 1, model: str = "m") -> int:
        """How many of `count` calls were admitted; each ends at once."""
        admitted = 0
        for _ in range(count):
            made = self.ask(tokens, model)
            if isinstance(made, Reservation):
                made.end()
                admitted += 1
        return admitted


@dataclass
class Fleet:
    """`deployments` are lines such as `m: {tpm: 1000}`: a model, and the parameters of its only deployment."""

    deployments: Sequence[str] = ("m: {rpm: 60}",)
    clock: Clock = field(default_factory=Clock)
    rows: Rows = field(default_factory=Rows)
    instances: list[Instance] = field(default_factory=list)
    started: int = 0

    def new(self, skew_s: float = 0.0, after: Callable[[str], None] = lambda what: None) -> Instance:
        """One more instance, whose wall clock is wrong by `skew_s`; it has read nothing yet."""
        number = self.started
        self.started += 1
        chance = random.Random(number)  # noqa: S311
        router = Router(config.parse(self._text(), {}), _build, self.clock, chance.random)
        self.rows.clock = lambda: WALL + self.clock.now
        table = MemoryTable(self.rows, after=after)
        peers = Peers(table, router, f"i{number}", lambda: WALL + self.clock.now + skew_s)
        made = Instance(router, peers, table)
        self.instances.append(made)
        return made

    async def turns(self, seconds: int = 1) -> None:
        """So many seconds pass, in each of which every instance writes and reads once, one after another."""
        for _ in range(seconds):
            self.clock.now += 1
            for one in self.instances:
                await one.peers.turn()

    def _text(self) -> str:
        parts = [line.partition(":") for line in self.deployments]
        return "model_list:\n" + "".join(
            f"  - model_name: {model}\n    litellm_params: {params.strip()[:-1]}, model: azure/{model},"
            " api_base: 'https://r.openai.azure.com', api_key: k}\n"
            for model, _, params in parts
        )


def _build(match: Match) -> Deployment:
    return deployment_of(match, of_entry(match.entry)[0], api_key("k", bearer=False))
