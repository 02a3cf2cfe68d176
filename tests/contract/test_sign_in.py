"""A managed identity against an identity endpoint that is slow, throttles, fails or talks nonsense, for real."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from shared.upstream.credentials import EntraToken
    from tests.conftest import Running, Spillway

MANAGED = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, auth: managed_identity}
"""
WITH_A_KEYED_SECOND = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, auth: managed_identity, order: 1}
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/west, api_key: sim-key-west, order: 2}
"""
PLATFORM_ERROR = {"statusCode": 500, "message": "An unexpected error occurred while fetching the AAD Token."}


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch, _simulator: tuple[str, Any]) -> None:
    """The simulator plays App Service's identity endpoint."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", _simulator[0] + "/_sim/identity/token")
    monkeypatch.setenv("IDENTITY_HEADER", "sim-identity-header")


def issued(run: Running) -> int:
    return int(run.sim.identity()["issued"])


def asked(run: Running) -> int:
    return sum(one["operation"] == "identity" for one in run.sim.requests())


def token_of(run: Running) -> EntraToken:
    """The one token that the running gateway holds."""
    [(token, _)] = run.gateway.sign_ins._tokens.values()
    return token


def ask_at_once(run: Running, count: int) -> list[httpx.Response]:
    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=run.url, headers={"api-key": run.key}, timeout=20) as client:
            body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
            return list(await asyncio.gather(*(client.post("/v1/chat/completions", json=body) for _ in range(count))))

    return asyncio.run(ask())


def test_callers_of_a_slow_endpoint_wait_together(spillway: Spillway) -> None:
    run = spillway(MANAGED)
    run.sim.fault(operation="identity", delay_ms=700)
    assert [answer.status_code for answer in ask_at_once(run, 20)] == [200] * 20
    assert (issued(run), asked(run)) == (1, 1)


def test_a_token_is_renewed_ahead_of_its_expiry_while_the_old_one_serves(spillway: Spillway) -> None:
    run = spillway(MANAGED)
    run.sim.identity(lifetime_s=120)
    assert run.chat().status_code == 200
    token_of(run)._renew_at = 0.0  # as if most of its life had passed
    run.sim.fault(operation="identity", delay_ms=1500)
    started = time.monotonic()
    assert run.chat().status_code == 200
    assert time.monotonic() - started < 1.0
    run.await_rest()
    assert issued(run) == 2
    assert [one["status"] for one in run.sent()] == [200, 200]


def test_a_renewal_that_fails_leaves_the_old_token_in_use(spillway: Spillway) -> None:
    run = spillway(MANAGED)
    run.sim.identity(lifetime_s=120)
    assert run.chat().status_code == 200
    token_of(run)._renew_at = 0.0
    run.sim.fault(operation="identity", status=400, body=PLATFORM_ERROR, times=None)
    assert [run.chat().status_code for _ in range(3)] == [200] * 3
    run.await_rest()
    assert asked(run) == 2  # the next renewal comes later
    assert any("signing in to Azure failed" in line for line in run.log.messages)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_endpoint_that_fails_once_is_asked_again(spillway: Spillway, status: int) -> None:
    run = spillway(MANAGED)
    headers: dict[str, str | None] = {"retry-after": None, "retry-after-ms": None}
    run.sim.fault(operation="identity", status=status, body=PLATFORM_ERROR, headers=headers)
    answer = run.chat()
    assert (answer.status_code, answer.headers["x-spillway-attempts"]) == (200, "1")
    assert (issued(run), asked(run)) == (1, 2)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 200, "body": "<html>not JSON</html>"},
        {"status": 200, "body": "{"},
        {"status": 200, "body": {"token": "of another shape"}},
        {"empty": True},
        {"status": 400, "body": PLATFORM_ERROR},
        {"status": 404, "body": "nothing here"},
    ],
    ids=["html", "cut JSON", "other shape", "empty", "refused", "not found"],
)
def test_nonsense_is_one_502_that_names_no_secret(spillway: Spillway, fault: dict[str, Any]) -> None:
    run = spillway(MANAGED)
    run.sim.fault(operation="identity", times=None, **fault)
    answer = run.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_misconfigured")
    assert run.sent() == []
    assert any("signing in to Azure failed" in line for line in run.log.messages)
    run.assert_discreet(answer.text)
    run.await_rest()


def test_an_endpoint_that_recovers_serves_the_next_call(spillway: Spillway) -> None:
    run = spillway(MANAGED)
    run.sim.fault(operation="identity", status=400, body=PLATFORM_ERROR)
    assert run.chat().status_code == 502
    assert run.chat().status_code == 200


def test_a_deployment_that_cannot_sign_in_gives_way_to_one_that_can(spillway: Spillway) -> None:
    run = spillway(WITH_A_KEYED_SECOND)
    run.sim.fault(operation="identity", status=400, body=PLATFORM_ERROR, times=None)
    answer = run.chat()
    assert (answer.status_code, answer.headers["x-spillway-attempts"]) == (200, "2")
    assert [one["resource"] for one in run.sent()] == ["west"]


def test_two_scopes_are_two_tokens_and_two_entries_of_one_scope_share_theirs(spillway: Spillway) -> None:
    entries = "".join(
        f"  - model_name: m{i}\n    litellm_params: {{model: azure/gpt-4o, api_base: $SIM/{base}, "
        "auth: managed_identity}\n"
        for i, base in enumerate(("east", "west", "east/openai/v1"))
    )
    run = spillway("model_list:\n" + entries)
    for i in range(3):
        assert run.chat(model=f"m{i}").status_code == 200
    assert issued(run) == 2


def test_each_entry_may_have_an_identity_of_its_own(spillway: Spillway) -> None:
    ids = ["22222222-2222-4222-8222-222222222222", "33333333-3333-4333-8333-333333333333"]
    entries = "".join(
        f"  - model_name: m{i}\n    litellm_params: {{model: azure/gpt-4o, api_base: $SIM/east, "
        f"auth: managed_identity, client_id: {client}}}\n"
        for i, client in enumerate(ids)
    )
    run = spillway("model_list:\n" + entries)
    run.sim.identity(roles={ids[1]: None})
    assert run.chat(model="m0").status_code == 200
    assert run.chat(model="m1").status_code == 502


def test_a_key_beside_a_token_signs_alone(spillway: Spillway) -> None:
    run = spillway(MANAGED.replace("auth: managed_identity", "api_key: sim-key-east, azure_ad_token: t"))
    assert run.chat().status_code == 200
    headers = run.sent()[0]["headers"]
    assert "api-key" in headers
    assert "authorization" not in headers
