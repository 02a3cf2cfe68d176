"""Text completions through the openai package: `azure_text/` and plain models, whole and streamed, on both surfaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai import OpenAI
from openai.types import Completion

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

OPERATIONS = ("completions",)

Client = Callable[["Running"], OpenAI]
ONE = """
model_list:
  - model_name: instruct
    litellm_params: {{model: {model}, api_base: $SIM/east, api_key: sim-key-east, api_version: {version}}}
"""
TEXT, PLAIN = "azure_text/gpt-35-turbo-instruct", "azure/gpt-35-turbo-instruct"


@pytest.fixture(params=[(TEXT, '"2024-10-21"'), (PLAIN, '"2024-10-21"'), (TEXT, "v1"), (PLAIN, "preview")], ids=str)
def config(request: pytest.FixtureRequest) -> str:
    model, version = request.param
    return ONE.format(model=model, version=version)


DATED = ONE.format(model=TEXT, version='"2024-10-21"')


def streamed_text(client: OpenAI, **body: Any) -> str:
    chunks: Any = client.completions.create(model="instruct", stream=True, **body)
    return "".join(choice.text for chunk in chunks for choice in chunk.choices)


def test_a_completion_comes_whole_and_its_usage_is_the_bills(spillway: Spillway, config: str, client: Client) -> None:
    run = spillway(config)
    answer = client(run).completions.create(model="instruct", prompt="Once upon a time")
    [line], [call] = run.sim.bill(), run.calls()
    assert answer.choices[0].text
    assert answer.usage is not None
    counted = (answer.usage.prompt_tokens, answer.usage.completion_tokens)
    assert counted == (line["prompt_tokens"], line["completion_tokens"])
    assert counted == (call["prompt_tokens"], call["completion_tokens"])
    assert call["usage_source"] == "upstream"


def test_a_stream_says_the_same_and_its_usage_is_the_bills(spillway: Spillway, config: str, client: Client) -> None:
    run = spillway(config)
    whole = client(run).completions.create(model="instruct", prompt="Once", max_tokens=40, seed=7).choices[0].text
    assert streamed_text(client(run), prompt="Once", max_tokens=40, seed=7) == whole
    call, line = run.calls(2)[1], run.sim.bill()[1]
    assert (call["prompt_tokens"], call["completion_tokens"]) == (line["prompt_tokens"], line["completion_tokens"])
    assert call["usage_source"] == "upstream"


def test_usage_of_a_stream_is_seen_only_by_who_asked(spillway: Spillway, client: Client) -> None:
    run = spillway(DATED)
    hidden: Any = client(run).completions.create(model="instruct", prompt="a", stream=True)
    assert [chunk.usage for chunk in hidden if chunk.usage] == []
    shown: Any = client(run).completions.create(
        model="instruct", prompt="a", stream=True, stream_options={"include_usage": True}
    )
    assert [bool(chunk.usage) for chunk in shown][-2:] == [False, True]


@pytest.mark.parametrize("prompt", ["a", ["a", "b c"], [1, 2, 3], [[1, 2], [3]]], ids=str)
def test_every_shape_of_prompt_is_sent_as_it_is(spillway: Spillway, client: Client, prompt: Any) -> None:
    run = spillway(DATED)
    answer = client(run).completions.create(model="instruct", prompt=prompt)
    prompts = len(prompt) if isinstance(prompt, list) and not isinstance(prompt[0], int) else 1
    assert len(answer.choices) == prompts
    assert run.sent()[0]["json"]["prompt"] == prompt


def test_parameters_are_sent_as_they_are(spillway: Spillway, client: Client) -> None:
    run = spillway(DATED)
    options = {"suffix": ".", "echo": True, "logprobs": 2, "best_of": 3, "n": 2, "temperature": 0, "stop": ["\n"]}
    body: dict[str, Any] = {"model": "instruct", "prompt": "a", **options}
    answer: Completion = client(run).completions.create(**body)
    assert run.sent()[0]["json"] == {**body, "model": "gpt-35-turbo-instruct"}
    assert answer.choices[0].text.startswith("a")
    assert len(answer.choices) == 2


def test_a_wildcard_serves_the_names_of_the_page(spillway: Spillway, client: Client) -> None:
    run = spillway(None, AZURE_API_BASE="$SIM/east", AZURE_API_KEY="sim-key-east")
    for name in (TEXT, PLAIN, "gpt-35-turbo-instruct"):
        body = {"model": name, "prompt": "a"}
        assert run.http.post("/v1/completions", json=body).json()["choices"][0]["text"]


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"prompt": None}, "prompt", "missing_required_parameter"),
        ({"prompt": 3}, "prompt", "invalid_type"),
        ({"prompt": {}}, "prompt", "invalid_type"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream_options": {}}, "stream_options", "invalid_value"),
        ({"model": 3}, "model", "invalid_type"),
        ({"model": "gpt-9"}, "model", "model_not_found"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_billed(
    spillway: Spillway, body: dict[str, Any], param: str, code: str
) -> None:
    run = spillway(DATED)
    answer = run.http.post("/v1/completions", json={"model": "instruct", "prompt": "a", **body})
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (param, code)
    assert answer.status_code in (400, 404)
    assert run.sent() == []
    run.assert_discreet(answer.text)


def test_a_chat_model_cannot_complete(spillway: Spillway) -> None:
    run = spillway(DATED.replace("azure_text/gpt-35-turbo-instruct", "azure/gpt-4o"))
    answer = run.http.post("/v1/completions", json={"model": "instruct", "prompt": "a"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "OperationNotSupported"
    assert run.sim.bill() == []


def test_a_stream_that_breaks_says_so(spillway: Spillway, client: Client) -> None:
    run = spillway(DATED)
    run.sim.fault(operation="completions", cut_after_events=4)
    with pytest.raises(openai.APIError):
        streamed_text(client(run), prompt="a [[sim delay_ms=20]]")
    assert run.calls()[0]["outcome"] == "broken"
    run.await_rest()
