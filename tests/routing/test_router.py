from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared import config
from shared.config import Match
from shared.errors import BadRequest, ModelNotFound, NotFound, RateLimited, UpstreamFailed
from shared.routing.estimates import NOTHING
from shared.routing.router import WILDCARD_DEPLOYMENTS_MAX, Router
from shared.routing.selection import Full
from shared.routing.state import Reservation
from shared.seal import tag
from shared.upstream.credentials import api_key
from shared.upstream.deployment import Deployment, deployment_of
from shared.upstream.endpoint import of_entry

ANY = frozenset({"chat"}), frozenset({"azure", "openai"})


def build(match: Match) -> Deployment:
    return deployment_of(match, of_entry(match.entry)[0], api_key("k", bearer=False))


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def entry(deployment: str, *, name: str = "gpt-4o", params: str = "", info: str = "") -> str:
    return (
        f"  - model_name: {name!r}\n    litellm_params:\n      model: {deployment!r}\n"
        f"      api_base: https://r.openai.azure.com\n      api_key: k\n{params}    model_info: {{{info}}}\n"
    )


def router(*entries: str, clock: Clock | None = None, random: float = 0.5, settings: str = "") -> Router:
    text = "model_list:\n" + "".join(entries) + settings
    return Router(config.parse(text, {}), build, clock or Clock(), lambda: random)


def param(line: str) -> str:
    return f"      {line}\n"


def names(router: Router, model: str = "gpt-4o") -> list[str]:
    """The deployments of `model` in the order in which one call would try them now."""
    left, found = router.group(model), []
    while left and not isinstance(chosen := router.choose(left, NOTHING), Full):
        left.remove(chosen.deployment)
        found.append(chosen.deployment.name)
    return found


def begin(router: Router, deployment: Deployment) -> Reservation:
    """A call is sent there."""
    return router.state(deployment).reserve(router.now(), 0)


def test_an_exact_name_is_served_by_its_entries() -> None:
    assert [
        one.name for one in router(entry("azure/a"), entry("azure/b"), entry("azure/c", name="o3")).group("gpt-4o")
    ] == [
        "a",
        "b",
    ]


def test_a_deployment_is_the_same_one_each_time() -> None:
    found = router(entry("azure/a"))
    assert found.group("gpt-4o")[0] is found.group("gpt-4o")[0]


def test_an_alias_is_served_by_what_it_stands_for() -> None:
    found = router(entry("azure/a"), settings="router_settings: {model_group_alias: {gpt-4: gpt-4o}}\n")
    assert [one.name for one in found.group("gpt-4")] == ["a"]


def test_an_unknown_model_is_told_the_names_there_are() -> None:
    with pytest.raises(ModelNotFound, match=r"Available models: gpt-4o, azure/\*\."):
        router(entry("azure/a"), entry("azure/*", name="azure/*")).group("gpt-5")


def test_a_wildcard_makes_a_deployment_of_the_name_asked_for() -> None:
    assert [one.name for one in router(entry("azure/*", name="azure/*")).group("azure/my-gpt")] == ["my-gpt"]


@pytest.mark.parametrize("model", ["azure/", "azure/../x", "azure/a/b", "azure/a?b", "azure/*", "azure/" + "a" * 65])
def test_a_wildcard_never_lets_a_caller_write_a_path(model: str) -> None:
    with pytest.raises(ModelNotFound):
        router(entry("azure/*", name="azure/*")).group(model)


def test_patterns_are_not_models_to_list() -> None:
    assert router(entry("azure/a"), entry("azure/*", name="azure/*")).model_names == ("gpt-4o",)


def test_the_deployments_of_wildcards_are_bounded() -> None:
    built: list[str] = []

    def counting(match: Match) -> Deployment:
        built.append(match.model.deployment)
        return build(match)

    found = Router(config.parse("model_list:\n" + entry("azure/*", name="azure/*"), {}), counting, Clock(), lambda: 0.5)
    for number in range(WILDCARD_DEPLOYMENTS_MAX + 1):
        found.group(f"azure/d{number}")
    found.group("azure/d1")
    found.group("azure/d0")
    assert Counter(built)["d1"] == 1  # still known
    assert Counter(built)["d0"] == 2  # the oldest was forgotten


def test_what_is_known_of_a_wildcards_deployments_is_bounded() -> None:
    found = router(entry("azure/*", name="azure/*"))
    for number in range(WILDCARD_DEPLOYMENTS_MAX + 50):
        [one] = found.group(f"azure/d{number}")
        found.state(one)
    assert len(found.states) == WILDCARD_DEPLOYMENTS_MAX


