"""Moves batches on, one step after the other: for the timer, and for callers who ask how far theirs is.

Any number of drivers may be at it, on any instances. One holds a batch while it works on it; whoever is killed is
followed by another within LEASE_S seconds. No step needs the one before it to have been acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from shared.batches import budget, machine, retention
from shared.batches.collector import Collector
from shared.batches.document import Batch
from shared.batches.machine import Step
from shared.batches.sender import Sender
from shared.batches.work import Lost, Means, Work
from shared.errors import SpillwayError, StorageFailed
from shared.files.identity import made_at

log = logging.getLogger("spillway")

AT_ONCE = 8
"""Batches of one run that are moved on at once."""
RUN_S = 210.0
"""No step begins later in a run; the longest, an upload, takes two minutes at most and mostly seconds."""
RUN_MAX_S = 240.0
STEPS_MAX = 100_000
_LONG = frozenset({"search", "read", "publish", "clean"})
"""Steps that two workers had better not do at once, though they may. Others say by themselves what they are about."""
_QUICK = frozenset({"ready", "poll", "cancel"})
"""Steps for which a batch need not be held: whoever does them too sees the same."""
ORPHAN_S = 600.0
"""An entry of `open` whose batch was not written by then never gets one."""


class Driver:
    """Moves batches on. Belongs to the running event loop."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._sender = Sender(means)
        self._collector = Collector(means)
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> int:
        """One run of the timer: every batch that is not over, for RUN_S at most. How many there are. Raises
        StorageFailed when that cannot be read."""
        means = self._means
        opened = await means.store.open()
        if not opened:
            return 0
        until = means.clock() + RUN_S
        waiting = iter(opened)

        async def some() -> None:
            for entry in waiting:
                if means.clock() >= until:
                    return
                await asyncio.wait({self.start(entry.id, until, by_timer=True)})

        tasks = {means.supervisor.start(some(), "batch") for _ in range(min(AT_ONCE, len(opened)))}
        _, late = await asyncio.wait(tasks, timeout=RUN_MAX_S)
        for task in (*late, *(self._under_way.values() if late else ())):
            task.cancel()
        return len(opened)

    def start(self, batch_id: str, until: float, *, by_timer: bool = False) -> asyncio.Task[None]:
        """Moves a batch on until nothing is due, or until then; the task that is at it already, when one is. It raises
        nothing. Raises Unavailable when this instance is full."""
        task = self._under_way.get(batch_id)
        if task is None:
            task = self._means.supervisor.start(self._moved(batch_id, until, by_timer), "batch")
            self._under_way[batch_id] = task
            task.add_done_callback(lambda _: self._under_way.pop(batch_id, None))
        return task

    async def _moved(self, batch_id: str, until: float, by_timer: bool) -> None:
        try:
            await self.move(batch_id, until, by_timer=by_timer)
        except Lost:
            log.info("a batch was taken over by another instance, or cancelled")
        except StorageFailed as error:
            log.warning("a batch could not be moved on (%s); the next run tries again", error.code)
        except SpillwayError:
            log.exception("a batch could not be moved on")
        except Exception:
            log.exception("a batch could not be moved on; the next run tries again")

    async def move(self, batch_id: str, until: float, *, by_timer: bool = False) -> None:
        """Moves a batch on until nothing is due, or until then. Raises Lost and StorageFailed.

        `by_timer`: where nothing is new, when to look again need not be written; the next run is later than that.
        """
        means = self._means
        found = await means.store.load(batch_id)
        if found is None:
            await self._forget(batch_id)
            return
        stored, etag = found
        now = means.clock()
        mine = machine.taken(stored, means.worker, now)
        if mine is None:
            return
        work = Work(means, stored, etag)
        work.batch = machine.settled(mine, now)
        if machine.next_step(work.batch, now).kind == "wait":
            return
        for _ in range(STEPS_MAX):
            now = means.clock()
            step = machine.next_step(work.batch, now)
            if step.kind == "close":
                await budget.end(means, work.batch)
                await retention.note(means, work.batch)
                await means.store.forget(work.batch.name)
                return
            if step.kind == "wait" or now >= until:
                break
            await self._do(work, step, until)
        if by_timer and not work.is_held and _but_for_times(work.batch) == _but_for_times(stored):
            return
        await work.save(machine.let_go(work.batch))

    async def _do(self, work: Work, step: Step, until: float) -> None:
        if step.kind in _LONG and not (work.is_held and work.is_stored):
            await work.save(work.batch)
        doing = self._doing(work, step, until)
        await (doing if step.kind in _QUICK else work.keeping(doing))

    async def _doing(self, work: Work, step: Step, until: float) -> None:
        sender, collector = self._sender, self._collector
        match step.kind:
            case "place":
                await sender.place(work, step.key)
            case "ready":
                await sender.ready(work, step.key)
            case "submit":
                await sender.submit(work, step.key)
            case "search":
                await sender.search(work, step.key)
            case "poll":
                await collector.poll(work, step.key)
            case "cancel":
                await collector.cancel(work, step.key)
            case "read":
                await collector.read(work, step.key, until)
            case "book":
                await budget.book(self._means, work)
            case "publish":
                await collector.publish(work)
            case "clean":
                await collector.clean(work, step.key)

    async def _forget(self, batch_id: str) -> None:
        """Removes the entry of a batch that was never written."""
        if self._means.clock() - made_at(batch_id) > ORPHAN_S:
            await budget.drop(self._means, batch_id)
            await self._means.store.forget(batch_id[-32:])


def _but_for_times(batch: Batch) -> Batch:
    """The batch without its holder, and without when its shards are looked at again."""
    return replace(machine.let_go(batch), shards=tuple(replace(one, due=0.0) for one in batch.shards))
