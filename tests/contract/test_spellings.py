"""Every spelling of the chat path, by raw HTTP: each reaches the same operation with the same model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Spillway

OPERATIONS = ("zz_aliases",)

CONFIG = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east, api_version: "2024-10-21"}
  - model_name: team/mini
    litellm_params: {model: azure/gpt-4o-mini, api_base: $SIM/east, api_key: sim-key-east, api_version: "2024-10-21"}
"""
MESSAGES = [{"role": "user", "content": "hello"}]

MODEL_IN_BODY = [
    "/v1/chat/completions",
    "/v1/chat/completions/",
    "/V1/Chat/Completions",
    "/chat/completions",
    "/CHAT/completions/",
    "/openai/v1/chat/completions",
    "/openai/v1/chat/completions/",
    "/OpenAI/V1/chat/completions",
    "/openai/chat/completions?api-version=2024-10-21",
    "/v1/chat%2Fcompletions",
    "/v1/chat/completions?api-version=preview&x=1",
]
MODEL_IN_PATH = [
    "/openai/deployments/{model}/chat/completions?api-version=2024-10-21",
    "/openai/deployments/{model}/chat/completions",
    "/openai/deployments/{model}/chat/completions/",
    "/OPENAI/Deployments/{model}/Chat/Completions?api-version=2024-10-21",
    "/openai/deployments/{model}/extensions/chat/completions?api-version=2023-12-01-preview",
    "/openai/deployments/{model}/Extensions/chat/completions?api-version=2023-12-01-preview",
    "/openai/v1/deployments/{model}/chat/completions",
    "/deployments/{model}/chat/completions",
    "/v1/deployments/{model}/chat/completions",
    "/engines/{model}/chat/completions",
    "/v1/engines/{model}/chat/completions",
    "/Engines/{model}/chat/completions/",
]
MODELS = {
    "gpt-4o": "gpt-4o",
    "gpt%2D4o": "gpt-4o",
    "team/mini": "gpt-4o-mini",
    "team%2Fmini": "gpt-4o-mini",
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", MODEL_IN_BODY)
def test_a_path_without_a_model_takes_it_from_the_body(spillway: Spillway, path: str, stream: bool) -> None:
    run = spillway(CONFIG)
    answer = run.http.post(path, json={"model": "team/mini", "messages": MESSAGES, "stream": stream})
    assert answer.status_code == 200
    assert run.sent()[0]["deployment"] == "gpt-4o-mini"
    assert run.calls()[0]["operation"] == "chat_completions"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("path", MODEL_IN_PATH)
def test_a_path_with_a_model_needs_none_in_the_body(spillway: Spillway, path: str, model: str) -> None:
    run = spillway(CONFIG)
    answer = run.http.post(path.format(model=model), json={"messages": MESSAGES})
    assert answer.status_code == 200
    assert run.sent()[0]["deployment"] == MODELS[model]


@pytest.mark.parametrize("path", MODEL_IN_PATH[::3])
def test_an_unknown_model_in_a_path_is_a_404_that_names_the_known_ones(spillway: Spillway, path: str) -> None:
    run = spillway(CONFIG)
    answer = run.http.post(path.format(model="gpt-9"), json={"model": "gpt-4o", "messages": MESSAGES})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert "gpt-4o, team/mini" in answer.json()["error"]["message"]


def test_the_key_is_taken_from_either_header_on_every_spelling(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    for path in ("/v1/chat/completions", "/openai/v1/chat/completions"):
        for headers in ({"api-key": run.key, "authorization": ""}, {"authorization": f"bearer {run.key}"}):
            shown = {name: value for name, value in headers.items() if value}
            request = run.http.build_request("POST", path, json={"model": "gpt-4o", "messages": MESSAGES})
            del request.headers["authorization"]
            request.headers.update(shown)
            assert run.http.send(request).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/openai",
        "/openai/v1/",
        "/v2/chat/completions",
        "/v1/chat",
        "/v1/chat/completions/x",
        "/v1/v1/chat/completions",
        "/openai/deployments/gpt-4o",
        "/openai/deployments//chat/completions",
        "/openai/deployments/gpt-4o/models",
        "/engines/gpt-4o",
        "/x/v1/chat/completions",
        "/v1/chat/completions%00",
        "/v1/chat\\completions",
    ],
)
def test_a_path_that_is_none_is_unknown(spillway: Spillway, path: str) -> None:
    run = spillway(CONFIG)
    answer = run.http.post(path, json={"model": "gpt-4o", "messages": MESSAGES})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url")
    assert run.sent() == []
