"""Routing over sockets: limits, failover, provisioned throughput first, tags, fallbacks, retries, and explanations."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from devtools.serving import serving
from devtools.simulator import create_app
from tests.contract.routing_world import config, entry, resources, served_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Running, Spillway

OPERATIONS = ("chat_completions", "router_explain")


BOTH = (entry("east", params=", order: 1"), entry("west", params=", order: 2"))


def test_five_a_minute_are_five_of_eight(spillway: Spillway) -> None:
    run = spillway(config(entry("east", params=", rpm: 5")))
    answers = [run.chat() for _ in range(8)]
    assert [one.status_code for one in answers] == [200] * 5 + [429] * 3
    assert len(run.sent()) == 5
    refusal = answers[5]
    assert 50_000 <= int(refusal.headers["retry-after-ms"]) <= 61_000
    assert "(requests per minute)" in refusal.json()["error"]["message"]
    assert "gpt-4o" in refusal.json()["error"]["message"]
    run.assert_discreet(refusal.text)


def test_a_deployment_that_is_full_spills_to_the_next(spillway: Spillway) -> None:
    run = spillway(config(entry("east", params=", order: 1, rpm: 2"), entry("west", params=", order: 2, rpm: 2")))
    assert [one.headers.get("x-spillway-model-id") for one in (run.chat() for _ in range(5))] == [
        "east-gpt-4o",
        "east-gpt-4o",
        "west-gpt-4o",
        "west-gpt-4o",
        None,
    ]
    assert len(run.sent()) == 4


def test_tokens_are_counted_before_they_are_sent(spillway: Spillway) -> None:
    run = spillway(config(entry("east", params=", tpm: 1000")))
    answers = [run.chat(max_tokens=400) for _ in range(2)]
    refusal = run.chat(max_tokens=980)
    assert [one.status_code for one in answers] == [200, 200]
    assert (refusal.status_code, len(run.sent())) == (429, 2)
    assert "(tokens per minute)" in refusal.json()["error"]["message"]


def test_twelve_calls_at_once_never_take_more_than_the_tokens_of_a_minute(spillway: Spillway) -> None:
    """LiteLLM counts tokens after an answer: there all twelve are served, 2.8 times the limit."""
    run = spillway(config(entry("east", params=", tpm: 1000")))
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: run.chat("[[sim first_ms=1500 chunks=5]]", max_tokens=220), range(12)))
    statuses = [one.status_code for one in answers]
    assert (statuses.count(200), statuses.count(429)) == (4, 8)
    assert len(run.sent()) == 4


def test_a_429_fails_over_and_the_deployment_is_left_alone_as_long_as_it_said(spillway: Spillway) -> None:
    run = spillway(config(*BOTH))
    run.sim.fault(resource="east", status=429, headers={"retry-after-ms": "700", "retry-after": "1"}, times=1)
    assert served_by(run.chat()) == "west-gpt-4o"
    assert served_by(run.chat()) == "west-gpt-4o"
    assert resources(run) == ["east", "west", "west"]
    time.sleep(0.75)
    assert served_by(run.chat()) == "east-gpt-4o"


def test_where_all_are_told_to_wait_the_client_hears_the_soonest_end(spillway: Spillway) -> None:
    run = spillway(config(*BOTH))
    for resource, ms in (("east", "9000"), ("west", "4000")):
        run.sim.fault(resource=resource, status=429, headers={"retry-after-ms": ms, "retry-after": "9"}, times=None)
    for _ in range(2):
        answer = run.chat()
        assert answer.status_code == 429
        assert 3000 < int(answer.headers["retry-after-ms"]) <= 4000
    assert len(run.sent()) == 2
    assert "told to wait by Azure" in answer.json()["error"]["message"]


PTU = (entry("west"), entry("east", deployment="gpt-4o-ptu", info=", provisioned: true"))


def test_provisioned_throughput_is_used_first_and_again_when_it_has_room(spillway: Spillway) -> None:
    run = spillway(config(*PTU))
    before = served_by(run.chat())
    run.sim.fault(deployment="gpt-4o-ptu", status=429, headers={"retry-after-ms": "600", "retry-after": "1"})
    during = [served_by(run.chat()), served_by(run.chat())]
    time.sleep(0.65)
    assert (before, during, served_by(run.chat())) == ("east-gpt-4o-ptu", ["west-gpt-4o"] * 2, "east-gpt-4o-ptu")


def test_a_full_provisioned_deployment_spills_without_an_error(spillway: Spillway) -> None:
    run = spillway(config(*PTU))
    run.sim.deployment("east", "gpt-4o-ptu", tpm=1000)
    where = [served_by(run.chat("hello [[sim chunks=200]]")) for _ in range(12)]
    assert where[:2] == ["east-gpt-4o-ptu"] * 2
    assert where[-3:] == ["west-gpt-4o"] * 3
    assert resources(run).count("east") < 8


def test_the_lowest_order_serves_and_the_next_takes_over_what_it_fails(spillway: Spillway) -> None:
    run = spillway(config(BOTH[1], BOTH[0]))
    assert {served_by(run.chat()) for _ in range(5)} == {"east-gpt-4o"}
    run.sim.fault(resource="east", status=500)
    assert served_by(run.chat()) == "west-gpt-4o"


def test_after_a_failure_of_the_server_no_spill_where_that_is_switched_off(spillway: Spillway) -> None:
    run = spillway(config(*BOTH, settings="spill_on_5xx: false"))
    run.sim.fault(resource="east", status=500)
    assert run.chat().status_code == 502
    assert resources(run) == ["east"]


TAGGED = config(
    entry("east", params=", tags: [free]"),
    entry("west", params=", tags: [paid]"),
    entry("sweden", params=", tags: [default]"),
    settings="enable_tag_filtering: true",
)


@pytest.mark.parametrize(
    ("body", "headers", "where"),
    [
        ({"tags": ["free"]}, {}, "east"),
        ({"metadata": {"tags": ["paid"]}}, {}, "west"),
        ({}, {"x-litellm-tags": "paid"}, "west"),
        ({}, {}, "sweden"),
        ({"tags": ["other"]}, {}, "sweden"),
    ],
)
def test_a_tagged_call_goes_where_its_tags_are(
    spillway: Spillway, body: dict[str, Any], headers: dict[str, str], where: str
) -> None:
    run = spillway(TAGGED)
    for _ in range(3):
        assert served_by(run.chat(headers=headers, **body)) == f"{where}-gpt-4o"


def test_tags_that_nothing_has_are_a_bad_request(spillway: Spillway) -> None:
    run = spillway(config(entry("east", params=", tags: [free]"), settings="enable_tag_filtering: true"))
    answer = run.chat(tags=["paid"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "no_matching_tags")
    assert run.sent() == []


def test_what_a_request_says_of_routing_never_reaches_the_model(spillway: Spillway) -> None:
    run = spillway(config(*BOTH))
    said: dict[str, Any] = {
        "fallbacks": [],
        "num_retries": 1,
        "tags": ["a"],
        "disable_fallbacks": False,
        "metadata": {"tags": ["b"]},
    }
    served_by(run.chat(**said))
    [sent] = run.sent()
    assert sent["json"].keys() & {"fallbacks", "num_retries", "tags", "disable_fallbacks"} == set()
    assert "tags" not in sent["json"].get("metadata", {})


@pytest.mark.parametrize(
    "wrong",
    [{"num_retries": "2"}, {"num_retries": 11}, {"fallbacks": "mini"}, {"tags": [1]}, {"disable_fallbacks": "yes"}],
)
def test_routing_that_cannot_be_read_is_a_bad_request_that_names_it(spillway: Spillway, wrong: dict[str, Any]) -> None:
    run = spillway()
    answer = run.chat(**wrong)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(wrong)))
    assert run.sent() == []


MODELS = (entry("east"), entry("west", model="mini", deployment="gpt-4o-mini"), entry("sweden", model="large"))


def test_another_model_takes_over_when_a_model_fails(spillway: Spillway) -> None:
    run = spillway(config(*MODELS, settings="fallbacks: [{gpt-4o: [mini]}]"))
    run.sim.fault(resource="east", status=503, times=None)
    assert served_by(run.chat()) == "west-gpt-4o-mini"


def test_another_model_takes_over_when_a_model_is_full(spillway: Spillway) -> None:
    run = spillway(config(entry("east", params=", rpm: 1"), *MODELS[1:], settings="fallbacks: [{gpt-4o: [mini]}]"))
    assert [served_by(run.chat()) for _ in range(2)] == ["east-gpt-4o", "west-gpt-4o-mini"]


def test_default_fallbacks_are_for_every_model(spillway: Spillway) -> None:
    run = spillway(config(*MODELS, settings="default_fallbacks: [large]"))
    run.sim.fault(resource="east", status=503, times=None)
    assert served_by(run.chat()) == "sweden-gpt-4o"


def test_a_requests_own_fallbacks_win(spillway: Spillway) -> None:
    run = spillway(config(*MODELS, settings="fallbacks: [{gpt-4o: [mini]}]"))
    run.sim.fault(resource="east", status=503, times=None)
    assert served_by(run.chat(fallbacks=["large"])) == "sweden-gpt-4o"


@pytest.mark.parametrize("said", [{"disable_fallbacks": True}, {"fallbacks": []}])
def test_a_request_may_want_no_fallbacks(spillway: Spillway, said: dict[str, Any]) -> None:
    run = spillway(config(*MODELS, settings="fallbacks: [{gpt-4o: [mini]}]"))
    run.sim.fault(resource="east", status=503, times=None)
    assert run.chat(**said).status_code == 503
    assert set(resources(run)) == {"east"}


def test_a_prompt_that_is_too_long_goes_to_the_model_for_that(spillway: Spillway) -> None:
    chains = "fallbacks: [{gpt-4o: [mini]}], context_window_fallbacks: [{gpt-4o: [long]}]"
    run = spillway(config(*MODELS, entry("west", model="long", deployment="gpt-4.1"), settings=chains))
    over = {"error": {"code": "context_length_exceeded", "message": "too long", "param": "messages", "type": "x"}}
    run.sim.fault(resource="east", status=400, body=over)
    assert served_by(run.chat()) == "west-gpt-4.1"


def test_a_filtered_prompt_goes_to_the_model_for_that(spillway: Spillway) -> None:
    run = spillway(
        config(*MODELS, settings="fallbacks: [{gpt-4o: [mini]}], content_policy_fallbacks: [{gpt-4o: [large]}]")
    )
    over = {"error": {"code": "content_filter", "message": "filtered", "param": "prompt", "status": 400}}
    run.sim.fault(resource="east", status=400, body=over)
    assert served_by(run.chat()) == "sweden-gpt-4o"


def test_a_filtered_prompt_goes_nowhere_else_without_one(spillway: Spillway) -> None:
    run = spillway(config(*MODELS, settings="fallbacks: [{gpt-4o: [mini]}]"))
    answer = run.chat("hello [[sim filter]]")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_filter")
    assert resources(run) == ["east"]


def test_a_request_may_be_tried_again_where_nothing_else_is(spillway: Spillway) -> None:
    run = spillway(config(entry("east")))
    run.sim.fault(status=500, times=2)
    answer = run.chat(num_retries=2)
    assert (served_by(answer), answer.headers["x-spillway-attempts"]) == ("east-gpt-4o", "3")


def test_a_request_may_want_no_retry(spillway: Spillway) -> None:
    run = spillway(config(*BOTH))
    run.sim.fault(resource="east", status=500)
    assert run.chat(num_retries=0).status_code == 502
    assert resources(run) == ["east"]


@pytest.mark.parametrize(("retries", "status"), [(0, 502), (2, 200)])
def test_a_retry_policy_has_the_word_on_its_kind_of_failure(spillway: Spillway, retries: int, status: int) -> None:
    run = spillway(config(entry("east"), settings=f"retry_policy: {{InternalServerErrorRetries: {retries}}}"))
    run.sim.fault(status=500, times=2)
    assert run.chat().status_code == status


def test_a_call_may_wait_for_room(spillway: Spillway) -> None:
    run = spillway(config(entry("east"), settings="max_wait_ms: 2000"))
    run.sim.fault(status=429, headers={"retry-after-ms": "400", "retry-after": "1"})
    started = time.monotonic()
    answer = run.chat()
    assert (served_by(answer), answer.headers["x-spillway-attempts"]) == ("east-gpt-4o", "2")
    assert 0.35 < time.monotonic() - started < 2


def test_a_call_does_not_wait_for_room_that_comes_too_late(spillway: Spillway) -> None:
    run = spillway(config(entry("east"), settings="max_wait_ms: 300"))
    run.sim.fault(status=429, headers={"retry-after-ms": "20000", "retry-after": "20"}, times=None)
    started = time.monotonic()
    assert run.chat().status_code == 429
    assert time.monotonic() - started < 0.3


def explain(run: Running, **body: Any) -> dict[str, Any]:
    answer = run.http.post(
        "/v1/router/explain", json={"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}], **body}
    )
    assert answer.status_code == 200, answer.text
    run.assert_discreet(answer.text)
    found: dict[str, Any] = answer.json()
    return found


def test_the_router_explains_itself_and_sends_nothing(spillway: Spillway) -> None:
    run = spillway(config(*BOTH, entry("sweden", params=", order: 1")))
    found = explain(run, max_tokens=50)
    verdicts = {one["model_id"]: one["verdict"] for one in found["candidates"]}
    assert verdicts.pop(found["chosen"]["model_id"]) == "chosen"
    assert sorted(verdicts.values()) == ["could serve", "later"]
    assert verdicts["west-gpt-4o"] == "later"
    assert found["estimate"]["max_output_tokens"] == 50
    assert run.sim.requests() == []


def test_the_router_explains_what_speaks_against_each(spillway: Spillway) -> None:
    run = spillway(TAGGED.replace("tags: [free]", "tags: [paid], rpm: 1, order: 1"))
    served = {served_by(run.chat(tags=["paid"])) for _ in range(3)}
    assert "west-gpt-4o" in served
    sent = len(run.sent())
    found = explain(run, tags=["paid"])
    verdicts = {one["model_id"]: one["verdict"] for one in found["candidates"]}
    assert verdicts == {
        "east-gpt-4o": "requests per minute",
        "west-gpt-4o": "chosen",
        "sweden-gpt-4o": "it does not have the tags paid",
    }
    assert len(run.sent()) == sent


def test_the_router_explains_when_there_will_be_room(spillway: Spillway) -> None:
    run = spillway(config(entry("east", params=", rpm: 1")))
    run.chat()
    found = explain(run)
    assert found["chosen"] is None
    assert 50_000 < found["retry_after_ms"] <= 61_000


def test_the_router_explains_a_call_that_is_bound_to_its_resource(spillway: Spillway) -> None:
    """It goes there whatever its tags say, so that is what is explained."""
    run = spillway(
        config(
            *(entry(one, deployment="azure-openai-4o-audio", params=", tags: [paid]") for one in ("east", "west")),
            settings="enable_tag_filtering: true",
        )
    )
    spoken: dict[str, Any] = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}
    first = run.chat(tags=["paid"], **spoken)
    where = served_by(first)
    messages = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "audio": {"id": first.json()["choices"][0]["message"]["audio"]["id"]}},
        {"role": "user", "content": "again"},
    ]
    found = explain(run, tags=["free"], messages=messages, **spoken)
    assert [one["model_id"] for one in found["candidates"]] == [where]
    assert found["chosen"]["model_id"] == where
    answer = run.chat(tags=["free"], messages=messages, **spoken)
    assert served_by(answer) == where


def test_the_router_explains_nothing_without_a_key(spillway: Spillway) -> None:
    run = spillway()
    answer = run.http.post("/v1/router/explain", json={"model": "gpt-4o"}, headers={"authorization": "Bearer no"})
    assert answer.status_code == 401


@pytest.fixture
def openai_url() -> Iterator[str]:
    """The simulator in OpenAI's place: its v1 surface alone, where `gpt-4o` is a model."""
    with serving(create_app()) as url:
        yield url


