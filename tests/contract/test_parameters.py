"""Parameters that a model does not take: refused by name, dropped or sent all the same, as file or request say it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

OPERATIONS = ("chat_completions", "responses_create")


def config(deployment: str = "o4-mini", *, params: str = "", info: str = "", settings: str = "") -> str:
    return (
        f"model_list:\n  - model_name: m\n    litellm_params: {{model: azure/{deployment}, api_base: $SIM/east, "
        f"api_key: sim-key-east{params}}}\n    model_info: {{{info}}}\n"
    ) + (f"litellm_settings: {{{settings}}}\n" if settings else "")


def sent(run: Running, **body: Any) -> dict[str, Any]:
    """What the model was sent of a chat that was served."""
    answer = run.chat(model="m", **body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = run.sent()[-1]["json"]
    return found


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("parameter", [{"temperature": 0.3}, {"top_p": 0.5}, {"logit_bias": {"1": 1}}])
def test_what_the_model_does_not_take_is_a_400_that_says_what_to_do(
    spillway: Spillway, parameter: dict[str, Any], stream: bool
) -> None:
    run = spillway(config())
    answer = run.chat(model="m", stream=stream, **parameter)
    error, [name] = answer.json()["error"], parameter
    assert (answer.status_code, error["param"]) == (400, name)
    for word in (f"`{name}`", "`m`", "`drop_params: true`", f"`allowed_openai_params: [{name}]`"):
        assert word in error["message"]
    assert run.sim.requests() == []
    assert run.sim.bill() == []


@pytest.mark.parametrize(
    ("file", "body"),
    [
        ({"settings": "drop_params: true"}, {}),
        ({"params": ", drop_params: true"}, {}),
        ({}, {"drop_params": True}),
        ({"settings": "drop_params: false", "params": ", drop_params: true"}, {}),
        ({"params": ", drop_params: false"}, {"drop_params": True}),
    ],
    ids=str,
)
def test_it_is_dropped_where_all_models_this_one_or_the_request_say_so(
    spillway: Spillway, file: dict[str, str], body: dict[str, Any]
) -> None:
    found = sent(spillway(config(**file)), temperature=0.3, seed=7, **body)
    assert (found.get("temperature"), found["seed"], "drop_params" in found) == (None, 7, False)


@pytest.mark.parametrize(
    ("file", "body"),
    [({"settings": "drop_params: true", "params": ", drop_params: false"}, {}),
     ({"params": ", drop_params: true"}, {"drop_params": False})],
    ids=str,
)  # fmt: skip
def test_the_nearer_word_wins(spillway: Spillway, file: dict[str, str], body: dict[str, Any]) -> None:
    run = spillway(config(**file))
    assert run.chat(model="m", temperature=0.3, **body).json()["error"]["param"] == "temperature"
    assert run.sim.requests() == []


@pytest.mark.parametrize("here", [True, False], ids=["of the entry", "of the request"])
def test_named_parameters_are_dropped_although_the_model_takes_them(spillway: Spillway, here: bool) -> None:
    run = spillway(config("gpt-4o", params=", additional_drop_params: [seed, user]" if here else ""))
    asked: dict[str, Any] = {} if here else {"additional_drop_params": ["seed", "user"]}
    found = sent(run, seed=7, user="ann", temperature=0.3, **asked)
    assert found.keys() == {"model", "messages", "temperature"}


@pytest.mark.parametrize("here", [True, False], ids=["of the entry", "of the request"])
def test_allowed_parameters_are_sent_although_the_model_is_said_not_to_take_them(
    spillway: Spillway, here: bool
) -> None:
    run = spillway(config(params=", allowed_openai_params: [temperature]" if here else ""))
    asked: dict[str, Any] = {} if here else {"allowed_openai_params": ["temperature"]}
    answer = run.chat(model="m", temperature=0.3, **asked)
    assert answer.status_code == 400  # Azure's own word
    assert run.sent()[0]["json"]["temperature"] == 0.3
    assert "allowed_openai_params" not in run.sent()[0]["json"]


def test_azures_own_parameters_pass(spillway: Spillway) -> None:
    own = {"user_security_context": {"application_name": "a"}}
    assert sent(spillway(config("gpt-4o")), **own).items() >= own.items()


def test_what_nobody_knows_yet_is_azures_to_judge(spillway: Spillway) -> None:
    run = spillway(config("gpt-4o"))
    answer = run.chat(model="m", made_up_tomorrow={"a": [1]})
    assert "made_up_tomorrow" in answer.json()["error"]["message"]
    assert run.sent()[0]["json"]["made_up_tomorrow"] == {"a": [1]}


@pytest.mark.parametrize("path", ["/v1/responses", "/responses"])
def test_responses_follow_the_same_rules(spillway: Spillway, path: str) -> None:
    run = spillway(config())
    asked = {"model": "m", "input": "hello", "temperature": 0.3}
    assert run.http.post(path, json=asked).json()["error"]["param"] == "temperature"
    assert run.http.post(path, json={**asked, "drop_params": True}).status_code == 200
    [one] = run.sent()
    assert one["json"].keys() & {"temperature", "drop_params"} == set()


def told(run: Running) -> list[str]:
    """What the log says of models that were inferred."""
    return [line for line in run.log.messages if "is taken for" in line]


def test_a_model_that_is_inferred_from_a_name_is_said_once(spillway: Spillway) -> None:
    run = spillway(config("my-o3-deployment"))
    for stream in (False, True, False):
        assert run.chat(model="m", stream=stream, max_tokens=2000).status_code == 200
    [line] = told(run)
    assert "my-o3-deployment is taken for o3" in line
    assert "model_info.base_model" in line


@pytest.mark.parametrize(
    ("deployment", "info"),
    [
        ("o4-mini", ""),
        ("my-o3-deployment", "base_model: o3"),
        ("demo1-gpt4o", "base_model: gpt-4o"),
    ],
)
def test_a_model_that_is_known_or_written_is_not_inferred(spillway: Spillway, deployment: str, info: str) -> None:
    run = spillway(config(deployment, info=info))
    assert run.chat(model="m").status_code == 200
    assert told(run) == []


@pytest.mark.parametrize(("model", "field"), [("o_series/gpt-4o", "max_completion_tokens"), ("gpt-4o", "max_tokens"),
                                              ("gpt5_series/gpt-4o", "max_completion_tokens")])  # fmt: skip
def test_a_family_that_is_written_is_believed_over_the_name(spillway: Spillway, model: str, field: str) -> None:
    run = spillway(config(model))
    run.chat(model="m", max_tokens=2000)
    [one] = run.sent()
    assert (one["deployment"], one["json"].keys() & {"max_tokens", "max_completion_tokens"}) == ("gpt-4o", {field})
