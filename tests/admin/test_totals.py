"""What was spent, by anything: every report of the same days comes to the same."""

from __future__ import annotations

import math

import pytest

from shared.admin import activity, totals
from shared.errors import BadRequest
from shared.spend.entry import Settlement
from tests.admin.conftest import Told
from tests.spend.world import settled


@pytest.fixture
async def some(told: Told) -> Told:
    """Two keys, two models, two days."""
    await told.call(settled(3_000_000), key_id="key_a", key_alias="web", model="gpt-4o", deployment="east")
    await told.call(settled(2_000_000), key_id="key_b", model="gpt-4o")
    await told.call(Settlement("unpriced", usage={"prompt": 4}), key_id="key_b", model="o3")
    await told.call(Settlement("failed", cost=0), key_id="key_b", model="o3")
    await told.counted()
    told.world.now += 86_400
    told.instance = told.world.start()
    usage = {"prompt": 100, "completion": 20, "cached": 60}
    await told.call(Settlement("settled", usage=usage, cost=500_000_000), key_id="key_b", model="o3")
    await told.call(Settlement("unknown", cost=7, usage={"prompt": 1}), key_id="key_b", model="o3")
    await told.counted()
    return told


async def test_all_that_was_spent(some: Told) -> None:
    assert (await totals.spend(some.books, {})).json == {
        "spend": 505_000_007 / 1e12,
        "start_date": "2026-06-03",
        "end_date": "2026-07-02",
        "calls": 6,
        "attempts": 6,
        "failed": 1,
        "unknown": 1,
        "unpriced": 1,
    }


async def test_one_day_one_key_and_one_model(some: Told) -> None:
    day = {"start_date": "2026-07-01", "end_date": "2026-07-01"}
    assert (await totals.spend(some.books, day)).json["spend"] == 5e-6
    assert (await totals.spend(some.books, {**day, "api_key": "key_b"})).json["spend"] == 2e-6
    assert (await totals.spend(some.books, {"api_key": "web"})).json["spend"] == 3e-6
    assert (await totals.spend(some.books, {"model": "gpt-4o", "api_key": "key_b"})).json["calls"] == 1
    assert (await totals.spend(some.books, {"api_key": "nobody"})).json["calls"] == 0


async def test_keys_and_models_come_by_what_they_spent(some: Told) -> None:
    keys = (await totals.keys(some.books, {})).json
    assert [(one["api_key"], one["key_alias"], one["total_spend"]) for one in keys] == [
        ("key_b", None, 502_000_007 / 1e12),
        ("key_a", "web", 3e-6),
    ]
    models = (await totals.models(some.books, {"limit": "1"})).json
    assert [(one["model"], one["total_spend"], one["unpriced"]) for one in models] == [("o3", 500_000_007 / 1e12, 1)]


async def test_activity_is_by_day(some: Told) -> None:
    answer = (await activity.activity(some.books, {})).json
    assert answer["daily_data"] == [
        {"date": "Jul 01", "day": "2026-07-01", "api_requests": 4, "total_tokens": 34},
        {"date": "Jul 02", "day": "2026-07-02", "api_requests": 2, "total_tokens": 121},
    ]
    assert (answer["sum_api_requests"], answer["sum_total_tokens"]) == (6, 155)


async def test_daily_activity_is_broken_down(some: Told) -> None:
    answer = (await activity.daily(some.books, {})).json
    assert [day["date"] for day in answer["results"]] == ["2026-07-02", "2026-07-01"]
    newest = answer["results"][0]
    assert newest["metrics"] == {
        "spend": 500_000_007 / 1e12,
        "prompt_tokens": 101,
        "completion_tokens": 20,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 0,
        "total_tokens": 121,
        "successful_requests": 1,
        "failed_requests": 1,
        "api_requests": 2,
    }
    oldest = answer["results"][1]["breakdown"]
    assert set(oldest["models"]) == {"gpt-4o", "o3"}
    assert oldest["models"]["gpt-4o"]["api_key_breakdown"]["key_a"]["metadata"]["key_alias"] == "web"
    assert oldest["api_keys"]["key_b"]["metrics"]["api_requests"] == 3
    assert oldest["deployments"]["dep_1"]["metrics"]["api_requests"] == 4
    assert answer["metadata"]["total_spend"] == 505_000_007 / 1e12
    assert answer["metadata"]["total_tokens"] == 155


async def test_daily_activity_comes_in_pages_of_days(some: Told) -> None:
    first = (await activity.daily(some.books, {"page_size": "1"})).json
    second = (await activity.daily(some.books, {"page_size": "1", "page": "2"})).json
    assert [day["date"] for day in first["results"] + second["results"]] == ["2026-07-02", "2026-07-01"]
    assert (first["metadata"]["total_pages"], first["metadata"]["has_more"]) == (2, True)
    assert second["metadata"]["has_more"] is False
    assert (await activity.daily(some.books, {"page": "3"})).json["results"] == []


async def test_every_table_adds_up_to_the_same(some: Told) -> None:
    sums = []
    for report in (
        await totals.spend(some.books, {}),
        await totals.keys(some.books, {}),
        await totals.models(some.books, {}),
        await activity.daily(some.books, {}),
    ):
        at = next(index for index, name in enumerate(report.columns) if name in ("spend", "total_spend"))
        sums.append(math.fsum(float(str(row[at])) for row in report.rows()))
        assert {len(row) for row in report.rows()} == {len(report.columns)}
    assert sums == pytest.approx([505_000_007 / 1e12] * 4, rel=1e-12)


async def test_what_was_folded_by_the_timer_is_the_same(some: Told) -> None:
    before = (await activity.daily(some.books, {})).rows()
    await some.instance.die()
    days = {"start_date": "2026-06-20", "end_date": "2026-07-10"}
    await some.world.settle_down()
    assert (await activity.daily(some.books, days)).rows() == before


async def test_reports_refuse_what_they_do_not_have(some: Told) -> None:
    for report in (totals.spend, totals.keys, totals.models, activity.activity, activity.daily):
        with pytest.raises(BadRequest, match="`tag` is no parameter"):
            await report(some.books, {"tag": "blue"})
