"""Tells the other instances what this one uses, and reads what they use: off the request path, about every second.

One row an instance in `spillwayusage`, written only when it changed. Nothing here is awaited by a request. Without an
answer from the table the instance serves on by its own windows and its share of each limit, and says that it does.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping

from shared.errors import SpillwayError
from shared.routing.figures import pack, unpack
from shared.routing.router import Router
from shared.routing.sharing import Peer, View
from shared.routing.state import DeploymentState
from shared.storage.tables import Row, Table

log = logging.getLogger("spillway")

TABLE = "spillwayusage"
PARTITION = "usage"
READ_S = 1.0
INSTANCES_PER_READ_S = 20
"""With more instances than these each reads more seldom, so that reading costs no more."""
ANSWER_S = 2.0
"""A table that does not answer in this time is not waited for."""
BLIND_AFTER_S = 5.0
"""Without an answer for so long, what the others use is no longer known."""
IDLE_S = 70.0
"""An instance that was asked for nothing for so long tells nothing and reads nothing, until it is."""
INSTANCES_MAX = 500
STALE_S = 3600.0
"""The row of an instance that was silent for so long is removed."""
SKEW_S = 2.0
PROPERTY_BYTES = 60_000
PROPERTIES_MAX = 12


class Peers:
    """The usage that instances share. `clock` gives Unix seconds, the router's clock goes forward.

    `run` is one life of the loop, for a supervisor that starts it again.
    """

    def __init__(self, table: Table, router: Router, instance: str, clock: Callable[[], float]) -> None:
        self._table = table
        self._router = router
        self._instance = instance
        self._clock = clock
        self._view = View()
        self._seen: dict[str, str] = {}
        self._told: tuple[int, bool] | None = None
        self._answered_at = router.now()
        self._active_at = -math.inf
        self._asked = 0
        router.share_state(lambda: self.blind, self._meet)

    @property
    def blind(self) -> bool:
        """Whether the others' figures can no longer be had."""
        return self._unanswered and not self._idle

    @property
    def interval_s(self) -> float:
        """Seconds between two reads."""
        return READ_S * max(1.0, (1 + len(self._view.peers)) / INSTANCES_PER_READ_S)

    async def run(self) -> None:
        """Shares for ever; an instance that nobody asks for anything waits for its next call."""
        while True:
            await self._until_asked()
            await self.turn()
            await asyncio.sleep(self.interval_s * (0.9 + 0.2 * self._router.random()))

    async def turn(self) -> None:
        """Writes what changed, reads the others, and grants itself its share. Raises nothing that storage does."""
        router = self._router
        self._notice()
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._write()
                await self._read()
        except (SpillwayError, TimeoutError) as error:
            if not self.blind:
                log.warning("usage is not shared: the storage account does not answer (%s)", type(error).__name__)
        self._apply(router.states)
        router.was_read()

    async def close(self) -> None:
        """Lets the table go."""
        await self._table.close()

    async def _until_asked(self) -> None:
        self._notice()
        while self._idle:
            await self._router.next_call()
            self._notice()

    @property
    def _idle(self) -> bool:
        return self._router.now() - self._active_at >= IDLE_S

    @property
    def _unanswered(self) -> bool:
        return self._router.now() - self._answered_at > BLIND_AFTER_S

    def _notice(self) -> None:
        """Whether the instance was asked for anything; an idle one did not ask the table, which owes it no answer."""
        router = self._router
        if router.asked != self._asked or router.under_way:
            if self._idle:
                self._answered_at = router.now()
            self._asked = router.asked
            self._active_at = router.now()

    def _meet(self, id: str, state: DeploymentState) -> None:
        """A deployment that this instance was never asked for may be in use by the others."""
        self._apply({id: state})

    def _apply(self, states: Mapping[str, DeploymentState]) -> None:
        self._view.apply(states, self._router.now(), self.interval_s, self._router.random, blind=self._unanswered)

    async def _write(self) -> None:
        now = self._router.now()
        states = self._router.states.values()
        for state in states:
            state.wanted.roll(int(now))
        told = (sum(state.changes for state in states), any(state.wanted.used for state in states))
        if told == self._told:  # what there is has merely grown older, which the others know
            return
        packed = pack(self._view.publishable(self._router.states, now))
        properties: dict[str, str | int | float | bool | bytes] = {"written_at": self._clock()}
        for number, start in enumerate(range(0, len(packed), PROPERTY_BYTES)):
            if number == PROPERTIES_MAX:
                log.error("usage is not shared: it needs more than %s bytes", PROPERTIES_MAX * PROPERTY_BYTES)
                return
            properties[f"p{number}"] = packed[start : start + PROPERTY_BYTES]
        await self._table.put(Row(PARTITION, self._instance, properties))
        self._told = told

    async def _read(self) -> None:
        rows = await self._table.rows(PARTITION, INSTANCES_MAX)
        now, wall = self._router.now(), self._clock()
        self._answered_at = now
        for row in rows:
            if row.key == self._instance or self._seen.get(row.key) == row.etag:
                continue
            age_s = 0.0
            if row.key not in self._view.peers:  # it may be old: its writer's clock is believed, but for its skew
                age_s = max(0.0, wall - float(row.properties.get("written_at", wall)) - SKEW_S)
            self._seen[row.key] = row.etag
            if age_s > STALE_S:
                await self._table.remove(PARTITION, row.key)
                continue
            packed = b"".join(part for name in _PARTS if isinstance(part := row.properties.get(name, b""), bytes))
            self._view.peers[row.key] = Peer(now - age_s, {one.deployment_id: one for one in unpack(packed)})
        there = {row.key for row in rows}
        self._seen = {key: etag for key, etag in self._seen.items() if key in there}


_PARTS = tuple(f"p{number}" for number in range(PROPERTIES_MAX))
