"""Routing over sockets, rule by rule: strategies, cool-downs, regions, context windows, parallel requests, aliases."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.routing_world import config, entry, resources, served_by

if TYPE_CHECKING:
    import httpx

    from tests.conftest import Running, Spillway

OPERATIONS = ("chat_completions", "responses_create", "audio_transcriptions", "router_explain")
STRATEGIES = (
    "usage-based-routing",
    "usage-based-routing-v2",
    "simple-shuffle",
    "least-busy",
    "latency-based-routing",
    "cost-based-routing",
)


def verdicts(run: Running, **body: Any) -> dict[str, str]:
    """What the router says of each candidate of a chat."""
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}], **body}
    answer = run.http.post("/v1/router/explain", json=asked)
    assert answer.status_code == 200, answer.text
    return {one["model_id"]: one["verdict"] for one in answer.json()["candidates"]}


BOTH = (entry("east", params=", order: 1"), entry("west", params=", order: 2"))


# Strategies.


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_limits_hold_whatever_the_strategy(spillway: Spillway, strategy: str) -> None:
    """LiteLLM's simple-shuffle serves six of six with rpm: 2, its v2 one of six."""
    run = spillway(
        config(
            entry("east", params=", rpm: 2"), entry("west", params=", rpm: 3"), settings=f"routing_strategy: {strategy}"
        )
    )
    answers = [run.chat() for _ in range(8)]
    assert [one.status_code for one in answers] == [200] * 5 + [429] * 3
    assert (resources(run).count("east"), resources(run).count("west")) == (2, 3)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_requests_a_minute_are_no_bound_of_those_at_once(spillway: Spillway, strategy: str) -> None:
    """LiteLLM takes rpm for max_parallel_requests too, and answers 429 to what is under way at once."""
    run = spillway(config(entry("east", params=", rpm: 8"), settings=f"routing_strategy: {strategy}"))
    run.sim.fault(delay_ms=700, times=None)
    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(lambda _: run.chat().status_code, range(9)))
    assert sorted(answers) == [200] * 8 + [429]


def test_the_least_busy_takes_the_next_call(spillway: Spillway) -> None:
    run = spillway(config(entry("east"), entry("west"), settings="routing_strategy: least-busy"))
    run.sim.fault(delay_ms=900, times=None)
    with ThreadPoolExecutor(6) as pool:
        served = [served_by(one) for one in pool.map(lambda _: run.chat(), range(6))]
    assert (served.count("east-gpt-4o"), served.count("west-gpt-4o")) == (3, 3)


def test_the_cheapest_serves(spillway: Spillway) -> None:
    entries = [entry("east"), entry("west", deployment="gpt-4o-mini"), entry("east", deployment="gpt-4.1")]
    run = spillway(config(*entries, settings="routing_strategy: cost-based-routing"))
    assert {served_by(run.chat()) for _ in range(6)} == {"west-gpt-4o-mini"}


def test_the_fastest_serves_when_each_was_tried(spillway: Spillway) -> None:
    run = spillway(config(entry("east"), entry("west"), settings="routing_strategy: latency-based-routing"))
    run.sim.fault(resource="east", delay_ms=600, times=None)
    served = [served_by(run.chat()) for _ in range(6)]
    assert set(served[:2]) == {"east-gpt-4o", "west-gpt-4o"}
    assert set(served[2:]) == {"west-gpt-4o"}


@pytest.mark.parametrize("strategy", ["usage-based-routing", "usage-based-routing-v2"])
def test_the_larger_is_used_as_much_more(spillway: Spillway, strategy: str) -> None:
    entries = entry("east", params=", rpm: 120"), entry("west", params=", rpm: 360")
    run = spillway(config(*entries, settings=f"routing_strategy: {strategy}"))
    for _ in range(12):
        run.chat()
    assert (resources(run).count("east"), resources(run).count("west")) == (3, 9)


# Failures and cool-downs.


