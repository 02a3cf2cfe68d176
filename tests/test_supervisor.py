from __future__ import annotations

import asyncio
import gc
import inspect
import logging

import pytest

from shared.errors import Unavailable
from shared.supervisor import Supervisor, renewing


async def test_what_it_starts_is_held_until_it_ends() -> None:
    supervisor, go = Supervisor(), asyncio.Event()
    ended: list[bool] = []

    async def work() -> None:
        await go.wait()
        ended.append(True)

    supervisor.start(work(), "work")
    await asyncio.sleep(0)
    gc.collect()
    go.set()
    await asyncio.sleep(0.01)
    assert ended == [True]


async def test_what_has_ended_is_let_go() -> None:
    supervisor = Supervisor()
    await supervisor.start(asyncio.sleep(0), "work")
    assert len(supervisor) == 0


async def test_what_stands_by_its_nature_is_not_counted_and_let_go_all_the_same() -> None:
    supervisor = Supervisor(tasks_max=1)
    standing = supervisor.start(asyncio.sleep(0), "standing", standing=True)
    assert len(supervisor) == 0
    await supervisor.start(asyncio.sleep(0), "work")
    await standing
    assert len(supervisor) == 0


async def test_a_result_comes_back() -> None:
    assert await Supervisor().start(asyncio.sleep(0, "done"), "work") == "done"


async def test_a_failure_comes_back_to_whoever_awaits() -> None:
    with pytest.raises(ValueError, match="broken"):
        await Supervisor().start(failing(), "work")


async def test_one_task_too_many_is_refused() -> None:
    supervisor = Supervisor(tasks_max=1)
    supervisor.start(asyncio.sleep(10), "first")
    with pytest.raises(Unavailable) as caught:
        supervisor.start(asyncio.sleep(0), "second")
    await supervisor.close()
    assert caught.value.retry_after_ms == 1000


async def test_a_refused_task_leaves_no_coroutine_behind() -> None:
    supervisor, refused = Supervisor(tasks_max=0), failing()
    with pytest.raises(Unavailable):
        supervisor.start(refused, "work")
    assert inspect.getcoroutinestate(refused) == inspect.CORO_CLOSED


async def test_closing_cancels_everything_and_waits_for_it() -> None:
    supervisor = Supervisor()
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0)
            ended.append("cleaned up")

    supervisor.start(work(), "work")
    await asyncio.sleep(0)
    await supervisor.close()
    assert (ended, len(supervisor)) == (["cleaned up"], 0)


async def test_kept_work_starts_again_when_it_ends() -> None:
    supervisor, runs = Supervisor(), Runs(needed=3)
    supervisor.keep(runs.once, "poll", pause_s=0.001)
    await runs.enough()
    await supervisor.close()
    assert runs.count >= 3


async def test_kept_work_starts_again_when_it_fails(caplog: pytest.LogCaptureFixture) -> None:
    supervisor, runs = Supervisor(), Runs(needed=2, fails=True)
    with caplog.at_level(logging.ERROR, "spillway"):
        supervisor.keep(runs.once, "poll", pause_s=0.001)
        await runs.enough()
    await supervisor.close()
    assert "background task poll failed" in caplog.text


async def failing() -> None:
    await asyncio.sleep(0)
    raise ValueError("broken")


async def test_a_crash_that_nobody_awaits_is_logged_by_name(caplog: pytest.LogCaptureFixture) -> None:
    Supervisor().start(failing(), "drain")
    await asyncio.sleep(0.01)
    assert [record.getMessage() for record in caplog.records] == ["task drain failed"]


async def test_a_failure_that_is_an_answer_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def refused() -> None:
        raise Unavailable("busy")

    Supervisor().start(refused(), "work")
    await asyncio.sleep(0.01)
    assert caplog.records == []


class Runs:
    """Counts how often its work was run."""

    def __init__(self, needed: int, *, fails: bool = False) -> None:
        self.count = 0
        self._needed = needed
        self._fails = fails
        self._enough = asyncio.Event()

    async def once(self) -> None:
        self.count += 1
        if self.count >= self._needed:
            self._enough.set()
        if self._fails:
            raise ValueError("broken")

    async def enough(self) -> None:
        async with asyncio.timeout(5):
            await self._enough.wait()


async def test_what_is_renewed_while_an_effect_runs_gives_what_the_effect_gives() -> None:
    renewed: list[int] = []

    async def renew() -> None:
        renewed.append(len(renewed))

    assert await renewing(asyncio.sleep(0.05, "done"), renew, 0.01) == "done"
    assert renewed
    renewed.clear()
    assert await renewing(asyncio.sleep(0, "at once"), renew, 10) == "at once"
    assert not renewed


async def test_when_it_cannot_be_renewed_the_effect_has_ended_before_anybody_hears_of_it() -> None:
    ended: list[str] = []

    async def effect() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            ended.append("effect")

    async def renew() -> None:
        raise ValueError("lost")

    with pytest.raises(ValueError, match="lost"):
        await renewing(effect(), renew, 0.01)
    assert ended == ["effect"]