def test_a_wildcards_deployment_in_use_is_not_the_one_forgotten() -> None:
    found = router(entry("azure/*", name="azure/*"))
    used = found.group("azure/used")[0]
    for number in range(WILDCARD_DEPLOYMENTS_MAX + 10):
        found.group(f"azure/d{number}")
        found.group("azure/used")
    assert found.group("azure/used")[0] is used


def test_wildcards_never_push_out_a_written_deployment() -> None:
    found = router(entry("azure/a"), entry("azure/*", name="azure/*"))
    written = found.group("gpt-4o")[0]
    for number in range(WILDCARD_DEPLOYMENTS_MAX + 10):
        found.group(f"azure/d{number}")
    assert found.group("gpt-4o")[0] is written


def test_a_wildcards_deployment_with_a_call_under_way_is_not_forgotten() -> None:
    found = router(entry("azure/*", name="azure/*"))
    [used] = found.group("azure/used")
    call = begin(found, used)
    for number in range(WILDCARD_DEPLOYMENTS_MAX + 10):
        found.state(found.group(f"azure/d{number}")[0])
    assert found.state(used) is call.state
    assert len(found.states) == WILDCARD_DEPLOYMENTS_MAX


def test_what_is_known_of_a_written_deployment_outlives_a_wildcards_that_is_the_same() -> None:
    found = router(entry("azure/a"), entry("azure/*", name="azure/*"))
    [written], [same] = found.group("gpt-4o"), found.group("azure/a")
    assert written.id == same.id
    known = found.state(written)
    for number in range(WILDCARD_DEPLOYMENTS_MAX + 10):
        found.group(f"azure/d{number}")
    assert found.state(written) is known


def test_what_one_callers_own_resource_does_is_no_word_on_anothers() -> None:
    found = router(entry("azure/a"))
    own = replace(found.group("gpt-4o")[0], id="a.client", of_client=True)
    found.failed(own, RateLimited("x", retry_after_ms=60_000))
    begin(found, own)
    assert not isinstance(found.choose([own], NOTHING), Full)
    assert found.states == {}


def test_candidates_are_those_of_the_right_mode() -> None:
    found = router(entry("azure/a", info="mode: chat"), entry("azure/b", info="mode: embedding"), entry("azure/c"))
    assert [one.name for one in found.candidates("gpt-4o", *ANY)] == ["a", "c"]


def test_a_model_of_the_wrong_mode_says_what_it_is_for() -> None:
    with pytest.raises(BadRequest, match="configured for embedding") as caught:
        router(entry("azure/a", info="mode: embedding")).candidates("gpt-4o", *ANY)
    assert (caught.value.param, caught.value.code) == ("model", "model_not_supported")


def test_a_model_of_the_wrong_provider_cannot_do_it() -> None:
    with pytest.raises(BadRequest, match="configured for completion"):
        router(entry("azure_text/a")).candidates("gpt-4o", *ANY)


def test_the_lowest_order_comes_first_and_none_last() -> None:
    found = router(
        entry("azure/none"), entry("azure/two", params=param("order: 2")), entry("azure/one", params=param("order: 1"))
    )
    assert names(found) == ["one", "two", "none"]


def test_order_beats_a_busy_deployment() -> None:
    found = router(entry("azure/a", params=param("order: 1")), entry("azure/b", params=param("order: 2")))
    for _ in range(50):
        begin(found, found.group("gpt-4o")[0])
    assert names(found) == ["a", "b"]


def test_the_least_busy_comes_first() -> None:
    found = router(entry("azure/a"), entry("azure/b"))
    begin(found, found.group("gpt-4o")[0])
    assert names(found) == ["b", "a"]


def test_a_heavier_one_may_be_busier() -> None:
    found = router(entry("azure/a", params=param("weight: 3")), entry("azure/b", params=param("weight: 1")))
    a, b = found.group("gpt-4o")
    firsts: list[str] = []
    for _ in range(8):
        first = found.choose([a, b], NOTHING)
        assert not isinstance(first, Full)
        begin(found, first.deployment)
        firsts.append(first.deployment.name)
    assert 5 <= firsts.count("a") <= 6


def test_weight_zero_serves_only_when_no_other_can() -> None:
    found = router(entry("azure/a", params=param("weight: 0")), entry("azure/b"))
    for _ in range(50):
        begin(found, found.group("gpt-4o")[1])
    assert names(found) == ["b", "a"]


