from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import orjson
import pytest

pytest_plugins = ("tests.operations.by_hand",)

MakeHouse = Callable[..., Any]
ANSWER = (
    b'{ "id": "chatcmpl-1", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}],'
    b' "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12} }'
)
OK = httpx.Response(200, content=ANSWER)


def by_host(**answers: httpx.Response) -> Callable[[httpx.Request], httpx.Response]:
    """An upstream whose deployments answer each its own way."""
    return lambda request: answers[request.url.host[0]]


def after(seconds: float, body: bytes = ANSWER) -> Callable[[httpx.Request], Any]:
    async def handler(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(seconds)
        return httpx.Response(200, content=body)

    return handler


def error(reply: Any) -> Any:
    return orjson.loads(reply.body)["error"]


async def test_the_answer_comes_back_byte_for_byte(house: MakeHouse) -> None:
    reply = await house(lambda _: OK).buffered()
    assert (reply.status, reply.body, reply.media_type) == (200, ANSWER, "application/json")


async def test_an_answer_says_who_served_it(house: MakeHouse) -> None:
    headers = (await house(lambda _: OK).buffered()).headers
    assert {name: headers[name] for name in headers if name.startswith("x-spillway-") and "call" not in name} == {
        "x-spillway-deployment": "a",
        "x-spillway-model-id": "east",
        "x-spillway-attempts": "1",
        "x-spillway-cost-usd": "0.0000525",
    }


async def test_azures_request_id_and_limits_are_passed_on(house: MakeHouse) -> None:
    said = {"apim-request-id": "1234", "x-ratelimit-remaining-tokens": "99", "x-ratelimit-reset-tokens": "-1"}
    headers = (await house(lambda _: httpx.Response(200, headers=said, content=ANSWER)).buffered()).headers
    assert (headers["x-request-id"], headers["x-ratelimit-remaining-tokens"]) == ("1234", "99")
    assert "x-ratelimit-reset-tokens" not in headers


async def test_no_other_header_of_azures_comes_through(house: MakeHouse) -> None:
    said = {
        "set-cookie": "a=b",
        "x-ms-deployment-name": "a",
        "server": "istio",
        "location": "https://a.openai.azure.com",
    }
    reply = await house(lambda _: httpx.Response(200, headers=said, content=ANSWER)).buffered()
    assert not set(said) & set(reply.headers)


async def test_without_azures_request_id_the_calls_own_is_used(house: MakeHouse) -> None:
    headers = (await house(lambda _: OK).buffered()).headers
    assert headers["x-request-id"] == headers["x-spillway-call-id"]


async def test_a_call_is_recorded_with_its_usage(house: MakeHouse) -> None:
    home = house(lambda _: OK)
    await home.buffered()
    assert {name: home.record[name] for name in ("status", "outcome", "prompt_tokens", "completion_tokens")} == {
        "status": 200,
        "outcome": "ok",
        "prompt_tokens": 9,
        "completion_tokens": 3,
    }
    assert (home.record["usage_source"], home.record["deployment"], home.record["caller"]) == (
        "upstream",
        "a",
        "master",
    )


async def test_an_answer_without_usage_is_estimated(house: MakeHouse) -> None:
    home = house(lambda _: httpx.Response(200, json={"choices": [{"message": {"content": "x" * 40}}]}))
    await home.buffered()
    assert (home.record["usage_source"], home.record["completion_tokens"]) == ("estimated", 10)
    assert home.record["prompt_tokens"] > 0


async def test_a_full_deployment_is_passed_over(house: MakeHouse) -> None:
    home = house(by_host(a=httpx.Response(429), b=OK))
    reply = await home.buffered()
    assert (reply.status, reply.headers["x-spillway-deployment"], reply.headers["x-spillway-attempts"]) == (
        200,
        "b",
        "2",
    )


async def test_the_next_call_does_not_ask_the_full_one_first(house: MakeHouse) -> None:
    home = house(by_host(a=httpx.Response(429, headers={"retry-after": "5"}), b=OK))
    await home.buffered()
    await home.buffered()
    assert home.hosts == ["a", "b", "b"]


async def test_when_all_are_full_the_soonest_retry_is_told(house: MakeHouse) -> None:
    full = by_host(
        a=httpx.Response(429, headers={"retry-after": "7"}), b=httpx.Response(429, headers={"retry-after-ms": "2500"})
    )
    reply = await house(full).buffered()
    assert (reply.status, error(reply)["code"]) == (429, "rate_limit_exceeded")
    assert {name: reply.headers[name] for name in ("retry-after-ms", "retry-after", "x-should-retry")} == {
        "retry-after-ms": "2500",
        "retry-after": "3",
        "x-should-retry": "true",
    }


async def test_a_failure_says_how_many_attempts_there_were(house: MakeHouse) -> None:
    assert (await house(lambda _: httpx.Response(500)).buffered()).headers["x-spillway-attempts"] == "2"


async def test_no_retries_means_one_attempt(house: MakeHouse) -> None:
    home = house(by_host(a=httpx.Response(429), b=OK), text=ONE_ATTEMPT)
    assert ((await home.buffered()).status, home.hosts) == (429, ["a"])


async def test_a_request_that_azure_refuses_is_not_sent_again(house: MakeHouse) -> None:
    home = house(lambda _: httpx.Response(400, json={"error": {"code": "unsupported_value", "message": "No."}}))
    reply = await home.buffered()
    assert (reply.status, error(reply)["code"], home.hosts) == (400, "unsupported_value", ["a"])


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]"])
async def test_an_answer_that_is_no_json_object_is_a_failure(house: MakeHouse, body: bytes) -> None:
    home = house(by_host(a=httpx.Response(200, content=body), b=OK))
    assert ((await home.buffered()).status, home.hosts) == (200, ["a", "b"])


