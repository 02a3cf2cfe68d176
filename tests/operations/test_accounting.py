"""What a call leaves in the ledger, whatever becomes of it; the log line, the headers and the ledger say the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

from shared.errors import Forbidden, RateLimited, SpillwayError, StorageFailed, StreamBroken, UpstreamNoReply
from shared.operations.accounting import Account, Refused
from shared.operations.reply import BufferedReply
from shared.spend import ledger as ledgers
from shared.spend.entry import Entry
from shared.spend.ledger import Ledger
from shared.spend.pricing import usd
from shared.supervisor import Supervisor
from shared.usage.usage import Usage
from tests.told import told

pytest_plugins = ("tests.operations.by_hand",)

MakeHouse = Callable[..., Any]
ANSWER = (
    b'{"id": "chatcmpl-1", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}],'
    b' "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12} }'
)
WITHOUT_USAGE = b'{"id": "chatcmpl-1", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}]}'
OK = httpx.Response(200, headers={"apim-request-id": "apim-1"}, content=ANSWER)
COST = 9 * 2_500_000 + 3 * 10_000_000
"""Of ANSWER, at the price of gpt-4o."""
HEAD = b'"id":"chatcmpl-1","object":"chat.completion.chunk","model":"m"'
A = b"data: {" + HEAD + b',"choices":[{"index":0,"delta":{"content":"a word "}}]}\n\n'
STOP = b"data: {" + HEAD + b',"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b"data: {" + HEAD + b',"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3}}\n\n'
DONE = b"data: [DONE]\n\n"
LIMITED = b'data: {"error":{"code":"429","message":"Requests have exceeded the token rate limit."}}\n\n'
FILTERED = httpx.Response(400, json={"error": {"code": "content_filter", "message": "no"}})
QUICK = "keepalive_s: 0.02, disconnect_drain_s: 0.04"
Handler = Callable[[httpx.Request], Any]


def gives(*answers: httpx.Response | Exception) -> Handler:
    """An upstream that gives these answers, one after the other."""
    left = list(answers)

    def handler(_: httpx.Request) -> httpx.Response:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handler


def streams(*script: bytes | float | Exception) -> Handler:
    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            for step in script:
                if isinstance(step, bytes):
                    yield step
                elif isinstance(step, Exception):
                    raise step
                else:
                    await asyncio.sleep(step)

    return lambda _: httpx.Response(200, stream=Body())


def late(seconds: float, answer: httpx.Response = OK) -> Handler:
    async def handler(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(seconds)
        return answer

    return handler


async def ended(home: Any) -> list[Entry]:
    """The attempts when all is written; the log's line of the call agrees with them."""
    await home.rest()
    entries: list[Entry] = home.entries
    record = home.record
    assert [entry.call_id for entry in entries] == [record["call_id"]] * record["attempts"]
    for name, field in (("prompt_tokens", "prompt"), ("completion_tokens", "completion"), ("cached_tokens", "cached")):
        assert record[name] == sum(entry.usage.get(field, 0) for entry in entries)
    costs = [entry.cost for entry in entries]
    assert record["cost_usd"] == (None if None in costs else sum(costs) / 1e12)  # type: ignore[arg-type]
    return entries


async def test_a_whole_answer_is_one_settled_entry(house: MakeHouse) -> None:
    home = house(lambda _: OK, stored=True)
    reply = await home.buffered(metadata={"tags": ["blue"]})
    [entry] = await ended(home)
    assert (entry.status, entry.cost, entry.usage) == ("settled", COST, {"prompt": 9, "completion": 3})
    assert (entry.key_id, entry.model, entry.deployment, entry.deployment_id) == ("master", "gpt-4o", "a", "east")
    assert (entry.operation, entry.tags, entry.request_id) == ("chat_completions", ("blue",), "apim-1")
    assert (entry.http_status, entry.outcome, entry.price_source) == (200, "ok", "model_name")
    assert reply.headers["x-spillway-cost-usd"] == usd(COST)
    assert "x-spillway-ledger" not in reply.headers


