"""Timer triggers: NCRONTAB schedules in UTC, one run of a timer at a time."""

from __future__ import annotations

import asyncio
import re
import sys
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from azure.functions.timer import TimerRequest
from croniter import croniter

from devtools.host.index import Function
from devtools.host.invoke import call
from devtools.host.routes import LoadError

_SETTING = re.compile(r"%([^%]+)%")
# A clock that the machine's owner sets, or sleep, is noticed this soon.
_NAP_S_MAX = 30.0


def resolve_schedule(schedule: str, environ: Mapping[str, str]) -> str:
    """`%SETTING%` replaced from the environment, checked as NCRONTAB: six fields, seconds first. Raises LoadError."""

    def setting(found: re.Match[str]) -> str:
        if found[1] not in environ:
            raise LoadError(f"the app setting '{found[1]}' of its schedule is not set")
        return environ[found[1]]

    resolved = _SETTING.sub(setting, schedule)
    if len(resolved.split()) != 6 or not croniter.is_valid(resolved, second_at_beginning=True):
        raise LoadError(f"'{resolved}' is not an NCRONTAB schedule of six fields")
    return resolved


def next_run(schedule: str, after: datetime) -> datetime:
    """The first moment of a resolved schedule later than `after`."""
    following: datetime = croniter(schedule, after, second_at_beginning=True).get_next(datetime)
    return following


class Timers:
    """The timers of one app. `problems` names those whose schedule the host would not load."""

    def __init__(self, functions: Iterable[Function], environ: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self._functions: dict[str, Function] = {}
        for function in functions:
            try:
                schedule = resolve_schedule(function.schedule, environ)
                self._functions[function.name.lower()] = replace(function, schedule=schedule)
            except LoadError as error:
                self.problems.append(f"The '{function.name}' function is in error: {error}.")
        self._locks = {name: asyncio.Lock() for name in self._functions}
        self._fired: set[asyncio.Task[None]] = set()

    def names(self) -> list[str]:
        return [function.name for function in self._functions.values()]

    def knows(self, name: str) -> bool:
        return name.lower() in self._functions

    def fire(self, name: str) -> asyncio.Task[None]:
        """Starts one run beside the schedule; it waits for a run that is under way."""
        task = asyncio.get_running_loop().create_task(self._run_once(self._functions[name.lower()]))
        self._fired.add(task)
        task.add_done_callback(self._fired.discard)
        return task

    async def run(self) -> None:
        """Runs every timer by its schedule until cancelled."""
        async with asyncio.TaskGroup() as group:
            for function in self._functions.values():
                group.create_task(self._follow(function))

    async def _follow(self, function: Function) -> None:
        if function.run_on_startup:
            await self._run_once(function)
        while True:
            due = next_run(function.schedule, datetime.now(UTC))
            await _sleep_until(due)
            await self._run_once(function)

    async def _run_once(self, function: Function) -> None:
        async with self._locks[function.name.lower()]:
            now = datetime.now(UTC)
            status = {"Last": now.isoformat(), "Next": next_run(function.schedule, now).isoformat()}
            request = TimerRequest(schedule_status=status, schedule={"AdjustForDST": True})
            try:
                await call(function, {function.parameter: request})
            except Exception:
                print(f"Exception in function {function.name}:", file=sys.stderr)
                traceback.print_exc()


async def _sleep_until(due: datetime) -> None:
    while (wait_s := (due - datetime.now(UTC)).total_seconds()) > 0:  # noqa: ASYNC110 - a clock sets no event
        await asyncio.sleep(min(wait_s, _NAP_S_MAX))
