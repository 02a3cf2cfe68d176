"""Takes up a configuration that has changed: new calls go to a new gateway, calls under way end where they began.

    look (RELOAD_S) ─ unchanged ──────────────────────────── look again
                    ─ cannot be read, or is wrong ────────── the last good one stays; the log and /health say so
                    ─ changed ─ a gateway of it serves ───── the former one is closed once its longest call has ended

What the former gateway counted for the windows is to the new one what another instance counted: it stands in the usage
table. Without a storage account the windows begin anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from shared.errors import ConfigError, SpillwayError
from shared.operations.health import Health
from shared.plan import Plan, use
from shared.settings import Settings
from shared.supervisor import Supervisor

log = logging.getLogger("spillway")

RELOAD_S = 30.0
"""Between two looks; each is one conditional GET."""
GRACE_S = 60.0
"""What a call may still have to write after its longest stream."""
FORMER_MAX = 8
"""Gateways that wait for their calls to end. With as many, a further change waits too."""


class Served(Protocol):
    """What this needs of a gateway."""

    supervisor: Supervisor
    health: Health
    settings: Settings

    async def close(self) -> None:
        """Ends everything that runs."""


class Reload:
    """Looks after the plan of one gateway. `take` builds and installs the gateway of a new plan, or raises.

    `former` are the gateways that wait for their end, shared by all that came one after the other.
    """

    def __init__(self, served: Served, plan: Plan, take: Callable[[Plan], Served], former: set[Served]) -> None:
        self._served = served
        self._plan = plan
        self._take = take
        self._former = former
        self._wrong: str | None = None
        self._unread: str | None = None

    @property
    def problem(self) -> str | None:
        """Why what is served is not what is written, None when it is."""
        return self._wrong or self._unread

    async def run(self) -> None:
        """Looks until another gateway serves, and then does nothing more; runs until it is cancelled."""
        while True:
            await asyncio.sleep(RELOAD_S)
            plan = await self._look() if len(self._former) < FORMER_MAX else None
            if plan is not None and self._taken(plan):
                break
        await asyncio.Event().wait()

    async def _look(self) -> Plan | None:
        assert self._plan.again is not None
        try:
            plan = await asyncio.to_thread(self._plan.again)
        except ConfigError as error:
            self._unread, self._wrong = None, self._stays("; ".join(error.problems))
        except SpillwayError as error:
            self._unread = self._stays(error.message)
        except Exception as error:
            log.exception("the changed configuration could not be read")
            self._wrong = self._stays(f"{type(error).__name__}, see the log")
        else:
            self._unread = None
            return plan
        return None

    def _taken(self, plan: Plan) -> bool:
        """Whether another gateway serves from now on."""
        try:
            new = self._take(plan)
        except Exception as error:
            log.exception("the changed configuration could not be taken up")
            self._wrong = self._stays(f"{type(error).__name__}, see the log")
            return False
        use(plan)
        log.warning("the configuration has changed: %d deployments are written in it", len(plan.config.entries))
        watch(new, plan, self._take, self._former)
        self._former.add(self._served)
        new.supervisor.start(_ended(self._served, self._former), "the end of the former gateway")
        return True

    def _stays(self, problem: str) -> str:
        if problem not in (self._wrong, self._unread):
            log.error("the configuration as it is now is not taken up, the last good one stays: %s", problem)
        return problem


def watch(served: Served, plan: Plan, take: Callable[[Plan], Served], former: set[Served] | None = None) -> None:
    """Keeps looking whether the configuration of `served` has changed, where it can."""
    if plan.again is not None:
        reload = Reload(served, plan, take, set() if former is None else former)
        served.health.configuration_problem = lambda: reload.problem
        served.supervisor.keep(reload.run, "configuration")


async def _ended(served: Served, former: set[Served]) -> None:
    """Closes a gateway that gets no more calls, once its longest can have ended, or at once when the host ends."""
    try:
        await asyncio.sleep(served.settings.stream_total_s + GRACE_S)
    finally:
        former.discard(served)
        await served.close()
