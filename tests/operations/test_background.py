"""Background responses: noted, swept, recorded once they end."""

from __future__ import annotations

import logging
from typing import Any

import orjson
import pytest

from shared.catalog.price import Price, Rates
from shared.errors import StorageFailed, UpstreamFailed
from shared.ids import call_id, entry_id
from shared.operations.accounting import LateSettle
from shared.operations.background import FORGOTTEN_S, Background, Job
from shared.spend.entry import Entry
from shared.spend.ledger import Ledger
from shared.spend.records import entries_of
from shared.supervisor import Supervisor
from tests.memory_table import MemoryTable

CALL = call_id("20260701", "0" * 12, 1)
ENTRY = Entry(
    entry_id(CALL, 1),
    "responses_create",
    "master",
    "gpt-5",
    1000.0,
    deployment_id="dep_1",
    estimate={"prompt": 7, "completion": 256, "source": "estimated"},
    reserved=2_568_750_000,
)
JOB = Job(CALL, "resp_up", b"12345678", "master", "gpt-5", "gpt-5", "dep_1", 7, 1000.0, ENTRY)
RATES = Rates(input=5_000_000, output=7_000_000)
PRICE = {"dep_1": Price("base_model", "gpt-5", short={"standard": RATES})}
DONE = {"status": "completed", "usage": {"input_tokens": 10, "output_tokens": 20}}


class House:
    """A Background over a table in memory, and what it recorded."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, logger="spillway")
        self._log = caplog
        self.table = MemoryTable()
        self.now = 1060.0
        self.background = Background(self.table, Supervisor(), lambda: self.now)
        self.ledger = MemoryTable()
        ledger = Ledger(self.ledger, MemoryTable(), "1" * 12, Supervisor(), lambda: self.now)
        self.settle = LateSettle(ledger, lambda deployment_id: PRICE[deployment_id], lambda: self.now)

    async def sweep(self, answer: dict[str, Any] | Exception | None) -> int:
        async def ask(job: Job) -> dict[str, Any] | None:
            assert job == JOB
            if isinstance(answer, Exception):
                raise answer
            return answer

        return await self.background.sweep(ask, self.settle)

    @property
    def settled(self) -> list[Entry]:
        """What stands in the log of the instance that opened the attempt."""
        rows = [row for row in self.ledger.all if row.partition == "20260701_" + "0" * 12]
        return [entry for row in rows for entry in entries_of(row)]

    @property
    def records(self) -> list[dict[str, Any]]:
        lines = [record.getMessage() for record in self._log.records]
        return [orjson.loads(line[5:]) for line in lines if line.startswith("call {")]


@pytest.fixture
def house(caplog: pytest.LogCaptureFixture) -> House:
    return House(caplog)


async def test_a_response_that_goes_on_is_noted_at_once(house: House) -> None:
    await house.background.opened(JOB)
    assert [row.key for row in house.table.all] == [CALL]


async def test_one_that_still_runs_is_left_alone(house: House) -> None:
    await house.background.opened(JOB)
    assert await house.sweep({"status": "in_progress"}) == 0
    assert ([row.key for row in house.table.all], house.records) == ([CALL], [])


async def test_one_that_has_ended_is_recorded_with_its_usage(house: House) -> None:
    await house.background.opened(JOB)
    assert await house.sweep(DONE) == 1
    [record] = house.records
    assert (record["call_id"], record["prompt_tokens"], record["completion_tokens"]) == (CALL, 10, 20)
    assert (record["outcome"], record["duration_ms"]) == ("ok", 60_000)


async def test_one_that_has_ended_is_settled_in_the_log_of_whoever_opened_it(house: House) -> None:
    await house.background.opened(JOB)
    await house.sweep(DONE)
    [entry] = house.settled
    assert (entry.entry_id, entry.status, entry.cost) == (ENTRY.entry_id, "settled", 10 * 5_000_000 + 20 * 7_000_000)
    assert house.records[0]["cost_usd"] == 0.00019


async def test_one_without_usage_is_unknown_with_its_estimate(house: House) -> None:
    await house.background.opened(JOB)
    await house.sweep({"status": "failed", "usage": None})
    [entry] = house.settled
    assert (entry.status, entry.cost, entry.usage) == ("unknown", ENTRY.reserved, ENTRY.estimate)


async def test_a_settle_that_storage_does_not_take_is_tried_again(house: House) -> None:
    await house.background.opened(JOB)
    house.ledger.failures = 1
    assert await house.sweep(DONE) == 0
    assert house.records == []
    assert await house.sweep(DONE) == 1
    assert len(house.settled) == 1


async def test_one_that_was_recorded_is_not_recorded_again(house: House) -> None:
    await house.background.opened(JOB)
    await house.sweep(DONE)
    assert await house.sweep(DONE) == 0
    assert len(house.records) == 1


async def test_one_that_failed_without_usage_is_estimated(house: House) -> None:
    await house.background.opened(JOB)
    await house.sweep({"status": "failed", "usage": None})
    [record] = house.records
    assert (record["outcome"], record["prompt_tokens"], record["usage_source"]) == ("error", 7, "estimated")


async def test_one_that_was_deleted_is_recorded_as_unknown(house: House) -> None:
    await house.background.opened(JOB)
    assert await house.sweep(None) == 1
    assert house.records[0]["code"] == "unknown"


async def test_a_resource_that_does_not_answer_is_asked_again(house: House) -> None:
    await house.background.opened(JOB)
    assert await house.sweep(UpstreamFailed("down")) == 0
    assert await house.sweep(DONE) == 1


async def test_one_that_never_ends_is_given_up(house: House) -> None:
    await house.background.opened(JOB)
    house.now = JOB.created_at + FORGOTTEN_S
    assert await house.sweep({"status": "in_progress"}) == 1
    assert house.table.all == []


async def test_what_was_settled_elsewhere_is_not_swept(house: House) -> None:
    await house.background.opened(JOB)
    await house.background.settled(CALL)
    assert await house.sweep(DONE) == 0


async def test_a_row_that_could_not_be_removed_is_no_failure(house: House) -> None:
    await house.background.opened(JOB)

    def refuse(what: str) -> None:
        if what == "remove":
            raise StorageFailed("down")

    house.table.before = refuse
    assert await house.sweep(DONE) == 1
    assert [row.key for row in house.table.all] == [CALL]


async def test_storage_that_is_down_does_not_stop_the_reply(house: House) -> None:
    house.table.failures = 100
    await house.background.opened(JOB)
    assert house.table.all == []


async def test_without_storage_nothing_is_noted_and_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    background = Background(None, Supervisor(), lambda: 0.0)
    await background.opened(JOB)
    await background.opened(JOB)
    assert sum("no storage account" in record.getMessage() for record in caplog.records) == 1