def test_among_equals_chance_decides() -> None:
    chances = iter([0.9, 0.1])
    text = "model_list:\n" + entry("azure/a") + entry("azure/b")
    found = Router(config.parse(text, {}), build, Clock(), lambda: next(chances))
    assert names(found) == ["b", "a"]


def test_one_that_cools_comes_last_whatever_its_order() -> None:
    found = router(entry("azure/a", params=param("order: 1")), entry("azure/b", params=param("order: 2")))
    found.failed(found.group("gpt-4o")[0], UpstreamFailed("x"))
    assert names(found) == ["b", "a"]


@pytest.mark.parametrize(("said_ms", "lasts_s"), [(2500, 2.5), (None, 5.0)])
def test_cooling_ends_when_it_was_said_to(said_ms: int | None, lasts_s: float) -> None:
    clock = Clock()
    found = router(entry("azure/a", params=param("order: 1")), entry("azure/b", params=param("order: 2")), clock=clock)
    found.failed(found.group("gpt-4o")[0], RateLimited("x", retry_after_ms=said_ms))
    clock.now += lasts_s - 0.001
    before = names(found)
    clock.now += 0.001
    assert (before, names(found)) == (["b"], ["a", "b"])


def test_all_cooling_ones_are_still_tried_in_their_order() -> None:
    found = router(entry("azure/a", params=param("order: 1")), entry("azure/b", params=param("order: 2")))
    for one in found.group("gpt-4o"):
        found.failed(one, UpstreamFailed("x"))
    assert names(found) == ["a", "b"]


def test_ordering_loses_nobody() -> None:
    found = router(*(entry(f"azure/d{number}") for number in range(20)))
    assert sorted(names(found)) == sorted(f"d{number}" for number in range(20))


def test_in_flight_counts_up_and_down() -> None:
    found = router(entry("azure/a"))
    one = found.group("gpt-4o")[0]
    ended, _ = begin(found, one), begin(found, one)
    ended.end()
    ended.end()
    assert (found.state(one).in_flight, found.under_way) == (1, 1)


TWO = (
    entry("azure/a"),
    entry("azure/a", info="resource: other"),
    entry("azure/b", name="o3", info="resource: other"),
    entry("azure/*", name="azure/*", info="resource: wild"),
)


def bound(found: Router, model: str, resource: str) -> list[str]:
    candidates = found.candidates(model, *ANY)
    return [one.resource_id for one in found.bound(candidates, tag(resource), model)]


def test_a_call_that_is_bound_goes_to_that_resource_alone() -> None:
    assert bound(router(*TWO), "gpt-4o", "other") == ["other"]


def test_without_a_model_every_deployment_of_the_resource_will_do() -> None:
    assert bound(router(*TWO), "", "other") == ["other", "other"]


def test_a_wildcard_reaches_its_resource_before_any_name_was_asked_for() -> None:
    assert bound(router(*TWO), "", "wild") == ["wild"]


def test_a_model_that_is_not_at_the_resource_is_a_bad_request() -> None:
    with pytest.raises(BadRequest, match="does not serve `gpt-4o`"):
        bound(router(*TWO), "gpt-4o", "wild")


@pytest.mark.parametrize("model", ["", "gpt-4o"])
def test_a_resource_that_is_not_configured_is_not_found(model: str) -> None:
    with pytest.raises(NotFound):
        bound(router(*TWO), model, "gone")


def test_without_a_model_none_may_be_able() -> None:
    assert router(entry("azure/a", info="mode: embedding")).candidates("", *ANY) == ()


class InFlight(RuleBasedStateMachine):
    """What the router says is in flight is what was begun and has not ended."""

    def __init__(self) -> None:
        super().__init__()
        self.router = router(entry("azure/a"), entry("azure/b"), entry("azure/c"))
        self.group = self.router.group("gpt-4o")
        self.open: list[tuple[str, Reservation]] = []

    def in_flight(self, one: Deployment) -> int:
        return self.router.state(one).in_flight

    @rule()
    def begin(self) -> None:
        chosen = self.router.choose(self.group, NOTHING)
        assert not isinstance(chosen, Full)
        assert self.in_flight(chosen.deployment) == min(map(self.in_flight, self.group))
        self.open.append((chosen.deployment.name, begin(self.router, chosen.deployment)))

    @rule(at=st.integers(min_value=0))
    def end(self, at: int) -> None:
        if self.open:
            self.open.pop(at % len(self.open))[1].end()

    @invariant()
    def counts_agree(self) -> None:
        held = Counter(name for name, _ in self.open)
        assert {one.name: self.in_flight(one) for one in self.group} == {name: held[name] for name in "abc"}


TestInFlight = InFlight.TestCase
