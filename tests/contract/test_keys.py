"""Virtual keys over sockets: made, used, changed and refused through the host, with the table in Azurite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
from openai import OpenAI

from shared.callers.virtual_key import hash_of

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway
    from tests.contract.conftest import Client

OPERATIONS = (
    "key_generate",
    "key_update",
    "key_delete",
    "key_block",
    "key_unblock",
    "key_regenerate",
    "key_info",
    "key_list",
)
CONFIG = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {id: east, mode: chat}
  - model_name: mini
    litellm_params: {model: azure/gpt-4o-mini, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {id: east-mini, mode: chat}
  - model_name: azure/*
    litellm_params: {model: azure/*, api_base: $SIM/east, api_key: sim-key-east}
"""


@pytest.fixture
def run(spillway: Spillway, azurite: str) -> Running:
    return spillway(CONFIG, AzureWebJobsStorage=azurite)


def post(run: Running, path: str, **body: Any) -> httpx.Response:
    return run.http.post(path, json=body)


def generate(run: Running, **body: Any) -> dict[str, Any]:
    answer = post(run, "/key/generate", **body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def as_key(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def ask(run: Running, key: str, model: str = "gpt-4o") -> httpx.Response:
    return run.chat("hi", model=model, headers=as_key(key))


@pytest.fixture
def made(run: Running) -> Iterator[dict[str, Any]]:
    key = generate(run, key_alias=f"team-{os.urandom(4).hex()}", tags=["x"], metadata={"a": 1}, duration="30d")
    yield key
    post(run, "/key/delete", keys=[key["key_id"]])


def test_a_new_key_calls_a_model_through_either_sdk(run: Running, made: dict[str, Any], client: Client) -> None:
    run.key = made["key"]
    answer = client(run).chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    assert answer.choices[0].message.content


def test_an_answer_has_litellms_names(made: dict[str, Any]) -> None:
    assert made["key"].startswith("sk-")
    assert made["token"] == hash_of(made["key"])
    assert (made["tags"], made["metadata"], made["blocked"], made["spend"]) == (["x"], {"a": 1}, False, 0)
    assert made["expires"].endswith("Z")


def test_the_log_names_the_key_by_its_id(run: Running, made: dict[str, Any]) -> None:
    ask(run, made["key"])
    assert run.calls()[-1]["caller"] == made["key_id"]
    run.assert_discreet(made["key_id"])
    assert not any(made["key"] in message for message in run.log.messages)


def test_a_key_sees_itself_and_no_other(run: Running, made: dict[str, Any]) -> None:
    other = generate(run)
    own = run.http.get("/key/info", headers=as_key(made["key"]))
    assert own.json()["info"]["key_alias"] == made["key_alias"]
    assert "key" not in own.json()["info"]
    for name in (other["key"], other["token"], other["key_id"], "sk-unknown-key"):
        answer = run.http.get("/key/info", params={"key": name}, headers=as_key(made["key"]))
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "key_not_found")


def test_the_master_key_finds_a_key_by_any_of_its_names(run: Running, made: dict[str, Any]) -> None:
    for name in (made["key"], made["token"], made["key_id"]):
        assert run.http.get("/key/info", params={"key": name}).json()["info"]["key_id"] == made["key_id"]
    assert run.http.get("/key/info").status_code == 400


def test_a_blocked_key_is_refused_and_serves_again(run: Running, made: dict[str, Any], client: Client) -> None:
    assert post(run, "/key/block", key=made["key"]).json()["blocked"] is True
    refused = ask(run, made["key"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "key_blocked")
    assert refused.headers["x-should-retry"] == "false"
    blocked, run.key = run.key, made["key"]
    with pytest.raises(openai.PermissionDeniedError):
        client(run).models.list()
    run.key = blocked
    assert post(run, "/key/unblock", key=made["key_id"]).json()["blocked"] is False
    assert ask(run, made["key"]).status_code == 200


def test_a_key_is_changed(run: Running, made: dict[str, Any]) -> None:
    changed = post(run, "/key/update", key=made["key"], models=["mini"], metadata={"b": 2}, rpm_limit=5)
    assert changed.status_code == 200
    info = run.http.get("/key/info", headers=as_key(made["key"])).json()["info"]
    assert (info["models"], info["metadata"], info["rpm_limit"], info["tags"]) == (["mini"], {"b": 2}, 5, ["x"])


@pytest.mark.parametrize("path", ["/key/regenerate", "/key/{key}/regenerate"])
def test_a_regenerated_key_takes_the_old_ones_place(run: Running, made: dict[str, Any], path: str) -> None:
    named = "key" in path.split("/")[2]
    new = run.http.post(path.format(key=made["key"]), json={"key": made["key"]} if not named else None).json()
    assert new["key_id"] == made["key_id"]
    assert new["key"] != made["key"]
    assert ask(run, made["key"]).status_code == 401
    assert ask(run, new["key"]).status_code == 200


def test_deleted_keys_work_no_more(run: Running) -> None:
    one, two = generate(run), generate(run, key_alias=f"alias-{os.urandom(4).hex()}")
    deleted = post(run, "/key/delete", keys=[one["key"], "sk-unknown-key"], key_aliases=[two["key_alias"]])
    assert deleted.json() == {"deleted_keys": [one["key"], two["key_alias"]]}
    assert [ask(run, key["key"]).status_code for key in (one, two)] == [401, 401]
    assert post(run, "/key/delete", keys=[one["key"]]).status_code == 404


@pytest.mark.parametrize("path", ["/key/update", "/key/block", "/key/unblock", "/key/regenerate"])
def test_an_unknown_key_is_a_404(run: Running, path: str) -> None:
    answer = post(run, path, key="sk-unknown-key")
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "key")


def test_a_wrong_field_is_named(run: Running) -> None:
    answer = post(run, "/key/generate", budget_duration="monthly")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "budget_duration")
    assert post(run, "/key/update", rpm_limit=5).json()["error"]["param"] == "key"