async def test_an_answer_without_usage_is_settled_by_estimate_and_says_so(house: MakeHouse) -> None:
    home = house(lambda _: httpx.Response(200, content=WITHOUT_USAGE), stored=True)
    await home.chat()
    [entry] = await ended(home)
    assert (entry.status, entry.usage["source"], home.record["usage_source"]) == ("settled", "estimated", "estimated")
    assert entry.usage["completion"] == 2


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
async def test_an_attempt_that_was_refused_costs_nothing_and_is_an_entry_of_its_own(
    house: MakeHouse, status: int
) -> None:
    home = house(gives(httpx.Response(status, json={}), OK), stored=True)
    reply = await home.buffered()
    refused, served = await ended(home)
    assert (refused.status, refused.cost, refused.deployment_id, refused.usage) == ("failed", 0, "east", {})
    assert (served.status, served.cost, served.deployment_id, served.attempt) == ("settled", COST, "west", 2)
    assert reply.headers["x-spillway-cost-usd"] == usd(COST)


async def test_a_prompt_that_the_filter_refused_is_billed(house: MakeHouse) -> None:
    home = house(lambda _: FILTERED, stored=True)
    reply = await home.buffered()
    [entry] = await ended(home)
    assert (entry.status, entry.code, entry.usage["source"]) == ("settled", "content_filter", "estimated")
    assert entry.cost == entry.usage["prompt"] * 2_500_000 > 0
    assert reply.headers["x-spillway-cost-usd"] == usd(entry.cost or 0)


@pytest.mark.parametrize("failure", [httpx.ReadError("reset"), httpx.ReadTimeout("late")])
async def test_what_was_sent_and_not_answered_is_unknown_with_its_estimate(
    house: MakeHouse, failure: Exception
) -> None:
    home = house(gives(failure, failure), stored=True)
    await home.chat(max_tokens=10)
    for entry in await ended(home):  # each of the two deployments may have done it
        assert (entry.status, entry.code, entry.usage) == ("unknown", "upstream_no_reply", entry.estimate)
        assert entry.cost == entry.usage["prompt"] * 2_500_000 + 10 * 10_000_000


async def test_what_never_left_costs_nothing(house: MakeHouse) -> None:
    home = house(gives(httpx.ConnectError("no"), httpx.ConnectError("no")), stored=True)
    await home.chat()
    assert [(entry.status, entry.cost) for entry in await ended(home)] == [("failed", 0)] * 2


async def test_an_answer_behind_the_front_ends_limit_is_settled_with_what_it_says_in_the_end(house: MakeHouse) -> None:
    home = house(late(0.05), stored=True, edge_timeout_s=0.01)
    reply = await home.buffered()
    assert reply.status == 504
    [entry] = await ended(home)
    assert (entry.status, entry.cost) == ("settled", COST)


async def test_the_answer_of_a_client_that_left_is_drained_and_settled(house: MakeHouse) -> None:
    home = house(late(0.05), stored=True)
    call = asyncio.ensure_future(home.chat())
    await asyncio.sleep(0.01)
    await home.leave()
    assert (await call).status == 499
    [entry] = await ended(home)
    assert (entry.status, entry.cost) == ("settled", COST)


async def test_an_answer_that_takes_longer_than_the_drain_is_unknown(house: MakeHouse) -> None:
    home = house(late(5), stored=True, general="disconnect_drain_s: 0.02")
    call = asyncio.ensure_future(home.chat())
    await asyncio.sleep(0.01)
    await home.leave()
    await call
    [entry] = await ended(home)
    assert (entry.status, entry.usage, entry.code) == ("unknown", entry.estimate, "disconnected")


async def test_a_stream_is_open_before_its_first_byte_and_settled_before_its_last(house: MakeHouse) -> None:
    home = house(streams(A, STOP, USAGE, DONE), stored=True)
    seen: list[list[str]] = []
    reply = await home.opened()
    seen.append([entry.status for entry in home.entries])

    async def write(data: bytes) -> None:
        if DONE in data:
            seen.append([entry.status for entry in home.entries])
        await home.write(data)

    await reply.run(write)
    assert seen == [["open"], ["settled"]]
    [entry] = await ended(home)
    assert (entry.cost, told(home.written)["x-spillway-cost-usd"]) == (COST, usd(COST))
    assert entry.first_byte_ms is not None


