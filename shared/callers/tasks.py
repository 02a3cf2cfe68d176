"""Money that is set aside for what goes on without an instance: batches and fine-tuning jobs, in their key's row.

A task is begun before what it stands for is made, told what that has cost by now, as a sum, and ended. Each may be
done twice, late, or by two at once: a sum that is known already, and anything of a task that has ended, change
nothing. So what is entered is exactly what the last sum said, whoever was killed where.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from shared.callers.exceeded import exceeded
from shared.callers.key_store import KeyStore, shares_place
from shared.callers.shares import BUDGET, EMPTY, Shares, pots_of
from shared.callers.shares_row import read, written
from shared.callers.virtual_key import VirtualKey
from shared.callers.wallet import IDLE_S, PAUSE_S, TRIES
from shared.errors import NotFound, StorageFailed
from shared.storage.tables import Table

WAIT_S = IDLE_S + 1.0
"""What instances hold and do not need comes back within IDLE_S."""
ASK_S = 0.2
CALLS, TASKS = "calls under way", "batches and fine-tuning jobs"
Change = Callable[[Shares, VirtualKey], Shares]


class Tasks:
    """The tasks of all keys. `clock` gives seconds since 1970. Every method raises StorageFailed."""

    def __init__(
        self,
        table: Table,
        store: KeyStore,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._table = table
        self._store = store
        self._clock = clock
        self._sleep = sleep

    async def begin(self, key: VirtualKey, task: str, amount: int) -> None:
        """Sets picodollars aside for a task. Raises BudgetExceeded, after which nothing is."""
        waited = tries = 0.0
        while True:
            row = await self._table.get(shares_place(key.key_id), key.key_id)
            shares = EMPTY if row is None else read(row)
            if task in shares.tasks:
                return
            now = self._clock()
            pot = pots_of(key, now)[BUDGET]
            if pot.limit is not None:
                left = pot.limit - shares.spent(BUDGET, pot)
                if left < amount or not left:
                    raise exceeded(key, now, left, amount)
                if left - shares.kept < amount:
                    raise exceeded(key, now, left, amount, TASKS)
                if left - shares.held(BUDGET, pot, now) < amount:
                    if waited >= WAIT_S:
                        raise exceeded(key, now, left, amount, CALLS)
                    await self._sleep(ASK_S)
                    waited += ASK_S
                    continue
            new = written(key.key_id, shares.begun(task, amount))
            if row is None and await self._table.insert(new):
                return
            if row is not None and await self._table.swap(new, row.etag) is not None:
                return
            tries += 1
            await self._pause(tries)

    async def book(self, key_id: str, task: str, cost: int, *, whole: bool) -> None:
        """The task has cost so many picodollars by now; `whole`: hardly more will follow, nothing is held for it."""
        await self._change(
            key_id, task, lambda shares, key: shares.booked(task, pots_of(key, self._clock())[BUDGET], cost, whole)
        )

    async def end(self, key_id: str, task: str, cost: int) -> None:
        """The task is over, and has cost so much."""

        def ended(shares: Shares, key: VirtualKey) -> Shares:
            pots = pots_of(key, self._clock())
            return shares.booked(task, pots[BUDGET], cost, whole=True).ended(task, pots)

        await self._change(key_id, task, ended)

    async def _change(self, key_id: str, task: str, change: Change) -> None:
        tries = 0.0
        while True:
            row = await self._table.get(shares_place(key_id), key_id)
            shares = EMPTY if row is None else read(row)
            if row is None or task not in shares.tasks:
                return
            try:
                key = await self._store.get(key_id)
            except NotFound:
                return
            new = change(shares, key)
            if new == shares or await self._table.swap(written(key_id, new), row.etag) is not None:
                return
            tries += 1
            await self._pause(tries)

    async def _pause(self, tries: float) -> None:
        if tries >= TRIES:
            raise StorageFailed("The row of this key is being written all the time.", retry_after_ms=1000)
        await self._sleep(PAUSE_S * tries * random.random())  # noqa: S311 - no secret
