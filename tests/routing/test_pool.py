"""Large pools: a call looks at a few deployments and still goes where it should."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from shared import config
from shared.routing.estimates import Demand
from shared.routing.pool import LOOKED_AT, pool_of
from shared.routing.router import Router
from shared.routing.selection import Full, select
from shared.routing.state import DeploymentState
from shared.routing.strategies import strategy
from shared.upstream.deployment import Deployment
from tests.routing.test_router import ANY, Clock, build, entry

MANY = 200
CALL = Demand(10, 10)
DRAWING = ("usage-based-routing", "simple-shuffle", "least-busy")


def large(*first: str, strategy: str = "usage-based-routing", params: str = "      rpm: 6000\n") -> Router:
    """A router of one model: the entries `first`, then MANY alike."""
    text = "model_list:\n" + "".join(first) + "".join(entry(f"azure/d{n}", params=params) for n in range(MANY))
    parsed = config.parse(f"{text}router_settings: {{routing_strategy: {strategy}}}\n", {})
    return Router(parsed, build, Clock(), random.Random(1).random)  # noqa: S311 - no secret


def fill(found: Router, but: str) -> None:
    """Every deployment but one is told to wait."""
    for one in found.group("gpt-4o"):
        if one.name != but:
            found.state(one).throttle(found.now() + 10)


def chosen(found: Router) -> Deployment:
    choice = found.choose(found.candidates("gpt-4o", *ANY), CALL)
    assert not isinstance(choice, Full)
    choice.state.reserve(found.now(), choice.tokens).end()
    return choice.deployment


@pytest.mark.parametrize("name", DRAWING)
def test_a_call_looks_at_a_few_of_many(name: str) -> None:
    found = large(strategy=name)
    seen: list[str] = []

    def state_of(one: Deployment) -> DeploymentState:
        seen.append(one.id)
        return found.state(one)

    candidates = found.candidates("gpt-4o", *ANY)
    for _ in range(50):
        select(candidates, state_of, CALL, 100.0, strategy(name, {}), found.random)
        assert len(seen) <= LOOKED_AT
        seen.clear()


@pytest.mark.parametrize("name", [*DRAWING, "cost-based-routing", "latency-based-routing"])
def test_the_only_one_of_many_that_has_room_is_found(name: str) -> None:
    found = large(strategy=name)
    fill(found, but="d137")
    assert {chosen(found).name for _ in range(20)} == {"d137"}


@pytest.mark.parametrize("name", DRAWING)
def test_a_lower_order_comes_before_however_many_of_a_later_one(name: str) -> None:
    found = large(entry("azure/first", params="      rpm: 6000\n      order: 1\n"), strategy=name)
    assert {chosen(found).name for _ in range(20)} == {"first"}
    found.state(found.group("gpt-4o")[0]).throttle(found.now() + 10)
    assert "first" not in {chosen(found).name for _ in range(20)}


@pytest.mark.parametrize("name", DRAWING)
def test_one_of_weight_0_serves_only_where_no_other_can(name: str) -> None:
    found = large(entry("azure/spare", params="      weight: 0\n"), strategy=name)
    assert "spare" not in {chosen(found).name for _ in range(200)}
    fill(found, but="spare")
    assert chosen(found).name == "spare"


def test_what_failed_lately_is_asked_only_where_nothing_else_can_be() -> None:
    found = large()
    for one in found.group("gpt-4o"):
        found.state(one).failed_until = found.now() + (5 if one.name == "d5" else 50)
    assert chosen(found).name == "d5"
    found.state(found.group("gpt-4o")[7]).failed_until = 0.0
    assert chosen(found).name == "d7"


def test_all_of_many_full_is_told_with_the_soonest_end() -> None:
    found = large()
    fill(found, but="")
    found.state(found.group("gpt-4o")[100]).throttled_until = 0.0
    found.state(found.group("gpt-4o")[100]).throttle(found.now() + 3)
    full = found.choose(found.candidates("gpt-4o", *ANY), CALL)
    assert isinstance(full, Full)
    assert full.until == found.now() + 3
    assert "190 more" in full.error("gpt-4o", found.now()).message


def test_by_use_many_are_used_alike_and_a_larger_one_as_much_more() -> None:
    found = large(entry("azure/large", params="      rpm: 600000\n"))
    calls = Counter(chosen(found).name for _ in range(9000))
    assert calls["large"] == pytest.approx(9000 * 100 / 300, rel=0.1)
    others = [calls[f"d{n}"] for n in range(MANY)]
    assert min(others) >= 20
    assert max(others) <= 40


def test_a_shuffle_of_many_goes_by_weight() -> None:
    found = large(entry("azure/large", params="      weight: 100\n"), strategy="simple-shuffle", params="")
    calls = Counter(chosen(found).name for _ in range(6000))
    assert calls["large"] == pytest.approx(6000 * 100 / 300, rel=0.1)


def test_a_pool_stays_what_it_is() -> None:
    pool = large().candidates("gpt-4o", *ANY)
    assert pool_of(pool) is pool
    assert pool_of(list(pool)) == pool
