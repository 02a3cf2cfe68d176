"""Embeddings through the openai package: floats and base64, strings and tokens, on both surfaces."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from openai import OpenAI

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

OPERATIONS = ("embeddings",)

Client = Callable[["Running"], OpenAI]
ONE = """
model_list:
  - model_name: embed
    litellm_params:
      {model: azure/text-embedding-3-small, api_base: $SIM/east, api_key: sim-key-east, api_version: %s}
"""
DATED = ONE % '"2024-10-21"'


@pytest.fixture(params=['"2023-05-15"', '"2024-10-21"', "v1"])
def config(request: pytest.FixtureRequest) -> str:
    return str(ONE % request.param)


def post(run: Running, **body: Any) -> Any:
    return run.http.post("/v1/embeddings", json={"model": "embed", "input": "a", **body})


def test_a_vector_comes_with_its_usage(spillway: Spillway, config: str, client: Client) -> None:
    run = spillway(config)
    answer = client(run).embeddings.create(model="embed", input="hello world")
    [line], [call] = run.sim.bill(), run.calls()
    assert len(answer.data[0].embedding) == 1536
    assert answer.usage.prompt_tokens == line["prompt_tokens"] == call["prompt_tokens"] > 0
    assert (call["completion_tokens"], call["usage_source"]) == (0, "upstream")


def test_the_default_is_floats_whatever_the_sdk_asks_upstream(spillway: Spillway) -> None:
    vector = post(spillway(DATED)).json()["data"][0]["embedding"]
    assert isinstance(vector[0], float)


def test_base64_and_floats_are_the_same_vector(spillway: Spillway, config: str) -> None:
    run = spillway(config)
    floats = post(run, encoding_format="float").json()["data"][0]["embedding"]
    packed = post(run, encoding_format="base64").json()["data"][0]["embedding"]
    assert struct.unpack("<1536f", base64.b64decode(packed)) == pytest.approx(floats)


def test_dimensions_are_the_clients(spillway: Spillway, config: str, client: Client) -> None:
    answer = client(spillway(config)).embeddings.create(model="embed", input="a", dimensions=256)
    assert len(answer.data[0].embedding) == 256


@pytest.mark.parametrize(
    ("value", "count"), [("a", 1), (["a", "b"], 2), ([1, 2, 3], 1), ([[1, 2], [3]], 2), (list(range(3000)), 1)], ids=str
)
def test_every_shape_of_input_is_sent_as_it_is(spillway: Spillway, client: Client, value: Any, count: int) -> None:
    run = spillway(DATED)
    answer = client(run).embeddings.create(model="embed", input=value)
    assert [one.index for one in answer.data] == list(range(count))
    assert run.sent()[0]["json"]["input"] == value


def test_2048_inputs_are_one_request(spillway: Spillway, client: Client) -> None:
    run = spillway(DATED)
    run.sim.deployment("east", "text-embedding-3-small", tpm=1_000_000)
    inputs = [f"text {number}" for number in range(2048)]
    answer = client(run).embeddings.create(model="embed", input=inputs, dimensions=8)
    assert [one.index for one in answer.data] == list(range(2048))
    assert len(run.sim.bill()) == 1


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": {"text": "a"}}, "input", "invalid_type"),
        ({"input": 7}, "input", "invalid_type"),
        ({"input": ""}, "input", "invalid_value"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": ["a"] * 2049}, "input", "array_above_max_length"),
        ({"input": [[1]] * 2049}, "input", "array_above_max_length"),
        ({"input": [None]}, "input[0]", "invalid_type"),
        ({"input": ["a", 1]}, "input[1]", "invalid_type"),
        ({"input": [True]}, "input[0]", "invalid_type"),
        ({"input": [["a"]]}, "input[0]", "invalid_type"),
        ({"input": [[]]}, "input", "invalid_value"),
        ({"input": ["a", ""]}, "input", "invalid_value"),
        ({"encoding_format": "hex"}, "encoding_format", "invalid_value"),
        ({"encoding_format": ["float"]}, "encoding_format", "invalid_value"),
        ({"dimensions": "many"}, "dimensions", "invalid_type"),
        ({"dimensions": True}, "dimensions", "invalid_type"),
        ({"dimensions": 0}, "dimensions", "invalid_value"),
        ({"model": None}, "model", "missing_required_parameter"),
        ({"model": "gpt-9"}, "model", "model_not_found"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_sent(
    spillway: Spillway, body: dict[str, Any], param: str, code: str
) -> None:
    run = spillway(DATED)
    answer = post(run, **body)
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (param, code)
    assert answer.status_code == (404 if code == "model_not_found" else 400)
    assert run.sent() == []
    run.assert_discreet(answer.text)


def test_what_the_model_refuses_is_a_clear_400_and_not_billed(spillway: Spillway) -> None:
    run = spillway(DATED.replace("text-embedding-3-small", "text-embedding-ada-002"))
    answer = post(run, dimensions=256)
    assert answer.status_code == 400
    assert "dimensions" in answer.json()["error"]["message"]
    assert run.sim.bill() == []


def test_an_embedding_model_cannot_chat(spillway: Spillway) -> None:
    run = spillway(DATED)
    answer = run.http.post("/v1/chat/completions", json={"model": "embed", "messages": [{"role": "user"}]})
    assert answer.status_code == 400
    assert run.sim.bill() == []


def test_a_full_deployment_fails_over(spillway: Spillway, client: Client) -> None:
    west = DATED.replace("model_list:\n", "").replace("east", "west")
    run = spillway(DATED + west)
    run.sim.fault(resource="east", operation="embeddings", status=429, times=None)
    for _ in range(4):
        assert client(run).embeddings.create(model="embed", input="a").data
    assert {line["resource"] for line in run.sim.bill()} == {"west"}
