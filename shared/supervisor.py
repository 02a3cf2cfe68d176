"""Owns every task that outlives the line which started it (DESIGN §3): named, bounded, restarted, ended.

asyncio keeps only weak references to tasks; a task nobody holds may vanish in the middle. Nothing here needs a
clean shutdown: the worker is killed, and what must be kept was committed before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from shared.errors import SpillwayError, Unavailable

log = logging.getLogger("spillway")
T = TypeVar("T")


class Supervisor:
    """Starts and holds tasks. Not shared between event loops."""

    def __init__(self, tasks_max: int = 10_000) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._kept = 0
        self.tasks_max = tasks_max

    def __len__(self) -> int:
        """Tasks that soon end by themselves."""
        return len(self._tasks) - self._kept

    def start(self, work: Coroutine[Any, Any, T], name: str, *, standing: bool = False) -> asyncio.Task[T]:
        """Runs `work` in a task that is held until it ends; a failure that is no SpillwayError is logged. It is not
        counted when it is `standing`: then it outlives, by its nature, what started it.

        Raises Unavailable (503) when `tasks_max` tasks are under way.
        """
        if len(self) >= self.tasks_max:
            work.close()
            raise Unavailable("Too many calls are under way on this instance.", retry_after_ms=1000)
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        if standing:
            self._kept += 1
            task.add_done_callback(self._let_go)
        return task

    def keep(self, work: Callable[[], Coroutine[Any, Any, None]], name: str, *, pause_s: float = 1.0) -> None:
        """Runs `work()` for ever: when it fails it is logged and started again `pause_s` seconds later."""
        self.start(self._forever(work, name, pause_s), name, standing=True)

    async def close(self) -> None:
        """Cancels everything and waits for it; for hosts and tests that do end in good order."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _forever(self, work: Callable[[], Coroutine[Any, Any, None]], name: str, pause_s: float) -> None:
        while True:
            try:
                await work()
            except Exception:
                log.exception("background task %s failed; it starts again in %s s", name, pause_s)
            await asyncio.sleep(pause_s)

    def _let_go(self, task: asyncio.Task[Any]) -> None:
        self._kept -= 1

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()  # seen: whoever awaits the task still gets it
        if error is not None and not isinstance(error, SpillwayError):
            log.error("task %s failed", task.get_name(), exc_info=error)


async def renewing(effect: Awaitable[T], renew: Callable[[], Awaitable[None]], every_s: float) -> T:
    """What `effect` gives; meanwhile `renew` is called every `every_s` seconds. Raises what either raises; when `renew`
    raises, or the caller is cancelled, the effect is cancelled and has ended before this returns."""
    task = asyncio.ensure_future(effect)
    try:
        while True:
            done, _ = await asyncio.wait({task}, timeout=every_s)
            if done:
                return task.result()
            await renew()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
