"""The health routes over sockets: probes that cost nothing, and checks that the simulator's bill agrees with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.conftest import Spillway

OPERATIONS = ("health", "health_liveliness", "health_readiness")

CONFIG = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {mode: chat}
  - model_name: o4
    litellm_params: {model: azure/o4-mini, api_base: $SIM/east/openai/v1, api_key: sim-key-east}
    model_info: {mode: chat}
  - model_name: embed
    litellm_params: {model: azure/text-embedding-3-small, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {mode: embedding}
  - model_name: voice
    litellm_params: {model: azure/tts, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {mode: audio_speech}
  - model_name: gone
    litellm_params: {model: azure/no-such-deployment, api_base: $SIM/west, api_key: sim-key-west}
    model_info: {mode: chat}
  - model_name: locked
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/west, api_key: sim-key-wrong}
    model_info: {mode: chat}
"""
BATCH = """
model_list:
  - model_name: batches
    litellm_params: {model: azure/gpt-4o-batch, api_base: $SIM/west, api_key: sim-key-west}
    model_info: {mode: batch}
"""
OPEN = ["/health/liveliness", "/health/liveness", "/health/readiness", "/Health/Liveliness/"]


@pytest.mark.parametrize("path", OPEN)
def test_probes_need_no_key_and_ask_nobody(spillway: Spillway, path: str) -> None:
    run = spillway(CONFIG)
    for _ in range(50):
        assert httpx.get(run.url + path).status_code == 200
    assert run.sim.requests() == []


def test_liveliness_says_what_litellm_says(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    assert httpx.get(run.url + "/health/liveliness").json() == "I'm alive!"


def test_readiness_tells_no_name(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    assert httpx.get(run.url + "/health/readiness").json() == {"status": "healthy"}


def test_an_instance_without_room_is_not_ready(spillway: Spillway) -> None:
    run = spillway(CONFIG, SPILLWAY_CALLS_MAX="1")
    httpx.get(run.url + "/health/readiness")
    run.gateway._under_way = 1
    answer = httpx.get(run.url + "/health/readiness")
    run.gateway._under_way = 0
    assert (answer.status_code, answer.json()) == (503, {"status": "busy"})


def test_checks_need_a_key(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    assert httpx.get(run.url + "/health").status_code == 401
    assert httpx.get(run.url + "/health", headers={"api-key": "sk-wrong"}).status_code == 401
    assert run.sim.requests() == []


def test_an_anonymous_caller_may_not_have_deployments_checked(spillway: Spillway) -> None:
    run = spillway(CONFIG, SPILLWAY_ALLOW_ANONYMOUS="true")
    answer = httpx.get(run.url + "/health")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")


def test_every_deployment_is_told_healthy_or_not_by_its_own_check(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    answer = run.http.get("/health")
    found = answer.json()
    assert (found["healthy_count"], found["unhealthy_count"]) == (4, 2)
    checks = {one["model_name"]: one["check"] for one in found["healthy_endpoints"]}
    assert checks == {"gpt-4o": "chat", "o4": "chat", "embed": "embedding", "voice": "models"}
    codes = {one["model_name"]: one["code"] for one in found["unhealthy_endpoints"]}
    assert codes == {"gone": "DeploymentNotFound", "locked": "upstream_misconfigured"}
    run.assert_discreet(answer.text)
    assert run.sim_url not in answer.text


def test_what_checks_cost_is_recorded_to_the_token(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    run.http.get("/health")
    bill = run.sim.bill()
    calls = [one for one in run.calls(5) if one["usage_source"] == "upstream"]
    assert {one["operation"] for one in calls} == {"health"}
    assert sum(one["prompt_tokens"] for one in calls) == sum(line["prompt_tokens"] for line in bill)
    assert sum(one["completion_tokens"] for one in calls) == sum(line["completion_tokens"] for line in bill)
    assert max(line["completion_tokens"] for line in bill) <= 5


def test_a_storm_of_checks_is_billed_once(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    for _ in range(30):
        assert run.http.get("/health?model=gpt-4o").json()["healthy_count"] == 1
    assert len(run.sim.bill()) == 1


def test_a_batch_deployment_is_checked_by_listing_batches_and_never_by_a_chat(spillway: Spillway) -> None:
    run = spillway(BATCH)
    run.sim.fault(resource="west", status=200, body={"object": "list", "data": []}, times=None)
    found = run.http.get("/health").json()
    assert [one["check"] for one in found["healthy_endpoints"]] == ["batches"]
    [sent] = run.sim.requests()
    assert (sent["method"], sent["path"], sent["query"]["limit"]) == ("GET", "/west/openai/batches", "1")
    assert run.sim.bill() == []


def test_a_model_that_is_not_served_is_a_404(spillway: Spillway) -> None:
    answer = spillway(CONFIG).http.get("/health?model=gpt-9")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(("method", "path"), [("POST", "/health"), ("DELETE", "/health/readiness")])
def test_another_method_is_a_405(spillway: Spillway, method: str, path: str) -> None:
    answer = spillway(CONFIG).http.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("path", ["/v1/health", "/openai/health", "/openai/deployments/gpt-4o/health", "/health/x"])
def test_health_is_no_part_of_openais_api(spillway: Spillway, path: str) -> None:
    assert spillway(CONFIG).http.get(path).status_code == 404