@pytest.mark.parametrize("end", [[StreamBroken("cut")], [LIMITED], []])
async def test_a_stream_that_breaks_is_settled_by_what_passed(house: MakeHouse, end: list[Any]) -> None:
    home = house(streams(A, A, *end), stored=True)
    await home.streamed()
    [entry] = await ended(home)
    assert (entry.status, entry.usage["source"], entry.usage["completion"]) == ("settled", "estimated", 4)
    assert (entry.outcome, told(home.written)["x-spillway-cost-usd"]) == ("broken", usd(entry.cost or 0))


async def test_a_stream_whose_client_left_is_drained(house: MakeHouse) -> None:
    home = house(streams(A, 0.03, STOP, USAGE, DONE), stored=True)
    reply = await home.opened()
    running = asyncio.ensure_future(reply.run(home.write))
    await asyncio.sleep(0.01)
    await home.leave()
    await running
    [entry] = await ended(home)
    assert (entry.status, entry.cost) == ("settled", COST)


async def test_a_stream_that_outlasts_the_drain_is_estimated(house: MakeHouse) -> None:
    endless: list[bytes | float] = [A, 0.01] * 100
    home = house(streams(*endless), stored=True, general=QUICK)
    reply = await home.opened()
    running = asyncio.ensure_future(reply.run(home.write))
    await asyncio.sleep(0.01)
    await home.leave()
    await running
    [entry] = await ended(home)
    assert (entry.status, entry.usage["source"], entry.outcome) == ("settled", "estimated", "disconnected")
    assert 0 < entry.usage["completion"] < 100


async def test_a_rate_limit_inside_a_stream_is_no_bill(house: MakeHouse) -> None:
    home = house(streams(LIMITED), stored=True)
    await home.chat(stream=True)
    assert [entry.status for entry in await ended(home)] == ["failed", "failed"]


async def test_an_answer_that_is_no_answer_is_failed_like_a_5xx(house: MakeHouse) -> None:
    home = house(gives(httpx.Response(200, content=b""), OK), stored=True)
    await home.chat()
    assert [entry.status for entry in await ended(home)] == ["failed", "settled"]


async def test_a_storage_outage_does_not_stop_a_call_and_the_answer_says_so(
    house: MakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "REPLY_WAIT_S", 0.01)
    home = house(lambda _: OK, stored=True)
    table = home.tables["spillwayledger"]
    table.failures = 10_000
    reply = await home.buffered()
    assert (reply.status, reply.headers["x-spillway-ledger"]) == (200, "buffered")
    assert home.entries == []
    table.failures = 0
    [entry] = await ended(home)
    assert (entry.status, entry.cost) == ("settled", COST)


async def test_before_send_a_call_that_cannot_be_entered_is_not_sent(
    house: MakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "SEND_WAIT_S", 0.01)
    home = house(lambda _: OK, stored=True, ledger="before_send")
    table = home.tables["spillwayledger"]
    table.failures = 10_000
    reply = await home.buffered()
    assert (reply.status, orjson.loads(reply.body)["error"]["code"], home.hosts) == (503, "storage_unavailable", [])
    table.failures = 0
    [entry] = await ended(home)
    assert (entry.status, entry.cost) == ("failed", 0)
    assert (await home.buffered()).headers["x-spillway-deployment"] == "a", "no deployment was to blame"


async def test_before_send_a_call_is_in_the_table_before_it_is_sent(house: MakeHouse) -> None:
    seen: list[list[str]] = []

    def handler(_: httpx.Request) -> httpx.Response:
        seen.append([entry.status for entry in home.entries])
        return OK

    home = house(handler, stored=True, ledger="before_send")
    await home.chat()
    assert seen == [["open"]]


