"""Who may do what: every route by every kind of caller (DESIGN §12)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from shared.operations.operation import Operation
from shared.operations.table import OPERATIONS as TABLE

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

OPERATIONS = ("zz_aliases",)
ANYBODY = {"health_liveliness", "health_readiness"}
MASTER_ONLY = {
    "health",
    "health_doctor",
    "metrics",
    "router_explain",
    "key_generate",
    "key_update",
    "key_delete",
    "key_block",
    "key_unblock",
    "key_regenerate",
    "key_list",
    "spend_calculate",
    "global_spend",
    "global_spend_keys",
    "global_spend_models",
    "global_activity",
    "user_daily_activity",
}
"""Everything that is neither is any key's, with its own models and its own things."""
REFUSED = {401, 403}
CALLERS = ("none", "wrong", "virtual", "blocked", "expired", "other", "master")


@pytest.fixture
def run(spillway: Spillway, azurite: str) -> Running:
    return spillway(AzureWebJobsStorage=azurite)


@pytest.fixture
def keys(run: Running) -> dict[str, dict[str, str]]:
    """The headers of each kind of caller."""

    def key(**body: Any) -> str:
        return str(run.http.post("/key/generate", json=body).raise_for_status().json()["key"])

    expired = key(duration="1s")
    made = {"virtual": key(), "other": key(), "blocked": key(blocked=True), "expired": expired}
    time.sleep(1.1)  # what expires does so by the clock
    headers = {name: {"authorization": f"Bearer {value}"} for name, value in made.items()}
    return headers | {
        "none": {"authorization": ""},
        "wrong": {"authorization": "Bearer sk-this-key-is-nobodys"},
        "master": {"authorization": f"Bearer {run.key}"},
    }


def path(operation: Operation) -> str:
    parts = ["gpt-4o" if part.startswith("{*") else "x1" if part.startswith("{") else part
             for part in operation.route.split("/")]  # fmt: skip
    return "/" + "/".join(parts)


def expected(operation: Operation, caller: str) -> set[int]:
    """The refusals that this caller must meet with, none when it must be let in."""
    if operation.name in ANYBODY:
        return set()
    if caller in ("none", "wrong", "expired"):
        return {401}
    if caller == "blocked":
        return {403}
    return {403} if operation.name in MASTER_ONLY and caller != "master" else set()


def test_every_operation_is_judged_by_every_kind_of_caller(run: Running, keys: dict[str, dict[str, str]]) -> None:
    wrong: list[tuple[str, str, int]] = []
    for operation in TABLE:
        for caller in CALLERS:
            body: dict[str, Any] | None = None if operation.method == "GET" else {}
            answer = run.http.request(operation.method, path(operation), json=body, headers=keys[caller])
            must = expected(operation, caller)
            if (answer.status_code not in must) if must else (answer.status_code in REFUSED):
                wrong.append((operation.name, caller, answer.status_code))
    assert wrong == []


def test_a_refusal_reads_nothing_of_the_request_and_asks_no_deployment(
    run: Running, keys: dict[str, dict[str, str]]
) -> None:
    for caller in ("none", "wrong", "blocked", "expired"):
        assert run.http.post("/v1/chat/completions", content=b"{", headers=keys[caller]).status_code in REFUSED
    assert run.sent() == []


@pytest.mark.parametrize("spelling", ["/chat/completions", "/openai/deployments/gpt-4o/chat/completions", "/nothing"])
def test_every_spelling_asks_for_a_key(run: Running, keys: dict[str, dict[str, str]], spelling: str) -> None:
    answer = run.http.post(spelling, json={}, headers=keys["wrong"])
    assert answer.status_code == (404 if spelling == "/nothing" else 401)


def test_another_tenants_response_is_not_there(run: Running, keys: dict[str, dict[str, str]]) -> None:
    body = {"model": "gpt-4o", "input": "hi"}
    made = run.http.post("/v1/responses", json=body, headers=keys["virtual"])
    assert made.status_code == 200
    one = f"/v1/responses/{made.json()['id']}"

    def ask(method: str, path: str, caller: str) -> httpx.Response:
        return run.http.request(method, path, headers=keys[caller])

    for method, tail in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
        assert ask(method, one + tail, "other").status_code == 404
    follow_up = {**body, "previous_response_id": made.json()["id"]}
    assert run.http.post("/v1/responses", json=follow_up, headers=keys["other"]).status_code == 404
    assert ask("GET", one, "virtual").status_code == 200
    assert ask("GET", one, "master").status_code == 200
