"""The list of attempts: what an entry says, which are listed, and how a list goes on."""

from __future__ import annotations

from typing import Any

import pytest

from shared.admin import logs
from shared.admin.books import Books
from shared.errors import BadRequest, StorageFailed
from shared.spend.entry import Settlement
from tests.admin.conftest import Told
from tests.spend.world import NOON, settled

NOWHERE = "20260701_00000000beef.000000000001."


async def listed(told: Told, only_key: str | None = None, **query: str) -> list[dict[str, Any]]:
    return list((await logs.listed(told.books, query, only_key)).json["data"])


async def test_an_entry_says_what_was_sent_and_what_it_cost(told: Told) -> None:
    entry_id = await told.call(
        settled(2_500_000, request_id="req-1"),
        key_alias="web",
        tags=("blue",),
        deployment="gpt-4o",
        base_model="gpt-4o",
    )
    report = await logs.listed(told.books, {})
    assert report.json["object"] == "list"
    assert report.json["has_more"] is False
    assert report.json["first_id"] == report.json["last_id"] == report.json["data"][0]["id"]
    entry = report.json["data"][0]
    assert entry.pop("id")
    assert entry == {
        "object": "spend.log",
        "call_id": entry_id.rpartition(".")[0],
        "attempt": 1,
        "status": "settled",
        "spend": 2.5e-6,
        "expected_spend": 9e-10,
        "operation": "chat_completions",
        "model": "gpt-4o",
        "deployment": "gpt-4o",
        "deployment_id": "dep_1",
        "base_model": "gpt-4o",
        "key_id": "key_1",
        "key_alias": "web",
        "tags": ["blue"],
        "stream": False,
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        "price_source": None,
        "http_status": 200,
        "code": None,
        "outcome": None,
        "request_id": "req-1",
        "started_at": NOON,
        "ended_at": NOON,
        "duration_ms": 0.0,
        "first_byte_ms": None,
    }


async def test_every_status_is_told_apart_and_only_what_is_known_is_spent(told: Told) -> None:
    await told.call(settled(7_000_000))
    await told.call(Settlement("failed", cost=0, http_status=429))
    await told.call(Settlement("unpriced", usage={"prompt": 3}))
    await told.call(Settlement("unknown", cost=900))
    await told.counted()
    await told.call(None)
    entries = await listed(told)
    spent = {one["status"]: one["spend"] for one in entries}
    assert spent == {"settled": 7e-6, "failed": 0.0, "unpriced": None, "unknown": 9e-10, "open": None}
    assert [one["status"] for one in await listed(told, status="unpriced")] == ["unpriced"]
    still = next(one for one in entries if one["status"] == "open")
    assert (still["usage"], still["ended_at"], still["expected_spend"]) == (None, None, 9e-10)


async def test_filters_are_combined(told: Told) -> None:
    first = await told.call(settled(), key_id="key_a", key_alias="web", model="gpt-4o", tags=("red", "blue"))
    await told.call(settled(), key_id="key_b", model="gpt-4o", tags=("red",))
    await told.call(settled(), key_id="key_a", key_alias="web", model="o3")
    assert len(await listed(told, api_key="key_a")) == 2
    assert len(await listed(told, api_key="web")) == 2
    assert len(await listed(told, model="gpt-4o")) == 2
    assert len(await listed(told, tag="blue", model="gpt-4o")) == 1
    assert len(await listed(told, api_key="web", model="o4")) == 0
    call = first.rpartition(".")[0]
    assert [one["call_id"] for one in await listed(told, request_id=call)] == [call]
    assert [one["call_id"] for one in await listed(told, request_id=first)] == [call]


async def test_a_call_of_last_year_is_found_by_its_id(told: Told) -> None:
    call = await told.call(settled())
    told.world.now += 300 * 86_400
    assert await listed(told) == []
    assert len(await listed(told, request_id=call)) == 1


async def test_a_key_sees_its_own_whatever_it_asks_for(told: Told) -> None:
    await told.call(settled(), key_id="key_a")
    other = await told.call(settled(), key_id="key_b", key_alias="secret")
    assert [one["key_id"] for one in await listed(told, "key_a")] == ["key_a"]
    for query in ({"api_key": "key_b"}, {"api_key": "secret"}, {"request_id": other}):
        assert await listed(told, "key_a", **query) == []
    place = (await logs.listed(told.books, {}, "key_b")).json["data"][0]["id"]
    assert await listed(told, "key_a", after=place) == []


async def test_pages_follow_each_other_without_a_gap(told: Told) -> None:
    calls = [(await told.call(settled())).rpartition(".")[0] for _ in range(7)]
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = (await logs.listed(told.books, {"limit": "3", **after})).json
        seen += [one["call_id"] for one in page["data"]]
        if not page["has_more"]:
            break
        after = {"after": page["last_id"]}
    assert seen == calls


async def test_as_a_table_it_says_where_it_goes_on(told: Told) -> None:
    for _ in range(2):
        await told.call(settled(2_500_000))
    report = await logs.listed(told.books, {"limit": "1"})
    assert report.headers == {
        "x-spillway-has-more": "true",
        "x-spillway-last-id": report.json["last_id"],
    }
    row = dict(zip(report.columns, report.rows()[0], strict=True))
    assert (row["spend"], row["prompt_tokens"], row["started_at"]) == ("0.0000025", 10, "2026-07-01T12:00:00.000Z")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"limit": "1001"}, "whole number from 1 to 1000"),
        ({"after": "resp_1"}, "is no id of this list"),
        ({"after": "20260701..x"}, "is no id of this list"),
        ({"after": "20260732_0000.000000000001.x"}, "is no id of this list"),
        ({"after": "20260701_0000.a'b.x"}, "is no id of this list"),
        ({"status": "done"}, "is none of open, unknown, failed, unpriced, settled"),
        ({"start_date": "today"}, "is not a date"),
        ({"user": "u"}, "is no parameter of this report"),
    ],
)
async def test_a_question_that_means_nothing_is_refused(told: Told, query: dict[str, str], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        await logs.listed(told.books, query)


async def test_a_place_of_nothing_is_the_start_of_what_is_behind_it(told: Told) -> None:
    await told.call(settled())
    assert await listed(told, after=NOWHERE) == []


async def test_without_storage_there_is_no_ledger(told: Told) -> None:
    with pytest.raises(StorageFailed, match="no storage account here") as failed:
        await logs.listed(Books(None, None, told.world.clock), {})
    assert failed.value.should_retry is False