def test_a_chosen_key_and_an_alias_exist_once(run: Running, made: dict[str, Any]) -> None:
    chosen = f"sk-chosen-{os.urandom(8).hex()}"
    assert generate(run, key=chosen)["key"] == chosen
    assert post(run, "/key/generate", key=chosen).json()["error"]["code"] == "key_exists"
    assert post(run, "/key/generate", key_alias=made["key_alias"]).json()["error"]["code"] == "alias_exists"


def test_an_expired_key_says_so(run: Running) -> None:
    key = generate(run, duration="1s")
    answers = iter(lambda: ask(run, key["key"]), None)
    last = next(answer for answer in answers if answer.status_code != 200)
    assert (last.status_code, last.json()["error"]["code"]) == (401, "expired_api_key")


def test_keys_are_listed(run: Running) -> None:
    team = os.urandom(4).hex()
    made = [generate(run, team_id=team)["key_id"] for _ in range(3)]
    first = run.http.get("/key/list", params={"team_id": team, "size": 2}).json()
    second = run.http.get("/key/list", params={"team_id": team, "size": 2, "page": 2}).json()
    assert (first["total_count"], first["total_pages"], first["current_page"]) == (3, 2, 1)
    assert sorted(key["key_id"] for key in (*first["keys"], *second["keys"])) == sorted(made)
    hashes = run.http.get("/key/list", params={"team_id": team, "return_full_object": "false"}).json()["keys"]
    assert all(len(one) == 64 for one in hashes)
    assert run.http.get("/key/list", params={"size": "many"}).json()["error"]["param"] == "size"


@pytest.mark.parametrize("model", ["mini", "fast", "azure/gpt-4o"])
def test_a_key_may_use_its_models_and_aliases(run: Running, model: str) -> None:
    key = generate(run, models=["mini", "azure/*"], aliases={"fast": "gpt-4o"})
    assert ask(run, key["key"], model).status_code == 200
    assert run.calls()[-1]["model"] == {"fast": "gpt-4o"}.get(model, model)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-9", "azure/../x"])
def test_any_other_model_is_a_404_that_lists_its_own(run: Running, model: str) -> None:
    key = generate(run, models=["mini", "azure/*"], aliases={"fast": "gpt-4o"})
    answer = ask(run, key["key"], model)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert answer.json()["error"]["message"].endswith("Available models: mini, azure/*, fast.")
    assert run.sent() == []


def test_a_fallback_of_the_request_must_be_its_own_as_well(run: Running) -> None:
    key = generate(run, models=["mini"])
    answer = run.chat("hi", model="mini", fallbacks=["gpt-4o"], headers=as_key(key["key"]))
    assert answer.status_code == 404


def test_models_are_its_own(run: Running, client: Client) -> None:
    run.key = generate(run, models=["mini"], aliases={"fast": "gpt-4o", "gone": "gpt-9"})["key"]
    own: OpenAI = client(run)
    assert [model.id for model in own.models.list()] == ["mini", "fast"]
    assert own.models.retrieve("fast").id == "fast"
    with pytest.raises(openai.NotFoundError):
        own.models.retrieve("gpt-4o")


def test_without_a_storage_account_there_are_no_virtual_keys(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    answer = post(run, "/key/generate")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_not_configured")
    assert answer.headers["x-should-retry"] == "false"
    assert ask(run, "sk-some-virtual-key").status_code == 401


def test_where_storage_does_not_answer_an_unknown_key_is_no_401(spillway: Spillway, azurite: str) -> None:
    gone = azurite.replace("TableEndpoint=http://127.0.0.1:", "TableEndpoint=http://127.0.0.1:1/")
    run = spillway(CONFIG, AzureWebJobsStorage=gone)
    answer = ask(run, "sk-some-virtual-key")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_unavailable")
    assert run.chat("hi").status_code == 200
