"""Budgets and limits of virtual keys over sockets, with the table in Azurite, through both SDKs."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from shared.callers.shares import BUDGET
from tests.conftest import await_true

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway
    from tests.contract.conftest import Client

OPERATIONS = ("key_generate", "key_info", "chat_completions")
CONFIG = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o
      api_base: $SIM/east
      api_key: sim-key-east
      input_cost_per_token: 0.00001
      output_cost_per_token: 0.0001
    model_info: {id: east, mode: chat}
general_settings: {budget_reserve_usd_max: 0.05}
"""


@pytest.fixture
def run(spillway: Spillway, azurite: str) -> Running:
    return spillway(CONFIG, AzureWebJobsStorage=azurite)


def generate(run: Running, **body: Any) -> dict[str, Any]:
    made: dict[str, Any] = run.http.post("/key/generate", json=body).raise_for_status().json()
    return made


def info(run: Running, key: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = run.http.get("/key/info", params={"key": key["key_id"]}).raise_for_status().json()["info"]
    return found


def ask(run: Running, key: dict[str, Any], **body: Any) -> httpx.Response:
    body = {"max_tokens": 20, **body}
    return run.chat("hello", headers={"authorization": f"Bearer {key['key']}"}, **body)


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_call_cost_is_spent_of_its_budget(run: Running, stream: bool) -> None:
    key = generate(run, max_budget=1)
    answer = ask(run, key, stream=stream)
    assert answer.status_code == 200
    await_true(lambda: info(run, key)["spend"] > 0, "the spend")
    told = run.calls()[-1]["cost_usd"]
    assert info(run, key)["spend"] == pytest.approx(told)
    assert info(run, key)["budget_left"] == pytest.approx(1 - told)


def test_over_budget_is_a_402_in_either_sdk(run: Running, client: Client) -> None:
    key = generate(run, max_budget=0.001, budget_duration="30d")
    run.key = key["key"]
    with pytest.raises(openai.APIStatusError) as raised:
        client(run).chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "hi"}], max_tokens=1000
        )
    assert (raised.value.status_code, raised.value.code, raised.value.type) == (402,) + ("insufficient_quota",) * 2
    headers = raised.value.response.headers
    assert headers["x-should-retry"] == "false"
    assert headers["x-spillway-key-budget-left-usd"] == "0.001"
    assert 29 * 86_400 < int(headers["x-spillway-key-budget-reset-s"]) <= 30 * 86_400
    assert "0.001 USD 0.001 are left" in raised.value.message
    assert run.sent() == []


def test_two_hundred_calls_at_once_spend_no_more_than_there_is(run: Running) -> None:
    key = generate(run, max_budget=0.02)

    def one(_: int) -> httpx.Response:
        with httpx.Client(base_url=run.url, timeout=30) as http:
            body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 20}
            return http.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key['key']}"})

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(one, range(200)))
    assert {answer.status_code for answer in answers} == {200, 402}
    spent = sum(float(answer.headers["x-spillway-cost-usd"]) for answer in answers if answer.status_code == 200)
    assert 0.01 < spent <= 0.02
    await_true(lambda: info(run, key)["spend"] == pytest.approx(spent), "the spend")
    run.await_rest()


def test_a_call_without_a_maximum_sets_aside_no_more_than_configured(run: Running) -> None:
    """Its longest answer would cost 1.6 USD."""
    key = generate(run, max_budget=0.06)
    assert ask(run, key, max_tokens=None).status_code == 200


def test_a_failed_call_costs_nothing(run: Running) -> None:
    key = generate(run, max_budget=1)
    run.sim.fault(status=500, times=5)
    assert ask(run, key).status_code == 502
    assert info(run, key)["spend"] == 0
    wallet = run.gateway.keys.purses._wallets[key["key_id"]]  # type: ignore[union-attr]
    assert wallet.holding.set_aside.get(BUDGET) == 0


def test_requests_per_minute_are_a_429_that_says_when(run: Running) -> None:
    key = generate(run, rpm_limit=2)
    assert [ask(run, key).status_code for _ in range(2)] == [200, 200]
    answer = ask(run, key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert answer.headers["x-should-retry"] == "true"
    assert 50_000 < int(answer.headers["retry-after-ms"]) < 66_000
    assert len(run.sent()) == 2


def test_tokens_per_minute_are_counted_as_they_were_used(run: Running) -> None:
    key = generate(run, tpm_limit=200)
    assert ask(run, key, max_tokens=150).status_code == 200
    assert ask(run, key, max_tokens=100).status_code == 200
    assert ask(run, key, max_tokens=190).status_code == 429


def test_an_answer_names_its_keys_budget_and_the_soft_one(run: Running) -> None:
    key = generate(run, max_budget=1, soft_budget=0.0001)
    first, second = ask(run, key), ask(run, key)
    assert first.headers["x-spillway-key-max-budget-usd"] == "1"
    assert float(second.headers["x-spillway-key-spend-usd"]) > 0
    assert second.headers["x-spillway-soft-budget"] == "exceeded"
    assert sum("soft budget" in message for message in run.log.messages) == 1


def test_spend_can_be_set_and_a_new_duration_keeps_it(run: Running) -> None:
    key = generate(run, max_budget=1, budget_duration="30d")
    ask(run, key)
    spent = info(run, key)["spend"]
    assert spent > 0
    changed = run.http.post("/key/update", json={"key": key["key"], "budget_duration": "1d"}).json()
    assert changed["spend"] == spent
    assert run.http.post("/key/update", json={"key": key["key"], "spend": 0}).json()["spend"] == 0
    assert ask(run, key).status_code == 200


def test_the_ledger_knows_the_key_its_alias_and_its_tags(run: Running) -> None:
    alias = f"team-{os.urandom(4).hex()}"
    key = generate(run, key_alias=alias, tags=["from-key"])
    ask(run, key, metadata={"tags": ["from-call"]})

    def logged() -> list[dict[str, Any]]:
        own = run.http.get("/spend/logs", headers={"authorization": f"Bearer {key['key']}"})
        found: list[dict[str, Any]] = own.raise_for_status().json()["data"]
        return found

    await_true(lambda: bool(logged()), "the entry")
    assert (logged()[0]["key_alias"], sorted(logged()[0]["tags"])) == (alias, ["from-call", "from-key"])
