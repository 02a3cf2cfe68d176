"""Timers: schedules, runs on demand, no two runs at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import azure.functions as func
import httpx
import pytest

from devtools.host import Host, create_host
from devtools.host.routes import LoadError
from devtools.host.timers import next_run, resolve_schedule

NOON = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
EVERY_SECOND = "* * * * * *"


class Recorder:
    """A timer's work: counts its runs and how many were under way at once."""

    def __init__(self, lasts_s: float = 0.0, fails: bool = False) -> None:
        self.requests: list[func.TimerRequest] = []
        self.ended = asyncio.Event()
        self.running = self.running_max = 0
        self._lasts_s = lasts_s
        self._fails = fails

    async def work(self, request: func.TimerRequest) -> None:
        self.requests.append(request)
        self.running += 1
        self.running_max = max(self.running, self.running_max)
        await asyncio.sleep(self._lasts_s)
        self.running -= 1
        self.ended.set()
        if self._fails:
            raise RuntimeError("the timer failed")


def host_of(recorder: Recorder, schedule: str = "0 0 0 1 1 *", environ: dict[str, str] | None = None) -> Host:
    app = func.FunctionApp()

    @app.timer_trigger(schedule=schedule, arg_name="timer", run_on_startup=False)
    async def tick(timer: func.TimerRequest) -> None:
        await recorder.work(timer)

    return create_host(app, environ or {}, host_json={})


async def post(host: Host, path: str, body: bytes) -> int:
    transport = httpx.ASGITransport(host)
    async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
        return (await client.post(path, content=body)).status_code


@pytest.mark.parametrize(
    ("schedule", "following"),
    [
        ("0 */5 * * * *", datetime(2026, 1, 1, 12, 5, 0, tzinfo=UTC)),
        ("30 * * * * *", datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)),
        ("0 0 0 * * *", datetime(2026, 1, 2, tzinfo=UTC)),
        ("0 30 9 * * 1-5", datetime(2026, 1, 2, 9, 30, 0, tzinfo=UTC)),
        ("*/7 * * * * *", datetime(2026, 1, 1, 12, 0, 7, tzinfo=UTC)),
    ],
)
def test_seconds_come_first_and_the_clock_is_utc(schedule: str, following: datetime) -> None:
    assert next_run(schedule, NOON) == following


def test_a_setting_in_percent_signs_is_the_schedule() -> None:
    assert resolve_schedule("%EVERY%", {"EVERY": "0 * * * * *"}) == "0 * * * * *"


@pytest.mark.parametrize("schedule", ["* * * * *", "0 * * * * * *", "00:05:00", "61 * * * * *", "", "%MISSING%"])
def test_what_is_no_ncrontab_is_a_load_error(schedule: str) -> None:
    with pytest.raises(LoadError):
        resolve_schedule(schedule, {})


async def test_a_bad_schedule_is_reported_and_the_host_goes_on() -> None:
    host = host_of(Recorder(), "%MISSING%")
    assert host.problems == ("The 'tick' function is in error: the app setting 'MISSING' of its schedule is not set.",)


async def test_a_due_timer_runs() -> None:
    recorder = Recorder()
    timers = asyncio.create_task(host_of(recorder, EVERY_SECOND).timers.run())
    async with asyncio.timeout(3):
        await recorder.ended.wait()
    timers.cancel()
    assert len(recorder.requests) == 1


async def test_nothing_runs_at_the_start() -> None:
    recorder = Recorder()
    timers = asyncio.create_task(host_of(recorder).timers.run())
    await asyncio.sleep(0.1)
    timers.cancel()
    assert recorder.requests == []


async def test_a_timer_that_fails_runs_again(capfd: pytest.CaptureFixture[str]) -> None:
    recorder = Recorder(fails=True)
    host = host_of(recorder)
    await host.timers.fire("tick")
    await host.timers.fire("tick")
    assert len(recorder.requests) == 2
    assert "the timer failed" in capfd.readouterr().err


async def test_the_admin_endpoint_fires_a_timer_and_does_not_wait() -> None:
    recorder = Recorder(lasts_s=0.05)
    assert await post(host_of(recorder), "/admin/functions/tick", b'{"input": "x"}') == 202
    assert not recorder.ended.is_set()
    async with asyncio.timeout(3):
        await recorder.ended.wait()


async def test_the_name_of_a_timer_is_taken_in_any_case() -> None:
    assert await post(host_of(Recorder()), "/admin/functions/TICK", b"{}") == 202


async def test_an_unknown_function_cannot_be_fired() -> None:
    assert await post(host_of(Recorder()), "/admin/functions/tock", b"{}") == 404


async def test_a_body_that_is_not_json_fires_nothing() -> None:
    recorder = Recorder()
    assert await post(host_of(recorder), "/admin/functions/tick", b"now") == 400
    assert recorder.requests == []


async def test_two_runs_of_one_timer_never_overlap() -> None:
    recorder = Recorder(lasts_s=0.02)
    host = host_of(recorder)
    await asyncio.gather(*(host.timers.fire("tick") for _ in range(3)))
    assert (len(recorder.requests), recorder.running_max) == (3, 1)


async def test_a_timer_gets_azure_s_request() -> None:
    recorder = Recorder()
    await host_of(recorder).timers.fire("tick")
    assert recorder.requests[0].past_due is False