async def test_json_that_breaks_off_is_asked_of_the_next(house: MakeHouse) -> None:
    home = house(by_host(a=httpx.Response(200, content=b'{"id":'), b=OK))
    assert ((await home.buffered()).status, home.hosts) == (200, ["a", "b"])


async def test_an_answer_that_breaks_off_is_asked_of_the_next(house: MakeHouse) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield ANSWER[:20]
        raise httpx.ReadError("reset")

    home = house(lambda _: httpx.Response(200, content=broken()))
    reply = await home.buffered()
    assert (reply.status, error(reply)["code"], home.hosts) == (502, "upstream_no_reply", ["a", "b"])


@pytest.mark.parametrize(
    "handler",
    [
        lambda _: httpx.Response(200, content=ANSWER),
        lambda _: httpx.Response(429),
        lambda _: httpx.Response(400),
        lambda _: httpx.Response(200, content=b"<html>"),
    ],
    ids=["success", "full", "refused", "no JSON"],
)
async def test_nothing_is_left_of_a_call(house: MakeHouse, handler: Any) -> None:
    home = house(handler)
    await home.buffered()
    await home.rest()
    assert (home.in_flight, len(home.records)) == (0, 1)


async def test_a_calls_own_timeout_ends_it(house: MakeHouse) -> None:
    home = house(after(10))
    reply = await home.buffered(timeout=0.02)
    assert (reply.status, error(reply)["code"], reply.headers["x-should-retry"]) == (504, "upstream_timeout", "false")


async def test_a_deployments_timeout_ends_it(house: MakeHouse) -> None:
    home = house(after(10), params="timeout: 0.02")
    assert (await home.buffered()).status == 504
    await home.rest()
    assert (home.record["status"], home.hosts) == (504, ["a"])


async def test_at_the_front_ends_limit_the_client_is_told_not_to_retry(house: MakeHouse) -> None:
    reply = await house(after(0.1), edge_timeout_s=0.02).buffered()
    assert (reply.status, reply.headers["x-should-retry"]) == (504, "false")


async def test_beyond_the_front_ends_limit_the_answer_is_read_and_recorded(house: MakeHouse) -> None:
    home = house(after(0.06), edge_timeout_s=0.02)
    await home.buffered()
    still_open = (home.in_flight, len(home.records))
    await home.rest()
    assert still_open == (1, 0)
    assert (home.record["status"], home.record["completion_tokens"], home.record["usage_source"]) == (
        504,
        3,
        "upstream",
    )


async def test_when_the_client_leaves_the_answer_is_read_on(house: MakeHouse) -> None:
    home = house(after(0.04))
    asking = asyncio.create_task(home.buffered())
    await home.until(lambda: bool(home.asked))
    await home.leave()
    assert (await asking).status == 499
    await home.rest()
    assert (home.record["outcome"], home.record["completion_tokens"]) == ("disconnected", 3)


async def test_when_the_client_leaves_the_answer_is_read_on_only_so_long(house: MakeHouse) -> None:
    home = house(after(10), general="disconnect_drain_s: 0.02")
    asking = asyncio.create_task(home.buffered())
    await home.until(lambda: bool(home.asked))
    await home.leave()
    await asking
    await home.rest()
    assert (home.record["outcome"], home.record["usage_source"]) == ("disconnected", "estimated")
    assert home.record["prompt_tokens"] > 0


async def test_a_cancelled_handler_leaves_nothing_behind(house: MakeHouse) -> None:
    home = house(after(10), general="disconnect_drain_s: 0.02")
    asking = asyncio.create_task(home.buffered())
    await home.until(lambda: bool(home.asked))
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await home.until(lambda: not home.in_flight)
    assert home.in_flight == 0


async def test_a_fault_of_ours_is_a_500_that_tells_nothing(house: MakeHouse) -> None:
    def fault(_: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError("at secret.openai.azure.com")

    home = house(fault)
    reply = await home.buffered()
    assert (reply.status, error(reply)["code"]) == (500, "internal_error")
    assert b"secret" not in reply.body
    await home.rest()
    assert home.in_flight == 0


async def test_a_fault_of_ours_is_not_recorded_as_a_success(house: MakeHouse) -> None:
    def fault(_: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError

    home = house(fault)
    await home.buffered()
    await home.rest()
    assert (home.record["status"], home.record["outcome"]) == (500, "error")


ONE_ATTEMPT = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/a, api_base: "https://a.openai.azure.com", api_key: key-a, order: 1}
  - model_name: gpt-4o
    litellm_params: {model: azure/b, api_base: "https://b.openai.azure.com", api_key: key-b, order: 2}
router_settings: {num_retries: 0}
"""
