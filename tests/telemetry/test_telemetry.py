"""The telemetry of one gateway, and its gauges for threads that have no event loop."""

from __future__ import annotations

import asyncio

from shared.telemetry import CallRecord, call_ended
from shared.telemetry.counters import Who
from shared.telemetry.readings import Reading
from shared.telemetry.telemetry import Telemetry


def record() -> CallRecord:
    return CallRecord("call_1", "chat_completions", "master", deployment="gpt-4o", deployment_id="east")


def gauges() -> list[Reading]:
    asyncio.get_running_loop()  # as the ledger's do
    return [Reading("spillway_calls_under_way", 3)]


async def test_a_call_is_counted_when_its_record_is_written() -> None:
    telemetry, told = Telemetry("w1", gauges, opentelemetry=False), record()
    telemetry.began(told, {})
    assert telemetry.counters.rows == {}
    call_ended(told)
    assert telemetry.counters.rows[Who("gpt-4o", "east", "master")].outcomes == {"ok": 1}


async def test_with_opentelemetry_it_is_counted_as_well() -> None:
    telemetry, told = Telemetry("w1", gauges, opentelemetry=True), record()
    telemetry.began(told, {})
    call_ended(told)
    telemetry.heard(record())
    assert telemetry.counters.rows[Who("gpt-4o", "east", "master")].outcomes == {"ok": 2}


async def test_an_exporter_s_thread_reads_the_gauges_on_the_loop() -> None:
    telemetry = Telemetry("w1", gauges, opentelemetry=True)
    assert list(await asyncio.to_thread(telemetry._read)) == gauges() == list(telemetry._read())


def test_an_exporter_that_outlives_the_loop_reads_nothing() -> None:
    async def made() -> Telemetry:
        return Telemetry("w1", gauges, opentelemetry=True)

    assert list(asyncio.run(made())._read()) == []
