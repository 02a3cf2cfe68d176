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
FIRST_LOOK_S = 120.0
"""How far back the first read looks, by this machine's clock; later ones go by the service's."""
OVERLAP_S = 2.0
"""Each read looks so far behind the newest row it knows: the service's clock may not be one."""
CLEAN_S = 600.0
STALE_S = 3600.0
"""The row of an instance that was silent for so long is removed, which is looked after every CLEAN_S."""
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
        self._newest: float | None = None
        self._clean_at = router.now() + CLEAN_S * router.random()
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
                await self._clean()
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
        properties: dict[str, str | int | float | bool | bytes] = {}
        for number, start in enumerate(range(0, len(packed), PROPERTY_BYTES)):
            if number == PROPERTIES_MAX:
                log.error("usage is not shared: it needs more than %s bytes", PROPERTIES_MAX * PROPERTY_BYTES)
                return
            properties[f"p{number}"] = packed[start : start + PROPERTY_BYTES]
        await self._table.put(Row(PARTITION, self._instance, properties))
        self._told = told

    async def _read(self) -> None:
        """Reads what changed since the newest row that is known; the rows of dead instances stay where they are."""
        since = self._clock() - FIRST_LOOK_S if self._newest is None else self._newest - OVERLAP_S
        rows = await self._table.rows(PARTITION, INSTANCES_MAX, changed_since=since)
        if self._newest is None and not any(row.key == self._instance for row in rows):
            # Not even the row that was just written: this machine's clock is far off.
            rows = await self._table.rows(PARTITION, INSTANCES_MAX)
        now, peers = self._router.now(), self._view.peers
        self._answered_at = now
        newest = max((row.changed_at for row in rows), default=0.0)
        self._newest = max(newest, self._newest or 0.0) or None
        for row in rows:
            if row.key == self._instance or self._seen.get(row.key) == row.etag:
                continue
            # One that is not known may be old; what a known one did since its last is counted as done just now.
            age_s = 0.0 if row.key in peers else max(0.0, newest - row.changed_at)
            self._seen[row.key] = row.etag
            packed = b"".join(part for name in _PARTS if isinstance(part := row.properties.get(name, b""), bytes))
            peers[row.key] = Peer(now - age_s, {one.deployment_id: one for one in unpack(packed)})
        there = {row.key for row in rows}
        self._seen = {key: etag for key, etag in self._seen.items() if key in there or key in peers}

    async def _clean(self) -> None:
        """Removes the rows of instances that are long gone."""
        now = self._router.now()
        if now < self._clean_at or self._newest is None:
            return
        self._clean_at = now + CLEAN_S
        rows = await self._table.rows(PARTITION, INSTANCES_MAX)
        stale = [row.key for row in rows if row.changed_at < self._newest - STALE_S and row.key != self._instance]
        if stale:
            await self._table.remove_all(PARTITION, stale)


_PARTS = tuple(f"p{number}" for number in range(PROPERTIES_MAX))