async def test_a_full_buffer_is_a_503(house: MakeHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    home = house(lambda _: OK, stored=True)
    monkeypatch.setattr(ledgers, "WAITING_MAX", 0)
    reply = await home.buffered()
    assert (reply.status, reply.headers["retry-after-ms"], home.hosts) == (503, "1000", [])


async def test_without_a_storage_account_calls_cost_what_they_cost(house: MakeHouse) -> None:
    home = house(lambda _: OK)
    assert (await home.buffered()).headers["x-spillway-cost-usd"] == usd(COST)
    assert home.record["cost_usd"] == COST / 1e12


async def test_what_costs_nothing_is_not_entered(house: MakeHouse) -> None:
    home = house(
        lambda _: httpx.Response(200, json={"object": "response.input_tokens", "input_tokens": 7}), stored=True
    )
    reply = await home.ask({"model": "gpt-4o", "input": "hi"}, "/v1/responses/input_tokens")
    assert isinstance(reply, BufferedReply)
    assert (reply.status, reply.headers["x-spillway-cost-usd"]) == (200, "0")
    await home.rest()
    assert home.entries == []


async def test_a_health_check_that_is_billed_is_entered(house: MakeHouse) -> None:
    home = house(lambda _: OK, stored=True)
    await home.ask(path="/health", method="GET")
    await home.rest()
    assert [(one.operation, one.key_id, one.status, one.cost) for one in home.entries] == [
        ("health", "gateway", "settled", COST)
    ] * 2


class Wallet:
    """A purse that writes down what it is asked and told, and refuses where it is empty."""

    def __init__(self, failure: SpillwayError | None = None) -> None:
        self.failure = failure
        self.reserved: list[tuple[str, int | None]] = []
        self.settled: list[tuple[str, int | None]] = []

    async def reserve(self, entry_id: str, picodollars: int | None, probable: int | None) -> None:
        if self.failure is not None:
            raise self.failure
        self.reserved.append((entry_id, picodollars))

    def settle(self, entry_id: str, picodollars: int | None) -> None:
        self.settled.append((entry_id, picodollars))

    def headers(self) -> dict[str, str]:
        return {"x-spillway-means": "some"}


def account(home: Any, purse: Wallet, ledger: Ledger | None = None) -> Account:
    ledger = ledger or Ledger(None, None, "0" * 12, Supervisor(), lambda: 1000.0)
    return Account(ledger, Entry("", "chat_completions", "key_1", "gpt-4o", 0.0), lambda: 1000.0, purse)


EXPECTED = Usage(9, 100, source="estimated")
MOST = Usage(9, 5000, source="estimated")


async def opened(home: Any, purse: Wallet) -> Account:
    one = account(home, purse)
    await one.open("call_1.1", home.gateway.router.group("gpt-4o")[0], EXPECTED, lambda: MOST)
    return one


async def test_a_purse_is_asked_for_the_most_and_told_the_cost(house: MakeHouse) -> None:
    purse = Wallet()
    one = await opened(house(lambda _: OK), purse)
    one.used(Usage(9, 3))
    one.used(Usage(90, 30))
    one.failed(UpstreamNoReply("late"))
    one.close()
    assert purse.reserved == [("call_1.1", 9 * 2_500_000 + 5000 * 10_000_000)]
    assert purse.settled == [("call_1.1", COST)]


@pytest.mark.parametrize(
    ("end", "cost"),
    [
        (lambda one: one.failed(RateLimited("full")), 0),
        (lambda one: one.failed(UpstreamNoReply("reset")), 9 * 2_500_000 + 100 * 10_000_000),
        (lambda one: one.close(), 9 * 2_500_000 + 100 * 10_000_000),
        (lambda one: (one.keep(), one.close()), 9 * 2_500_000 + 100 * 10_000_000),
    ],
    ids=["refused", "no answer", "cut off", "goes on"],
)
async def test_a_purse_is_told_once_however_it_ends(house: MakeHouse, end: Callable[[Account], Any], cost: int) -> None:
    purse = Wallet()
    one = await opened(house(lambda _: OK), purse)
    end(one)
    assert purse.settled == [("call_1.1", cost)]


async def test_an_empty_purse_refuses_and_owes_nothing(house: MakeHouse) -> None:
    purse = Wallet(Forbidden("Over budget."))
    with pytest.raises(Refused) as caught:
        await opened(house(lambda _: OK), purse)
    assert isinstance(caught.value.failure, Forbidden)
    assert purse.settled == []


async def test_a_purse_gets_back_what_the_ledger_refused(house: MakeHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    home, purse = house(lambda _: OK, stored=True), Wallet()
    monkeypatch.setattr(ledgers, "WAITING_MAX", 0)
    one = account(home, purse, home.gateway.ledger)
    with pytest.raises(Refused) as caught:
        await one.open("call_1.1", home.gateway.router.group("gpt-4o")[0], EXPECTED, lambda: MOST)
    assert isinstance(caught.value.failure, StorageFailed)
    assert purse.settled == [("call_1.1", 0)]
