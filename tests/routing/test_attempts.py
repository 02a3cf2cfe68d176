from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared import config
from shared.errors import (
    BadRequest,
    RateLimited,
    Replay,
    SpillwayError,
    StreamBroken,
    Unavailable,
    UpstreamFailed,
    UpstreamMisconfigured,
    UpstreamNoReply,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from shared.routing.attempts import Attempt, Trail, run
from shared.routing.router import Router
from shared.upstream.credentials import api_key
from shared.upstream.deployment import deployment_of
from shared.upstream.endpoint import of_entry

TEXT = "model_list:\n" + "".join(
    f"  - model_name: m\n    litellm_params: {{model: azure/{name}, api_base: 'https://{name}.openai.azure.com', "
    f"api_key: k, order: {order}}}\n"
    for order, name in enumerate("abcd")
)
SAFE = frozenset({Replay.FREELY, Replay.FAILED})
Send = Callable[[Attempt], Awaitable[str]]


class Calls:
    """One call's attempts over deployments a, b, c and d, each failing as it is told to."""

    def __init__(self, **failures: SpillwayError) -> None:
        self.router = Router(
            config.parse(TEXT, {}),
            lambda match: deployment_of(match, of_entry(match.entry)[0], api_key("k", bearer=False)),
            lambda: 100.0,
            lambda: 0.5,
        )
        self.group = self.router.group("m")
        self.trail = Trail("call_1")
        self.failures = failures
        self.wanted = True
        self.in_flight_while_sending: list[int] = []

    async def send(self, attempt: Attempt) -> str:
        self.in_flight_while_sending.append(self.in_flight)
        await asyncio.sleep(0)
        name = attempt.deployment.name
        if name in self.failures:
            raise self.failures[name]
        return name

    async def run(self, *, replay: frozenset[Replay] = SAFE, attempts_max: int = 3, send: Send | None = None) -> str:
        return await run(
            self.router,
            self.group,
            self.trail,
            send or self.send,
            replay=replay,
            attempts_max=attempts_max,
            wanted=lambda: self.wanted,
        )

    async def failure(self, *, replay: frozenset[Replay] = SAFE, attempts_max: int = 3) -> SpillwayError:
        with pytest.raises(SpillwayError) as caught:
            await self.run(replay=replay, attempts_max=attempts_max)
        return caught.value

    @property
    def tried(self) -> list[str]:
        return [attempt.deployment.name for attempt in self.trail.attempts]

    @property
    def in_flight(self) -> int:
        return sum(map(self.router.in_flight, self.group))


async def test_the_first_success_is_the_answer() -> None:
    calls = Calls()
    assert (await calls.run(), calls.tried) == ("a", ["a"])


@pytest.mark.parametrize(
    "failure",
    [RateLimited("x"), Unavailable("x"), UpstreamUnreachable("x"), UpstreamMisconfigured("x"), UpstreamFailed("x")],
    ids=lambda one: type(one).__name__,
)
async def test_a_failure_that_may_be_repeated_goes_on_to_the_next(failure: SpillwayError) -> None:
    calls = Calls(a=failure)
    assert (await calls.run(), calls.tried) == ("b", ["a", "b"])


@pytest.mark.parametrize(
    "failure",
    [BadRequest("x"), StreamBroken("x"), UpstreamNoReply("x"), UpstreamTimeout("x")],
    ids=lambda one: type(one).__name__,
)
async def test_a_failure_that_may_not_be_repeated_ends_it(failure: SpillwayError) -> None:
    calls = Calls(a=failure)
    assert (await calls.failure() is failure, calls.tried) == (True, ["a"])


async def test_an_operation_may_allow_what_is_perhaps_done_to_be_repeated() -> None:
    calls = Calls(a=UpstreamNoReply("x"))
    assert await calls.run(replay=SAFE | {Replay.UNKNOWN}) == "b"


async def test_an_operation_may_forbid_what_has_failed_to_be_repeated() -> None:
    calls = Calls(a=UpstreamFailed("x"))
    await calls.failure(replay=frozenset({Replay.FREELY}))
    assert calls.tried == ["a"]


@pytest.mark.parametrize(("attempts_max", "tried"), [(1, "a"), (2, "ab"), (4, "abcd"), (10, "abcd")])
async def test_each_deployment_is_tried_once_and_only_so_many(attempts_max: int, tried: str) -> None:
    calls = Calls(**{name: UpstreamFailed("x") for name in "abcd"})
    await calls.failure(attempts_max=attempts_max)
    assert "".join(calls.tried) == tried


async def test_attempts_are_numbered_from_one() -> None:
    calls = Calls(a=UpstreamFailed("x"))
    await calls.run()
    assert [attempt.entry_id for attempt in calls.trail.attempts] == ["call_1.1", "call_1.2"]


async def test_only_the_attempt_under_way_is_in_flight() -> None:
    calls = Calls(a=UpstreamFailed("x"), b=UpstreamFailed("x"))
    await calls.run()
    assert calls.in_flight_while_sending == [1, 1, 1]


async def test_a_successful_attempt_stays_open_until_it_is_ended() -> None:
    calls = Calls()
    await calls.run()
    before = calls.in_flight
    calls.trail.attempts[-1].end()
    assert (before, calls.in_flight) == (1, 0)


async def test_ending_an_attempt_twice_counts_once() -> None:
    calls = Calls()
    await calls.run()
    await calls.run()
    calls.trail.attempts[0].end()
    calls.trail.attempts[0].end()
    assert calls.in_flight == 1


async def test_nothing_is_in_flight_after_failing() -> None:
    calls = Calls(**{name: UpstreamFailed("x") for name in "abcd"})
    await calls.failure()
    assert calls.in_flight == 0


async def test_nothing_is_in_flight_after_a_cancel() -> None:
    calls, under_way = Calls(), asyncio.Event()

    async def hang(_: Attempt) -> str:
        under_way.set()
        await asyncio.sleep(10)
        return ""

    task = asyncio.create_task(calls.run(send=hang))
    await under_way.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (calls.in_flight, calls.tried) == (0, ["a"])


async def test_nothing_is_in_flight_after_a_fault_of_our_own() -> None:
    calls = Calls()

    async def fault(_: Attempt) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await calls.run(send=fault)
    assert (calls.in_flight, calls.tried) == (0, ["a"])


@pytest.mark.parametrize(
    "failure", [RateLimited("x", retry_after_ms=1000), UpstreamFailed("x")], ids=lambda one: type(one).__name__
)
async def test_a_deployment_that_refused_work_comes_last_next_time(failure: SpillwayError) -> None:
    calls = Calls(a=failure)
    await calls.run()
    assert [one.name for one in calls.router.in_order(calls.group)] == ["b", "c", "d", "a"]


@pytest.mark.parametrize("failure", [BadRequest("x"), UpstreamTimeout("x")], ids=lambda one: type(one).__name__)
async def test_a_deployment_is_not_blamed_for_the_request(failure: SpillwayError) -> None:
    calls = Calls(a=failure)
    await calls.failure()
    assert next(one.name for one in calls.router.in_order(calls.group)) == "a"


async def test_a_rate_limit_explains_more_than_a_failure() -> None:
    limited = RateLimited("full", retry_after_ms=3000)
    assert await Calls(a=limited, b=UpstreamFailed("x"), c=UpstreamFailed("x")).failure() is limited


async def test_a_rate_limit_explains_more_than_being_unavailable() -> None:
    limited = RateLimited("full")
    assert await Calls(a=Unavailable("x"), b=limited, c=UpstreamFailed("x")).failure() is limited


async def test_being_unavailable_explains_more_than_a_failure() -> None:
    unavailable = Unavailable("x")
    assert await Calls(a=unavailable, b=UpstreamFailed("x"), c=UpstreamFailed("x")).failure() is unavailable


async def test_the_soonest_retry_of_all_is_told() -> None:
    failure = await Calls(
        a=RateLimited("x", retry_after_ms=9000), b=Unavailable("x", retry_after_ms=2000), c=RateLimited("x")
    ).failure()
    assert failure.retry_after_ms == 2000


async def test_where_nobody_said_when_no_retry_is_told() -> None:
    assert (await Calls(a=RateLimited("x"), b=RateLimited("x"), c=RateLimited("x")).failure()).retry_after_ms is None


async def test_without_a_rate_limit_the_last_failure_is_told() -> None:
    last = UpstreamMisconfigured("last")
    assert await Calls(a=UpstreamFailed("x"), b=UpstreamUnreachable("x"), c=last).failure() is last


async def test_a_clients_own_mistake_is_told_even_after_a_rate_limit() -> None:
    mistake = BadRequest("no")
    assert await Calls(a=RateLimited("x"), b=mistake).failure() is mistake


async def test_what_is_perhaps_billed_is_told_even_after_a_rate_limit() -> None:
    late = UpstreamTimeout("late")
    assert await Calls(a=RateLimited("x"), b=late).failure() is late


async def test_nobody_else_is_asked_when_the_answer_is_no_longer_wanted() -> None:
    calls = Calls(a=RateLimited("full"))
    calls.wanted = False
    assert isinstance(await calls.failure(), RateLimited)
    assert calls.tried == ["a"]
