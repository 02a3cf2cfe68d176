"""How calls are signed: keys, fixed tokens, and a managed identity whose tokens expire, are revoked or lack a role."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

ENTRY = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o
      api_base: $SIM/east%s
      %s
"""
MANAGED = ENTRY % ("", "auth: managed_identity")


def token(sim_url: str) -> str:
    """A token as `az account get-access-token` gives one."""
    answer = httpx.get(
        sim_url + "/_sim/identity/token",
        params={"resource": "https://cognitiveservices.azure.com", "api-version": "2019-08-01"},
        headers={"x-identity-header": "sim-identity-header"},
    )
    value: str = answer.json()["access_token"]
    return value


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch, _simulator: tuple[str, Any]) -> str:
    """The simulator plays App Service's identity endpoint; gives its URL."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", _simulator[0] + "/_sim/identity/token")
    monkeypatch.setenv("IDENTITY_HEADER", "sim-identity-header")
    return _simulator[0]


def issued(run: Running) -> int:
    return int(run.sim.identity()["issued"])


@pytest.mark.parametrize("surface", ["", "/openai/v1"])
def test_a_key_is_sent_as_api_key(spillway: Spillway, surface: str) -> None:
    run = spillway(ENTRY % (surface, "api_key: sim-key-east"))
    assert run.chat().status_code == 200
    headers = run.sent()[0]["headers"]
    assert headers["api-key"].startswith("sha256:")
    assert "authorization" not in headers


@pytest.mark.parametrize("surface", ["", "/openai/v1"])
def test_a_fixed_token_is_sent_as_a_bearer(spillway: Spillway, identity: str, surface: str) -> None:
    run = spillway(ENTRY % (surface, f"azure_ad_token: {token(identity)}"))
    assert run.chat().status_code == 200
    headers = run.sent()[0]["headers"]
    assert "authorization" in headers
    assert "api-key" not in headers


def test_the_key_of_the_environment_is_a_token_when_the_type_says_azure_ad(spillway: Spillway, identity: str) -> None:
    run = spillway(None, AZURE_API_BASE="$SIM/east", AZURE_API_KEY=token(identity), AZURE_API_TYPE="azure_ad")
    assert run.chat().status_code == 200
    assert "authorization" in run.sent()[0]["headers"]


def test_the_environments_token_serves(spillway: Spillway, identity: str) -> None:
    run = spillway(None, AZURE_API_BASE="$SIM/east", AZURE_AD_TOKEN=token(identity))
    assert run.chat().status_code == 200


def test_a_fixed_token_that_is_refused_is_sent_once(spillway: Spillway, identity: str) -> None:
    run = spillway(ENTRY % ("", f"azure_ad_token: {token(identity)}"))
    run.sim.revoke()
    assert run.chat().status_code == 502
    assert len(run.sent()) == 1


@pytest.mark.parametrize("surface", ["", "/openai/v1"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_managed_identity_signs_calls(spillway: Spillway, identity: str, surface: str, stream: bool) -> None:
    run = spillway(ENTRY % (surface, "auth: managed_identity"))
    assert run.chat(stream=stream).status_code == 200
    assert "api-key" not in run.sent()[0]["headers"]


def test_the_scope_is_that_of_the_surface(spillway: Spillway, identity: str) -> None:
    for surface, audience in (("", "https://cognitiveservices.azure.com"), ("/openai/v1", "https://ai.azure.com")):
        run = spillway(ENTRY % (surface, "auth: managed_identity"))
        run.chat()
        [asked] = [one for one in run.sim.requests() if one["operation"] == "identity"]
        assert asked["query"]["resource"] == audience
        run.sim.reset()


def test_a_user_assigned_identity_is_asked_for_by_its_client_id(spillway: Spillway, identity: str) -> None:
    run = spillway(ENTRY % ("", "auth: managed_identity\n      client_id: 22222222-2222-4222-8222-222222222222"))
    assert run.chat().status_code == 200
    [asked] = [one for one in run.sim.requests() if one["operation"] == "identity"]
    assert asked["query"]["client_id"] == "22222222-2222-4222-8222-222222222222"


def test_one_token_serves_many_calls(spillway: Spillway, identity: str) -> None:
    run = spillway(MANAGED)
    for _ in range(3):
        assert run.chat().status_code == 200
    assert issued(run) == 1


def test_a_revoked_token_is_replaced_once_and_the_call_succeeds(spillway: Spillway, identity: str) -> None:
    run = spillway(MANAGED)
    run.chat()
    run.sim.revoke()
    answer = run.chat()
    assert (answer.status_code, answer.headers["x-spillway-attempts"]) == (200, "1")
    assert [one["status"] for one in run.sent()] == [200, 401, 200]
    assert issued(run) == 2
    assert len(run.sim.bill()) == 2


def test_a_token_that_azure_finds_expired_is_replaced(spillway: Spillway, identity: str) -> None:
    run = spillway(MANAGED)
    run.chat()
    run.sim.advance(4000)
    assert run.chat().status_code == 200
    assert issued(run) == 2


def test_an_expired_token_is_replaced_before_it_is_sent(spillway: Spillway, identity: str) -> None:
    run = spillway(MANAGED)
    run.sim.identity(lifetime_s=2)
    assert run.chat().status_code == 200
    time.sleep(2)
    assert run.chat().status_code == 200
    assert issued(run) == 2
    assert [one["status"] for one in run.sent()] == [200, 200]


def test_a_missing_role_is_a_502_and_the_log_names_the_role(spillway: Spillway, identity: str) -> None:
    run = spillway(MANAGED)
    run.sim.identity(role=None)
    answer = run.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_misconfigured")
    assert answer.headers["x-should-retry"] == "false"
    assert any("Cognitive Services OpenAI User" in line for line in run.log.messages)
    run.assert_discreet(answer.text)


def test_an_identity_endpoint_that_fails_is_a_502_that_the_log_explains(spillway: Spillway, identity: str) -> None:
    run = spillway(MANAGED)
    run.sim.fault(operation="identity", status=400, body={"statusCode": 400, "message": "No such identity"}, times=None)
    answer = run.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_misconfigured")
    assert any("signing in to Azure failed" in line for line in run.log.messages)
    run.assert_discreet(answer.text)
    run.await_rest()


def test_a_hundred_calls_at_once_sign_in_once(spillway: Spillway, identity: str) -> None:
    run = spillway(MANAGED)

    async def ask() -> list[int]:
        async with httpx.AsyncClient(base_url=run.url, headers={"api-key": run.key}, timeout=20) as client:
            body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
            answers = await asyncio.gather(*(client.post("/v1/chat/completions", json=body) for _ in range(100)))
            return [answer.status_code for answer in answers]

    assert asyncio.run(ask()) == [200] * 100
    assert issued(run) == 1
