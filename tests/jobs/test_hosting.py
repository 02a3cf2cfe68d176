"""The hours of hosted deployments: a day is charged when it is over, once, and only from when the file says."""

from __future__ import annotations

from contextlib import suppress

import pytest

from shared import config
from shared.config import Match
from shared.jobs.hosting import Hosting
from shared.spend import records
from shared.spend.entry import Entry
from shared.spend.places import DAY_S
from shared.upstream.credentials import api_key
from shared.upstream.deployment import Deployment, deployment_of
from shared.upstream.endpoint import of_entry
from tests.memory_table import MemoryTable, Rows

NOON = 1_782_907_200.0
"""2026-07-01 12:00 UTC."""
CONFIG = """
model_list:
  - model_name: %s
    litellm_params: {model: azure/tuned, api_base: "https://a.openai.azure.com", api_key: k}
    model_info: {base_model: %s, hosting_since: %s}
"""


def deployments(since: str, name: str = "expert", base: str = "gpt-4o-mini") -> list[Deployment]:
    found = []
    for entry in config.parse(CONFIG % (name, base, since), {}).entries:
        endpoint, _ = of_entry(entry)
        found.append(deployment_of(Match(entry, entry.model), endpoint, api_key("k", bearer=False)))
    return found


class Books:
    """The tables, and instances that enter hosting in them."""

    def __init__(self) -> None:
        self.now = NOON
        self.jobs, self.ledger = Rows(), Rows()

    async def run(self, some: list[Deployment], tables: list[MemoryTable] | None = None) -> None:
        """One run of the timer on an instance that was just started."""
        jobs, ledger = tables or [MemoryTable(self.jobs), MemoryTable(self.ledger)]
        await Hosting(jobs, ledger, lambda: self.now).run(some)

    @property
    def entries(self) -> list[Entry]:
        rows = [row for row in self.ledger.kept.values() if row.partition.startswith("batch_")]
        return sorted((one for row in rows for one in records.entries_of(row)), key=lambda one: one.started_at)


async def test_each_day_that_is_over_is_charged_from_its_hour_on() -> None:
    books = Books()
    await books.run(deployments('"2026-06-29T18:00:00Z"'))
    assert [(one.usage["hosting_hours"], one.cost) for one in books.entries] == [
        (6.0, 6 * 1_700_000_000_000),
        (24.0, 24 * 1_700_000_000_000),
    ]
    first = books.entries[0]
    assert (first.operation, first.key_id, first.model, first.status) == ("hosting", "master", "expert", "settled")


async def test_no_day_is_charged_twice_whoever_runs_how_often() -> None:
    books = Books()
    some = deployments("2026-06-28")
    for _ in range(3):
        await books.run(some)
    books.now += DAY_S
    await books.run(some)
    await books.run([*some, *deployments("2026-06-28", name="again")])
    assert [one.usage["hosting_hours"] for one in books.entries] == [24.0] * 4


@pytest.mark.parametrize("since", ['"2026-07-01"', '"2026-07-01T11:00:00+02:00"', '"2027-01-01"', "2026-07-01"])
async def test_today_and_what_is_still_to_come_are_not_charged(since: str) -> None:
    books = Books()
    await books.run(deployments(since))
    assert books.entries == []


async def test_who_says_nothing_is_charged_nothing() -> None:
    books = Books()
    await books.run(deployments("null"))
    assert (books.entries, books.jobs.kept) == ([], {})


async def test_a_model_without_a_price_is_named_and_not_charged(caplog: pytest.LogCaptureFixture) -> None:
    books = Books()
    await books.run(deployments("2026-06-28", base="gpt-4"))
    assert books.entries == []
    assert "the price book has no price for hosting it" in caplog.text


@pytest.mark.parametrize("at", range(1, 12))
@pytest.mark.parametrize("after", [True, False])
async def test_an_instance_may_die_at_any_request(at: int, after: bool) -> None:
    class Killed(BaseException):
        pass

    books, count = Books(), 0

    def before(what: str) -> None:
        nonlocal count
        count += 1
        if count == at and not after:
            raise Killed

    def done(what: str) -> None:
        if count == at and after:
            raise Killed

    dying = [MemoryTable(rows, before, done) for rows in (books.jobs, books.ledger)]
    with suppress(Killed):
        await books.run(deployments("2026-06-27"), dying)
    await books.run(deployments("2026-06-27"))
    assert [one.usage["hosting_hours"] for one in books.entries] == [24.0] * 4


async def test_a_run_that_finds_every_day_entered_asks_nothing() -> None:
    books = Books()
    tables = [MemoryTable(books.jobs), MemoryTable(books.ledger)]
    hosting = Hosting(tables[0], tables[1], lambda: books.now)
    some = deployments("2026-06-30")
    await hosting.run(some)
    asked = [dict(table.calls) for table in tables]
    await hosting.run(some)
    assert [dict(table.calls) for table in tables] == asked
