from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shared import config
from shared.errors import (
    BadRequest,
    ContentFiltered,
    ContextLengthExceeded,
    DeploymentNotFound,
    NotFound,
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
from shared.routing.attempts import ATTEMPTS_MAX, Attempt, Group, Rules, Run, Trail
from shared.routing.estimates import NOTHING, Demand
from shared.routing.fallbacks import Fallbacks
from shared.routing.filters import Asked
from shared.routing.limits import Grant
from shared.routing.router import Router
from shared.routing.selection import Full
from shared.upstream.credentials import api_key
from shared.upstream.deployment import deployment_of
from shared.upstream.endpoint import of_entry
from shared.usage.usage import Usage

TEXT = "model_list:\n" + "".join(
    f"  - model_name: m\n    litellm_params: {{model: azure/{name}, api_base: 'https://{name}.openai.azure.com', "
    f"api_key: k, order: {order}}}\n"
    for order, name in enumerate("abcd")
)
SAFE = frozenset({Replay.FREELY, Replay.FAILED})
Send = Callable[[Attempt], Awaitable[str]]


class Calls:
    """One call's attempts over deployments a, b, c and d of model `m`, each failing as it is told to.

    `settings` is YAML behind the model_list. Time stands still but for the pauses, which are kept.
    """

    def __init__(
        self,
        settings: str = "",
        text: str = TEXT,
        *,
        every: SpillwayError | None = None,
        **failures: SpillwayError,
    ) -> None:
        self.now = 100.0
        self.config = config.parse(text + settings, {})
        self.router = Router(
            self.config,
            lambda match: deployment_of(match, of_entry(match.entry)[0], api_key("k", bearer=False)),
            lambda: self.now,
            lambda: 0.5,
        )
        self.group = self.router.group("m")
        self.trail = Trail("call_1")
        self.failures = failures if every is None else dict.fromkeys("abcd", every)
        self.wanted = True
        self.in_flight_while_sending: list[int] = []
        self.pauses: list[float] = []

    async def send(self, attempt: Attempt) -> str:
        self.in_flight_while_sending.append(self.in_flight)
        await asyncio.sleep(0)
        name = attempt.deployment.name
        if name in self.failures:
            raise self.failures[name]
        return name

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    async def run(
        self,
        *,
        replay: frozenset[Replay] = SAFE,
        retries: int = 2,
        again: bool = False,
        policy: dict[str, int] | None = None,
        max_wait_s: float = 0.0,
        demand: Demand = NOTHING,
        asked: Asked | None = None,
        send: Send | None = None,
    ) -> str:
        rules = Rules(retries, again, policy or {}, replay, max_wait_s)
        fallbacks = None if asked is None else Fallbacks(self.config, "m", asked, self.router.group)
        run = Run(self.router, self.trail, lambda: self.wanted, rules, demand, fallbacks, self.sleep)
        return await run.first_success(Group("m", self.group), send or self.send)

    async def failure(self, **how: Any) -> SpillwayError:
        with pytest.raises(SpillwayError) as caught:
            await self.run(**how)
        return caught.value

    @property
    def tried(self) -> list[str]:
        return [attempt.deployment.name for attempt in self.trail.attempts]

    @property
    def in_flight(self) -> int:
        return self.router.under_way

    @property
    def next(self) -> str:
        """The deployment that a call would be sent to now."""
        chosen = self.router.choose(self.group, NOTHING)
        return "none" if isinstance(chosen, Full) else chosen.deployment.name


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
    assert await Calls(a=UpstreamTimeout("x")).run(replay=SAFE | {Replay.UNKNOWN}) == "b"
    assert await Calls(a=UpstreamNoReply("x")).run(replay=SAFE | {Replay.BROKEN}) == "b"


async def test_an_operation_may_forbid_what_has_failed_to_be_repeated() -> None:
    calls = Calls(a=UpstreamFailed("x"))
    await calls.failure(replay=frozenset({Replay.FREELY}))
    assert calls.tried == ["a"]


@pytest.mark.parametrize(("retries", "tried"), [(0, "a"), (1, "ab"), (3, "abcd"), (9, "abcd")])
async def test_each_deployment_is_tried_once_and_only_so_many(retries: int, tried: str) -> None:
    calls = Calls(every=UpstreamFailed("x"))
    await calls.failure(retries=retries)
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
    calls = Calls(every=UpstreamFailed("x"))
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
async def test_a_deployment_that_refused_work_is_not_the_next_to_be_asked(failure: SpillwayError) -> None:
    calls = Calls(a=failure)
    await calls.run()
    assert calls.next == "b"


@pytest.mark.parametrize("failure", [BadRequest("x")], ids=lambda one: type(one).__name__)
async def test_a_deployment_is_not_blamed_for_the_request(failure: SpillwayError) -> None:
    calls = Calls(a=failure)
    await calls.failure()
    assert calls.next == "a"


async def test_a_rate_limit_costs_no_retry() -> None:
    calls = Calls(a=RateLimited("x"), b=RateLimited("x"), c=RateLimited("x"))
    assert await calls.run(retries=1) == "d"


async def test_without_any_retries_a_rate_limit_ends_it() -> None:
    calls = Calls(a=RateLimited("x"))
    await calls.failure(retries=0)
    assert calls.tried == ["a"]


async def test_a_rate_limit_gives_back_what_was_reserved() -> None:
    calls = Calls(a=RateLimited("x"))
    await calls.run(demand=Demand(100, 10))
    a, b = (calls.router.state(one) for one in calls.group[:2])
    assert (a.used()[:2], b.used()[:2]) == ((0, 0), (110, 1))


async def test_what_failed_is_asked_again_after_a_pause_where_nothing_else_is_free() -> None:
    calls = Calls(every=UpstreamFailed("x"))
    await calls.failure(retries=5, again=True)
    assert "".join(calls.tried) == "abcdab"
    assert calls.pauses == [0.25]  # half of the first half second: jitter is by the random figure


async def test_pauses_grow() -> None:
    calls = Calls(text=TEXT.split("  - model_name")[0] + "  - model_name" + TEXT.split("  - model_name")[1])
    calls.failures = {"a": UpstreamFailed("x")}
    await calls.failure(retries=3, again=True)
    assert calls.pauses == [0.25, 0.5, 1.0]


async def test_a_refused_key_is_not_sent_again_to_the_same_deployment() -> None:
    calls = Calls(every=UpstreamMisconfigured("x"))
    await calls.failure(retries=9, again=True)
    assert "".join(calls.tried) == "abcd"


async def test_a_retry_policy_decides_by_the_kind_of_failure() -> None:
    calls = Calls(a=UpstreamFailed("x"), b=UpstreamFailed("x"))
    await calls.failure(retries=3, policy={"InternalServerErrorRetries": 1})
    assert calls.tried == ["a", "b"]


async def test_a_call_never_makes_more_than_so_many_attempts() -> None:
    calls = Calls("router_settings: {retry_budget_min: 1000}\n", every=UpstreamFailed("x"))
    await calls.failure(retries=100, again=True)
    assert len(calls.tried) == ATTEMPTS_MAX


async def test_an_outage_is_not_multiplied_beyond_the_retry_budget() -> None:
    calls = Calls("router_settings: {retry_budget_ratio: 0, retry_budget_min: 2}\n")
    calls.failures = dict.fromkeys("abcd", UpstreamFailed("x"))
    for _ in range(10):
        calls.trail = Trail("call_1")
        await calls.failure(retries=1)
    # every call once, and two retries
    assert calls.in_flight_while_sending == [1] * 12


FALLBACK = TEXT + (
    "  - model_name: other\n    litellm_params: {model: azure/z, api_base: 'https://z.openai.azure.com', api_key: k}\n"
)


@pytest.mark.parametrize(
    ("kind", "failure", "serves"),
    [
        ("fallbacks", UpstreamFailed("x"), True),
        ("fallbacks", RateLimited("x"), True),
        ("fallbacks", BadRequest("x"), False),
        ("context_window_fallbacks", ContextLengthExceeded("x"), True),
        ("context_window_fallbacks", UpstreamFailed("x"), False),
        ("content_policy_fallbacks", ContentFiltered("x"), True),
        ("content_policy_fallbacks", BadRequest("x"), False),
        ("fallbacks", DeploymentNotFound("x"), True),
        ("fallbacks", UpstreamTimeout("x"), False),  # perhaps billed
        ("fallbacks", UpstreamNoReply("x"), False),  # the same
        ("fallbacks", StreamBroken("x"), False),  # billed, and the client has seen data
        ("fallbacks", ContextLengthExceeded("x"), False),
        ("fallbacks", NotFound("x"), False),
    ],
)
async def test_another_model_takes_over_after_its_kind_of_failure(
    kind: str, failure: SpillwayError, serves: bool
) -> None:
    calls = Calls(f"router_settings: {{{kind}: [{{m: [other]}}]}}\n", FALLBACK)
    calls.failures = dict.fromkeys("abcd", failure)
    if serves:
        assert await calls.run(asked=Asked()) == "z"
    else:
        assert await calls.failure(asked=Asked()) is failure


async def test_another_model_takes_over_what_broke_off_where_the_operation_allows_that() -> None:
    calls = Calls("router_settings: {fallbacks: [{m: [other]}]}\n", FALLBACK)
    calls.failures = dict.fromkeys("abcd", UpstreamNoReply("x"))
    assert await calls.run(replay=SAFE | {Replay.BROKEN}, retries=0, asked=Asked()) == "z"
    assert calls.tried == ["a", "z"]


async def test_a_request_names_its_own_fallbacks_or_none() -> None:
    calls = Calls("router_settings: {fallbacks: [{m: [other]}]}\n", FALLBACK)
    calls.failures = dict.fromkeys("abcd", UpstreamFailed("x"))
    await calls.failure(asked=Asked(fallbacks=()))
    assert "z" not in calls.tried
    assert await calls.run(asked=Asked(fallbacks=("nobody", "other"))) == "z"


async def test_what_has_begun_is_not_sent_again_whatever_a_retry_policy_says() -> None:
    calls = Calls(every=StreamBroken("x"))
    await calls.failure(retries=3, policy={"InternalServerErrorRetries": 3, "DefaultRetries": 3})
    assert calls.tried == ["a"]


async def test_a_refused_request_is_sent_again_where_a_retry_policy_says_so() -> None:
    calls = Calls(a=BadRequest("x"))
    assert await calls.run(policy={"BadRequestErrorRetries": 1}) == "b"


async def test_where_a_model_and_those_that_take_over_are_full_the_soonest_end_of_all_is_told() -> None:
    calls = Calls("router_settings: {fallbacks: [{m: [other]}]}\n", FALLBACK)
    calls.failures = {name: RateLimited("x", retry_after_ms=9000) for name in "abcd"}
    calls.failures["z"] = RateLimited("x", retry_after_ms=30_000)
    for _ in range(2):  # told by Azure, then by what is known of it
        told = await calls.failure(asked=Asked())
        assert (told.retry_after_ms, "deployment of `m`" in told.message) == (9000, True)
    assert calls.tried == ["a", "b", "c", "d", "z"]


async def test_a_connection_that_was_refused_takes_nothing_of_the_retry_budget() -> None:
    calls = Calls("router_settings: {retry_budget_ratio: 0, retry_budget_min: 1}\n", a=UpstreamUnreachable("x"))
    for _ in range(10):
        calls.now += 0.001
        calls.router.state(calls.group[0]).failed_until = 0.0
        assert await calls.run() == "b"


async def test_an_instance_that_has_read_nothing_waits_for_that_and_not_for_another_model() -> None:
    calls = Calls("router_settings: {fallbacks: [{m: [other]}]}\n", FALLBACK)
    calls.router.share_state(lambda: False, lambda id, state: None)
    asking = asyncio.create_task(calls.run(asked=Asked()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert calls.tried == []
    for state in calls.router.states.values():
        state.grant = Grant()
    calls.router.was_read()
    assert await asking == "a"


async def test_how_long_an_attempt_took_is_measured_by_the_routers_clock() -> None:
    calls = Calls()

    async def send(attempt: Attempt) -> str:
        calls.now += 3.0
        return ""

    await calls.run(send=send)
    calls.trail.attempts[0].settle(Usage(10, 10))
    assert calls.router.state(calls.group[0]).latency_s == pytest.approx(0.3)


async def test_a_full_call_waits_for_room_no_longer_than_it_may() -> None:
    text = TEXT.replace("order: 0", "rpm: 1, order: 0")
    calls = Calls(text=text[: text.index("  - model_name: m\n    litellm_params: {model: azure/b")])
    assert await calls.run() == "a"
    refused = await calls.failure(max_wait_s=30)
    assert (isinstance(refused, RateLimited), calls.pauses) == (True, [])
    assert refused.retry_after_ms == 61_000  # the window counts by whole seconds
    assert await calls.run(max_wait_s=62) == "a"
    assert calls.pauses == [61.0]


async def test_a_rate_limit_explains_more_than_a_failure() -> None:
    limited = RateLimited("full", retry_after_ms=3000)
    assert (
        await Calls(a=limited, b=UpstreamFailed("x"), c=UpstreamFailed("x"), d=UpstreamFailed("x")).failure() is limited
    )


async def test_a_rate_limit_explains_more_than_being_unavailable() -> None:
    limited = RateLimited("full")
    assert await Calls(a=Unavailable("x"), b=limited, c=UpstreamFailed("x"), d=UpstreamFailed("x")).failure() is limited


async def test_being_unavailable_explains_more_than_a_failure() -> None:
    unavailable = Unavailable("x")
    assert await Calls(a=unavailable, b=UpstreamFailed("x"), c=UpstreamFailed("x")).failure() is unavailable


async def test_the_soonest_retry_of_all_is_told() -> None:
    limited = RateLimited("x", retry_after_ms=9000)
    calls = Calls(a=limited, b=Unavailable("x", retry_after_ms=2000), c=RateLimited("x"), d=RateLimited("x"))
    assert (await calls.failure()).retry_after_ms == 2000


async def test_where_nobody_said_when_the_cool_down_is_the_retry_that_is_told() -> None:
    failure = await Calls(every=RateLimited("x")).failure()
    assert failure.retry_after_ms == 5000
    assert "b (told to wait by Azure)" in failure.message


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