def test_so_many_failures_are_allowed_before_a_deployment_is_left_alone(spillway: Spillway) -> None:
    run = spillway(config(*BOTH, settings="allowed_fails: 2, cooldown_time: 1"))
    run.sim.fault(resource="east", status=500, times=3)
    assert {served_by(run.chat()) for _ in range(5)} == {"west-gpt-4o"}
    assert resources(run) == ["east", "west"] * 3 + ["west"] * 2
    assert verdicts(run)["east-gpt-4o"] == "cooling down after failures"
    time.sleep(1.05)
    assert served_by(run.chat()) == "east-gpt-4o"


def test_each_kind_of_failure_may_have_its_own_number(spillway: Spillway) -> None:
    settings = "allowed_fails_policy: {InternalServerErrorAllowedFails: 1, TimeoutErrorAllowedFails: 9}"
    run = spillway(config(*BOTH, settings=settings))
    run.sim.fault(resource="east", status=500, times=None)
    for _ in range(4):
        assert served_by(run.chat()) == "west-gpt-4o"
    assert resources(run) == ["east", "west"] * 2 + ["west"] * 2


def test_an_entrys_own_cool_down_wins(spillway: Spillway) -> None:
    entries = entry("east", params=", order: 1, cooldown_time: 30, allowed_fails: 0"), BOTH[1]
    run = spillway(config(*entries, settings="cooldown_time: 0.1, allowed_fails: 5"))
    run.sim.fault(resource="east", status=500)
    assert served_by(run.chat()) == "west-gpt-4o"
    time.sleep(0.3)
    assert served_by(run.chat()) == "west-gpt-4o"
    assert resources(run) == ["east", "west", "west"]


def test_without_cool_downs_each_call_asks_again(spillway: Spillway) -> None:
    run = spillway(config(*BOTH, settings="disable_cooldowns: true"))
    run.sim.fault(resource="east", status=500, times=None)
    for _ in range(3):
        assert served_by(run.chat()) == "west-gpt-4o"
    assert resources(run) == ["east", "west"] * 3


def test_the_only_deployment_of_a_model_is_asked_although_it_cools_down(spillway: Spillway) -> None:
    run = spillway(config(entry("east")))
    run.sim.fault(status=500)
    assert run.chat().status_code == 502
    assert served_by(run.chat()) == "east-gpt-4o"


# What a call asks for.

REGIONS = config(
    entry("east", params=", region_name: eastus"),
    entry("sweden", params=", region_name: Sweden Central"),
    entry("west"),
)


@pytest.mark.parametrize(
    ("region", "where"), [("eu", "sweden"), ("us", "east"), ("swedencentral", "sweden"), ("EastUS", "east")]
)
def test_a_call_that_names_a_region_stays_there(spillway: Spillway, region: str, where: str) -> None:
    run = spillway(REGIONS)
    assert {served_by(run.chat(allowed_model_region=region)) for _ in range(4)} == {f"{where}-gpt-4o"}
    assert "allowed_model_region" not in run.sent()[0]["json"]
    others = {name: why for name, why in verdicts(run, allowed_model_region=region).items() if why != "chosen"}
    assert others.keys() == {f"{one}-gpt-4o" for one in ("east", "sweden", "west") if one != where}
    assert set(others.values()) == {f"it is not known to be in {region}"}


def test_a_region_in_which_nothing_is_is_a_400(spillway: Spillway) -> None:
    run = spillway(REGIONS)
    answer = run.chat(allowed_model_region="japaneast")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "no_region")
    assert run.sent() == []


def test_a_prompt_goes_where_its_length_fits(spillway: Spillway) -> None:
    entries = entry("east", params=", order: 1", info=", max_input_tokens: 100"), BOTH[1]
    run = spillway(config(*entries, settings="enable_pre_call_checks: true"))
    assert served_by(run.chat("short")) == "east-gpt-4o"
    assert served_by(run.chat("word " * 400)) == "west-gpt-4o"
    assert resources(run) == ["east", "west"]
    long = [{"role": "user", "content": "word " * 400}]
    assert verdicts(run, messages=long)["east-gpt-4o"] == "its context window is too short"