def test_azure_and_openai_serve_one_model_together(spillway: Spillway, openai_url: str) -> None:
    other = (
        "  - model_name: gpt-4o\n"
        f"    litellm_params: {{model: openai/gpt-4o, api_base: {openai_url}/east/openai/v1, api_key: sim-key-east}}\n"
        "    model_info: {id: at-openai}\n"
    )
    run = spillway(config(entry("east"), other, settings="routing_strategy: simple-shuffle"))
    where = {served_by(run.chat()) for _ in range(40)}
    assert where == {"east-gpt-4o", "at-openai"}
    run.sim.fault(resource="east", status=503, headers={"retry-after": "5"}, times=None)
    assert {served_by(run.chat()) for _ in range(5)} == {"at-openai"}


def dead_storage() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=a2V5;"
        f"TableEndpoint=http://127.0.0.1:{port}/devstoreaccount1;BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1"
    )


def test_without_storage_calls_are_served_and_told_that_usage_is_local(spillway: Spillway) -> None:
    run = spillway(config(entry("east", params=", rpm: 6000")), AzureWebJobsStorage=dead_storage())
    first = run.chat()
    assert served_by(first) == "east-gpt-4o"
    until = time.monotonic() + 20
    while (answer := run.chat()).headers.get("x-spillway-usage") != "local":
        assert answer.status_code == 200
        assert time.monotonic() < until
        time.sleep(0.25)
    assert served_by(answer) == "east-gpt-4o"
    assert run.http.get("/health").json()["usage"] == "local"
    run.assert_discreet(answer.text)


def test_with_nothing_to_share_usage_is_not_called_local(spillway: Spillway) -> None:
    answer = spillway().chat()
    assert "x-spillway-usage" not in answer.headers
