"""`GET /metrics` over sockets: what calls come to, and who may ask."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Running, Spillway

OPERATIONS = ("metrics",)

SPILLING = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east, order: 1}
    model_info: {id: first, mode: chat, base_model: azure/gpt-4o}
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/west, api_key: sim-key-west, order: 2}
    model_info: {id: second, mode: chat, base_model: azure/gpt-4o}
"""


def scraped(live: Running) -> dict[tuple[str, str, str], float]:
    """Samples by name, model_id, and outcome, type or code."""
    text = live.http.get("/metrics").raise_for_status().text
    found: dict[tuple[str, str, str], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            told = sample.labels
            kind = told.get("outcome") or told.get("type") or told.get("code") or ""
            if "le" not in told:
                found[sample.name, told.get("model_id", ""), kind] = sample.value
    return found


def test_a_call_is_counted_with_its_tokens_and_its_time(spillway: Spillway) -> None:
    live = spillway()
    usage = live.chat().json()["usage"]
    live.calls(1)
    found = scraped(live)
    assert found["spillway_calls_total", "east-gpt-4o", "ok"] == 1
    assert found["spillway_tokens_total", "east-gpt-4o", "input"] == usage["prompt_tokens"]
    assert found["spillway_tokens_total", "east-gpt-4o", "output"] == usage["completion_tokens"]
    assert found["spillway_call_duration_seconds_count", "east-gpt-4o", ""] == 1


def test_a_call_that_spills_over_is_told_by_deployment(spillway: Spillway) -> None:
    live = spillway(SPILLING)
    live.sim.fault(resource="east", status=429)
    assert live.chat().status_code == 200
    live.calls(1)
    found = scraped(live)
    assert found["spillway_throttles_total", "first", ""] == 1
    assert (found["spillway_calls_total", "second", "ok"], found["spillway_spills_total", "second", ""]) == (1, 1)
    assert found["spillway_retries_total", "second", ""] == 1


def test_a_refused_call_is_counted_by_its_code(spillway: Spillway) -> None:
    live = spillway()
    assert live.chat(model="nobody").status_code == 404
    live.calls(1)
    assert scraped(live)["spillway_errors_total", "", "model_not_found"] == 1


def test_gauges_are_of_this_moment(spillway: Spillway) -> None:
    live = spillway()
    live.chat()
    live.await_rest()
    found = scraped(live)
    assert (found["spillway_calls_under_way", "", ""], found["spillway_in_flight", "east-gpt-4o", ""]) == (0, 0)


@pytest.mark.parametrize(("key", "status"), [("sk-wrong", 401), (None, 401)])
def test_only_the_master_key_may_ask(spillway: Spillway, key: str | None, status: int) -> None:
    live = spillway()
    headers = {"authorization": "Bearer " + key} if key else {"authorization": ""}
    assert live.http.get("/metrics", headers=headers).status_code == status


def test_the_answer_tells_no_address(spillway: Spillway) -> None:
    live = spillway()
    live.chat()
    live.assert_discreet(live.http.get("/metrics").text)


def test_a_prompt_is_not_logged_unless_the_operator_asks_for_it(spillway: Spillway) -> None:
    live = spillway()
    live.chat("a secret of the caller")
    live.calls(1)
    assert "a secret of the caller" not in "\n".join(live.log.messages)


def test_a_prompt_is_logged_where_the_operator_asks_for_it(spillway: Spillway) -> None:
    live = spillway(SPILLWAY_LOG_PROMPTS="true")
    live.chat("a secret of the caller")
    live.calls(1)
    assert [line for line in live.log.messages if line.startswith("prompt of") and "a secret of the caller" in line]
