"""Each routing strategy, by what it prefers among deployments that have room."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from shared.routing.estimates import NOTHING, Demand
from shared.routing.router import Router
from shared.routing.selection import Full
from shared.upstream.ratelimit import Told
from tests.routing.test_router import Clock, entry, param, router


def made(strategy: str, *params: str, args: str = "{}", chance: float = 0.5) -> Router:
    lines = (
        entry(f"azure/{name}", params="".join(map(param, text.split("; "))) if text else "")
        for name, text in zip("abcd", params, strict=False)
    )
    settings = f"router_settings: {{routing_strategy: {strategy}, routing_strategy_args: {args}}}\n"
    return router(*lines, settings=settings, random=chance)


def chosen(found: Router, demand: Demand = NOTHING) -> str:
    made = found.choose(found.group("gpt-4o"), demand)
    return "none" if isinstance(made, Full) else made.deployment.name


def use(found: Router, name: str, tokens: int = 1, calls: int = 1, *, ended: bool = True) -> None:
    one = next(one for one in found.group("gpt-4o") if one.name == name)
    for _ in range(calls):
        call = found.state(one).reserve(found.now(), tokens)
        if ended:
            call.end()


@pytest.mark.parametrize("strategy", ["usage-based-routing", "usage-based-routing-v2"])
def test_the_least_used_share_is_chosen_and_not_the_fewest_tokens(strategy: str) -> None:
    found = made(strategy, "tpm: 1000", "tpm: 100000")
    use(found, "a", 300)
    use(found, "b", 3000)  # ten times the tokens, a tenth of the share
    assert chosen(found, Demand(10, 10)) == "b"


def test_the_tightest_limit_of_a_deployment_is_its_share() -> None:
    found = made("usage-based-routing-v2", "tpm: 1000; rpm: 100", "tpm: 1000")
    use(found, "a", 1, calls=9)
    use(found, "b", 50)
    assert chosen(found, Demand(1, 0)) == "b"


def test_the_call_itself_is_part_of_the_share() -> None:
    found = made("usage-based-routing-v2", "tpm: 1000", "tpm: 4000")
    assert chosen(found, Demand(500, 400)) == "b"


def test_a_provisioned_deployments_utilization_is_its_share() -> None:
    found = made("usage-based-routing-v2", "tpm: 1000; order: 1", "tpm: 1000; order: 1")
    use(found, "a", 10)
    assert chosen(found, Demand(1, 0)) == "b"
    [_, b] = found.group("gpt-4o")
    state = found.state(b)
    state.told(found.now(), state.reserve(found.now(), 1), Told(utilization=80.0))
    assert chosen(found, Demand(1, 0)) == "a"


def test_without_limits_what_is_under_way_for_the_weight_decides() -> None:
    found = made("usage-based-routing-v2", "weight: 3", "weight: 1")
    use(found, "a", calls=2, ended=False)
    use(found, "b", calls=1, ended=False)
    assert chosen(found) == "a"


def test_by_chance_each_is_chosen_as_often_as_its_weight_says() -> None:
    chance = random.Random(1)  # noqa: S311
    found = made("simple-shuffle", "weight: 1", "weight: 3", "weight: 6")
    found.random = chance.random
    counted = Counter(chosen(found) for _ in range(4000))
    assert [counted[name] / 4000 for name in "abc"] == pytest.approx([0.1, 0.3, 0.6], abs=0.03)


def test_by_chance_the_limits_still_hold() -> None:
    found = made("simple-shuffle", "weight: 100; rpm: 1", "weight: 1")
    use(found, "a")
    assert {chosen(found) for _ in range(20)} == {"b"}


def test_the_least_busy_counts_calls_of_every_instance() -> None:
    found = made("least-busy", "", "", "")
    use(found, "a", ended=False)
    found.state(found.group("gpt-4o")[1]).peers_in_flight = 5
    assert chosen(found) == "c"


def test_the_cheapest_is_chosen_and_one_without_a_price_comes_last() -> None:
    prices = ("input_cost_per_token: 0.000002; output_cost_per_token: 0.000001", "input_cost_per_token: 0.000001")
    found = made("cost-based-routing", "", f"{prices[0]}", f"{prices[1]}; output_cost_per_token: 0.000001")
    assert chosen(found) == "c"
    use(found, "c", ended=False)
    assert chosen(found) == "c"


def test_the_fastest_is_chosen_and_one_not_seen_yet_is_tried_first() -> None:
    found = made("latency-based-routing", "", "", "")
    for one, seconds in zip(found.group("gpt-4o"), (0.3, 0.1), strict=False):
        found.state(one).took(seconds)
    assert chosen(found) == "c"
    found.state(found.group("gpt-4o")[2]).took(0.2)
    assert chosen(found) == "b"


def test_within_the_buffer_of_the_fastest_chance_decides() -> None:
    found = made("latency-based-routing", "", "", "", args="{lowest_latency_buffer: 0.5}", chance=0.99)
    for one, seconds in zip(found.group("gpt-4o"), (0.10, 0.14, 0.16), strict=False):
        found.state(one).took(seconds)
    assert chosen(found) == "b"


def test_a_deployment_that_timed_out_is_not_the_fastest_for_a_while() -> None:
    found = made("latency-based-routing", "", "")
    a, b = (found.state(one) for one in found.group("gpt-4o"))
    a.took(0.1)
    b.took(0.5)
    a.took(1000.0)
    assert chosen(found) == "b"


def test_a_cool_down_that_has_ended_is_forgotten_whoever_looks() -> None:
    """LiteLLM reads its cool-downs from Redis with a delay, and a stale one keeps a deployment out."""
    clock = Clock()
    found = router(entry("azure/a"), clock=clock)
    state = found.state(found.group("gpt-4o")[0])
    state.throttle(clock.now + 5)
    state.throttle_peers(clock.now + 7)
    clock.now += 7
    assert chosen(found) == "a"