def test_without_that_check_azure_says_what_is_too_long(spillway: Spillway) -> None:
    entries = entry("east", params=", order: 1", info=", max_input_tokens: 100"), BOTH[1]
    run = spillway(config(*entries, settings="enable_pre_call_checks: false"))
    assert served_by(run.chat("word " * 400)) == "east-gpt-4o"


def test_no_more_calls_are_under_way_than_an_entry_says(spillway: Spillway) -> None:
    run = spillway(
        config(entry("east", params=", max_parallel_requests: 2"), settings="default_max_parallel_requests: 9")
    )
    run.sim.fault(delay_ms=900, times=None)
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: run.chat(), range(5)))
    assert sorted(one.status_code for one in answers) == [200] * 2 + [429] * 3
    refused = next(one for one in answers if one.status_code == 429)
    assert "(parallel requests)" in refused.json()["error"]["message"]
    assert run.chat().status_code == 200


def test_an_alias_has_the_deployments_and_the_fallbacks_of_its_model(spillway: Spillway) -> None:
    entries = entry("east", params=", rpm: 1"), entry("west", model="spare")
    run = spillway(config(*entries, settings="model_group_alias: {fast: gpt-4o}, fallbacks: [{gpt-4o: [spare]}]"))
    assert [served_by(run.chat(model="fast")) for _ in range(2)] == ["east-gpt-4o", "west-gpt-4o"]


@pytest.mark.parametrize("said", [{"disable_fallbacks": True}, {"fallbacks": []}])
@pytest.mark.parametrize(
    ("chain", "code"),
    [("context_window_fallbacks", "context_length_exceeded"), ("content_policy_fallbacks", "content_filter")],
)
def test_a_call_that_wants_no_fallbacks_has_none_of_any_kind(
    spillway: Spillway, chain: str, code: str, said: dict[str, Any]
) -> None:
    run = spillway(config(entry("east"), entry("west", model="other"), settings=f"{chain}: [{{gpt-4o: [other]}}]"))
    run.sim.fault(resource="east", status=400, body={"error": {"code": code, "message": "no", "param": "messages"}})
    answer = run.chat(**said)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert resources(run) == ["east"]


# A form says it in text.


def heard(run: Running, **fields: Any) -> httpx.Response:
    file = ("a.wav", b"RIFF" + bytes(2000))
    return run.http.post("/v1/audio/transcriptions", data={"model": "hear", **fields}, files={"file": file})


def hearing(resource: str, model: str = "hear", **params: Any) -> str:
    written = "".join(f", {name}: {value}" for name, value in params.items())
    return entry(resource, deployment="whisper", model=model, params=written)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({}, ["east", "west"]),
        ({"num_retries": "0", "disable_fallbacks": "true"}, ["east"]),
        ({"disable_fallbacks": "true"}, ["east", "west"]),
        ({"num_retries": "0"}, ["east", "sweden"]),
        ({"num_retries": "0", "fallbacks[]": ["other"]}, ["east", "west"]),
        ({"num_retries": "0", "fallbacks": "other"}, ["east", "west"]),
        ({"tags[]": ["paid"]}, ["west"]),
        ({"tags": "paid"}, ["west"]),
    ],
)
def test_a_form_may_say_how_it_is_routed(spillway: Spillway, fields: dict[str, Any], where: list[str]) -> None:
    entries = [
        hearing("east", order=1, tags="[free, default]"),
        hearing("west", order=2, tags="[paid, default]"),
        hearing("sweden", model="spare", tags="[default]"),
        hearing("west", model="other", tags="[default]").replace("west-whisper", "other"),
    ]
    run = spillway(config(*entries, settings="fallbacks: [{hear: [spare]}], enable_tag_filtering: true"))
    run.sim.fault(resource="east", status=503, times=None)
    heard(run, **fields)
    sent = run.sim.requests()
    assert [one["path"].split("/")[1] for one in sent] == where
    for name in ("num_retries", "fallbacks", "tags"):
        assert f'"{name}' not in sent[-1]["body"]


