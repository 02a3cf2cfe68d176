from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from openai import AzureOpenAI, OpenAI

from devtools.simulator import ControlClient


@pytest.fixture(scope="module")
def azure(url: str) -> Iterator[AzureOpenAI]:
    with AzureOpenAI(
        azure_endpoint=url + "/east", api_key="sim-key-east", api_version="2024-10-21", max_retries=0
    ) as client:
        yield client


PATH = "/east/openai/deployments/gpt-35-turbo-instruct/completions?api-version=2024-10-21"


def complete(http: httpx.Client, prompt: Any = "[[sim chunks=10]]", **more: Any) -> Any:
    return http.post(PATH, json={"prompt": prompt, **more}).json()


def texts(answer: Any) -> list[str]:
    return [choice["text"] for choice in answer["choices"]]


@pytest.mark.usefixtures("sim")
def test_the_classic_sdk_gets_a_completion(azure: AzureOpenAI) -> None:
    answer = azure.completions.create(model="gpt-35-turbo-instruct", prompt="[[sim chunks=5]]")
    assert (answer.object, answer.model, answer.choices[0].finish_reason) == (
        "text_completion", "gpt-35-turbo-instruct", "stop",
    )  # fmt: skip
    assert answer.usage is not None
    assert (len(answer.choices[0].text.split()), answer.usage.completion_tokens) == (5, 5)


@pytest.mark.usefixtures("sim")
def test_the_v1_sdk_streams_a_completion_with_its_usage(v1: OpenAI) -> None:
    chunks = list(v1.completions.create(
        model="gpt-35-turbo-instruct", prompt="[[sim chunks=5]]", stream=True, stream_options={"include_usage": True},
    ))  # fmt: skip
    assert len("".join(choice.text for chunk in chunks for choice in chunk.choices).split()) == 5
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5


def test_an_answer_has_sixteen_tokens_unless_more_are_asked_for(http: httpx.Client) -> None:
    short, long = (complete(http, "[[sim chunks=50]]", **more) for more in ({}, {"max_tokens": 40}))
    assert [answer["usage"]["completion_tokens"] for answer in (short, long)] == [16, 40]
    assert short["choices"][0]["finish_reason"] == "length"


def test_each_prompt_of_an_array_has_n_choices(http: httpx.Client) -> None:
    answer = complete(http, ["one", "two"], n=3)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3, 4, 5]
    assert len(set(texts(answer))) == 6
    assert [result["prompt_index"] for result in answer["prompt_filter_results"]] == [0, 1]


def test_the_best_of_many_are_shown_and_all_are_counted(http: httpx.Client, sim: ControlClient) -> None:
    answer = complete(http, n=2, best_of=5)
    assert (len(answer["choices"]), answer["usage"]["completion_tokens"]) == (2, 50)
    assert sim.bill()[-1]["completion_tokens"] == 50


def test_a_prompt_may_be_token_ids(http: httpx.Client) -> None:
    assert complete(http, [1, 2, 3])["usage"]["prompt_tokens"] == 3
    answer = complete(http, [[1, 2, 3], [4]])
    assert (answer["usage"]["prompt_tokens"], len(answer["choices"])) == (4, 2)


def test_echo_repeats_the_prompt_without_counting_it(http: httpx.Client) -> None:
    plain, echoed = complete(http, "tell"), complete(http, "tell", echo=True)
    assert texts(echoed) == ["tell" + texts(plain)[0]]
    assert echoed["usage"] == plain["usage"]


def test_logprobs_have_the_old_shape(http: httpx.Client) -> None:
    choice = complete(http, logprobs=1)["choices"][0]
    logprobs = choice["logprobs"]
    assert "".join(logprobs["tokens"]) == choice["text"]
    assert logprobs["text_offset"][:2] == [0, len(logprobs["tokens"][0])]
    assert len(logprobs["token_logprobs"]) == len(logprobs["top_logprobs"]) == 10


def test_an_answer_ends_before_a_stop_sequence(http: httpx.Client) -> None:
    whole = texts(complete(http))[0]
    assert texts(complete(http, stop=whole.split()[3])) == [whole[: whole.index(whole.split()[3])]]


def test_a_suffix_is_accepted(http: httpx.Client) -> None:
    assert complete(http, suffix="the end")["choices"]


@pytest.mark.parametrize("more", [{}, {"n": 3}, {"echo": True}, {"max_tokens": 4}, {"max_tokens": 0, "echo": True}])
def test_the_bill_of_a_stream_agrees_with_the_usage(
    http: httpx.Client, sim: ControlClient, more: dict[str, Any]
) -> None:
    buffered = complete(http, **more)
    raw = http.post(PATH, json={"prompt": "[[sim chunks=10]]", "stream": True,
                                "stream_options": {"include_usage": True}, **more}).content  # fmt: skip
    events = raw.split(b"\n\n")
    assert events[-2] == b"data: [DONE]"
    assert orjson.loads(events[-3].removeprefix(b"data: "))["usage"] == buffered["usage"]
    assert [line["completion_tokens"] for line in sim.bill()] == [buffered["usage"]["completion_tokens"]] * 2


@pytest.mark.parametrize(
    ("more", "param"),
    [({"n": 2, "best_of": 1}, "best_of"), ({"stream": True, "best_of": 3}, "best_of"), ({"logprobs": 6}, "logprobs"),
     ({"max_tokens": -1}, "max_tokens"), ({"prompt": {"a": 1}}, "prompt"), ({"prompt": []}, "prompt"),
     ({"stream_options": {}}, "stream_options"), ({"temperature": 3}, "temperature")],
)  # fmt: skip
def test_a_wrong_value_is_refused(http: httpx.Client, more: dict[str, Any], param: str) -> None:
    response = http.post(PATH, json={"prompt": "hello", **more})
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


def test_a_prompt_over_the_window_is_refused(http: httpx.Client) -> None:
    message = complete(http, "word" * 4090)["error"]["message"]
    assert "maximum context length is 4097 tokens, however you requested 4106 tokens (4090 in your prompt" in message


def test_a_filtered_prompt_is_billed_for_its_prompt(http: httpx.Client, sim: ControlClient) -> None:
    assert complete(http, "a hate-trigger")["error"]["code"] == "content_filter"
    [line] = sim.bill()
    assert (line["status"], line["completion_tokens"], line["operation"]) == (400, 0, "completions")


def test_a_chat_model_does_not_complete_and_an_instruct_model_does_not_chat(http: httpx.Client) -> None:
    wrong = http.post(PATH.replace("gpt-35-turbo-instruct", "gpt-4o"), json={"prompt": "hello"}).json()["error"]
    chat = http.post(PATH.replace("/completions?", "/chat/completions?"), json={"messages": []}).json()["error"]
    assert [wrong["code"], chat["code"]] == ["OperationNotSupported", "OperationNotSupported"]
    assert wrong["message"].startswith("The completion operation does not work with the specified model, gpt-4o.")


def test_the_limit_estimates_the_best_of_all(http: httpx.Client, sim: ControlClient) -> None:
    sim.deployment("east", "gpt-35-turbo-instruct", tpm=100)
    assert http.post(PATH, json={"prompt": "hi", "max_tokens": 40, "best_of": 2}).status_code == 200
    response = http.post(PATH, json={"prompt": "hi", "max_tokens": 20})
    assert response.status_code == 429
    assert "Completions_Create Operation" in response.json()["error"]["message"]