@pytest.mark.parametrize("wrong", [{"num_retries": "many"}, {"num_retries": "99"}, {"disable_fallbacks": "perhaps"}])
def test_a_form_that_says_it_wrongly_is_a_400_that_names_it(spillway: Spillway, wrong: dict[str, str]) -> None:
    run = spillway(config(hearing("east")))
    answer = heard(run, **wrong)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(wrong)))
    assert run.sim.requests() == []


# Deployments of one name whose models differ.

O_FIRST = (
    entry("east", deployment="o4-mini", params=", order: 1"),
    entry("west", deployment="gpt-4o", params=", order: 2"),
)


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_goes_to_a_deployment_whose_model_takes_its_parameters(spillway: Spillway, stream: bool) -> None:
    run = spillway(config(*O_FIRST))
    assert served_by(run.chat(stream=stream)) == "east-o4-mini"
    answer = run.chat(stream=stream, temperature=0.3)
    assert (served_by(answer), answer.headers["x-spillway-attempts"]) == ("west-gpt-4o", "1")
    assert resources(run) == ["east", "west"]
    run.await_rest()
    assert run.gateway.router.states["east-o4-mini"].used()[1] == 1  # what was not sent is not counted


def test_the_router_explains_which_model_does_not_take_it(spillway: Spillway) -> None:
    run = spillway(config(*O_FIRST))
    expected = {"east-o4-mini": "its model does not take `temperature`", "west-gpt-4o": "chosen"}
    assert verdicts(run, temperature=0.3) == expected
    assert verdicts(run) == {"east-o4-mini": "chosen", "west-gpt-4o": "later"}


def test_the_router_explains_nothing_that_would_be_a_400(spillway: Spillway) -> None:
    run = spillway(config(O_FIRST[0]))
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}], "temperature": 0.3}
    answer = run.http.post("/v1/router/explain", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "temperature")


def test_a_parameter_that_no_model_of_the_name_takes_is_a_400(spillway: Spillway) -> None:
    run = spillway(config(O_FIRST[0], entry("west", deployment="o3", params=", order: 2")))
    answer = run.chat(temperature=0.3)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "temperature")
    assert run.sent() == []
    run.await_rest()
    assert {state.used() for state in run.gateway.router.states.values()} == {(0, 0, 0)}


def test_where_the_one_that_takes_it_is_full_that_is_said(spillway: Spillway) -> None:
    run = spillway(config(O_FIRST[0], entry("west", params=", order: 2, rpm: 1")))
    answers = [run.chat(temperature=0.3) for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 429]
    assert "gpt-4o (requests per minute)" in answers[1].json()["error"]["message"]


def test_a_parameter_is_dropped_at_an_entry_that_drops_it(spillway: Spillway) -> None:
    dropping = entry("west", deployment="o4-mini", params=", order: 2, drop_params: true")
    run = spillway(config(O_FIRST[0], dropping))
    assert served_by(run.chat(temperature=0.3)) == "west-o4-mini"
    assert "temperature" not in run.sent()[0]["json"]


def test_a_model_that_is_known_not_to_chat_is_not_asked_to_where_another_can(spillway: Spillway) -> None:
    entries = entry("west", deployment="gpt-5-codex", params=", order: 1"), entry("east", params=", order: 2")
    run = spillway(config(*entries))
    assert served_by(run.chat()) == "east-gpt-4o"
    made = run.http.post("/v1/responses", json={"model": "gpt-4o", "input": "hello"})
    assert served_by(made) == "west-gpt-5-codex"
    again = {"model": "gpt-4o", "input": "again", "previous_response_id": made.json()["id"]}
    assert served_by(run.http.post("/v1/responses", json=again)) == "west-gpt-5-codex"
    assert verdicts(run).keys() == {"east-gpt-4o"}


def test_where_no_model_is_known_to_do_it_azure_is_asked(spillway: Spillway) -> None:
    run = spillway(config(entry("west", deployment="gpt-5-codex")))
    assert run.chat().status_code == 400
    assert len(run.sent()) == 1
