from __future__ import annotations

import base64
import math
import struct
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import AzureOpenAI, OpenAI

from devtools.simulator import ControlClient


@pytest.fixture(scope="module")
def azure(url: str) -> Iterator[AzureOpenAI]:
    with AzureOpenAI(
        azure_endpoint=url + "/east", api_key="sim-key-east", api_version="2024-10-21", max_retries=0
    ) as client:
        yield client


PATH = "/east/openai/deployments/text-embedding-3-small/embeddings?api-version=2024-10-21"


def embed(http: httpx.Client, value: Any = "hello", model: str = "text-embedding-3-small", **more: Any) -> Any:
    return http.post(PATH.replace("text-embedding-3-small", model), json={"input": value, **more}).json()


def vectors(answer: Any) -> list[Any]:
    return [item["embedding"] for item in answer["data"]]


@pytest.mark.usefixtures("sim")
def test_both_sdks_decode_the_same_vector(azure: AzureOpenAI, v1: OpenAI) -> None:
    asked = {"model": "text-embedding-3-large", "input": "hello"}
    first, second = (client.embeddings.create(**asked).data[0].embedding for client in (azure, v1))  # type: ignore[arg-type]
    assert first == second
    assert len(first) == 3072


@pytest.mark.parametrize(
    ("model", "size"),
    [("text-embedding-3-small", 1536), ("text-embedding-3-large", 3072), ("text-embedding-ada-002", 1536)],
)
def test_a_vector_has_its_models_size_and_length_one(http: httpx.Client, model: str, size: int) -> None:
    answer = embed(http, model=model)
    [vector] = vectors(answer)
    assert (len(vector), answer["model"]) == (size, model)
    assert math.sqrt(sum(value * value for value in vector)) == pytest.approx(1, abs=1e-5)


def test_a_vector_depends_on_the_text_and_the_model_only(http: httpx.Client) -> None:
    assert vectors(embed(http, "one")) == vectors(embed(http, "one"))
    assert vectors(embed(http, "one")) != vectors(embed(http, "two"))
    assert vectors(embed(http, "one")) != vectors(embed(http, "one", "text-embedding-ada-002"))


def test_base64_is_little_endian_float32(http: httpx.Client) -> None:
    [encoded] = vectors(embed(http, encoding_format="base64"))
    raw = base64.b64decode(encoded)
    assert list(struct.unpack("<1536f", raw)) == vectors(embed(http))[0]


def test_fewer_dimensions_are_the_first_ones_at_length_one(http: httpx.Client) -> None:
    [whole], [short] = vectors(embed(http)), vectors(embed(http, dimensions=256))
    assert len(short) == 256
    assert short[1] / short[0] == pytest.approx(whole[1] / whole[0], rel=1e-4)
    assert math.sqrt(sum(value * value for value in short)) == pytest.approx(1, abs=1e-5)


def test_each_input_is_a_vector_and_counted(http: httpx.Client, sim: ControlClient) -> None:
    answer = embed(http, ["12345678", "1234"])
    assert [item["index"] for item in answer["data"]] == [0, 1]
    assert answer["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    [line] = sim.bill()
    assert (line["prompt_tokens"], line["completion_tokens"], line["finished"]) == (3, 0, True)
    assert line["operation"] == "embeddings"


def test_token_ids_are_counted_one_by_one(http: httpx.Client) -> None:
    assert embed(http, [[1, 2, 3], [4, 5]])["usage"]["prompt_tokens"] == 5
    assert embed(http, [1, 2, 3])["usage"]["prompt_tokens"] == 3


def test_more_than_2048_inputs_are_refused(http: httpx.Client) -> None:
    assert len(embed(http, ["a"] * 2048, dimensions=1)["data"]) == 2048
    response = http.post(PATH, json={"input": ["a"] * 2049})
    assert response.status_code == 400
    assert "Too many inputs. The max number of inputs is 2048." in response.json()["error"]["message"]


def test_an_input_over_8192_tokens_is_refused(http: httpx.Client) -> None:
    message = embed(http, "word" * 8193)["error"]["message"]
    assert message.startswith("This model's maximum context length is 8192 tokens, however you requested 8193 tokens")


@pytest.mark.parametrize("more", [
    {"input": ""}, {"input": []}, {"input": [""]}, {"input": 5}, {"input": None}, {"dimensions": 0},
    {"dimensions": 1537}, {"encoding_format": "hex"}, {"colour": "blue"},
])  # fmt: skip
def test_a_wrong_value_is_refused(http: httpx.Client, sim: ControlClient, more: dict[str, Any]) -> None:
    assert http.post(PATH, json={"input": "hello", **more}).status_code == 400
    assert sim.bill() == []


def test_ada_does_not_choose_its_dimensions(http: httpx.Client) -> None:
    answer = embed(http, model="text-embedding-ada-002", dimensions=256)
    assert answer["error"]["message"] == "This model does not support specifying dimensions."


def test_a_chat_model_does_not_embed(http: httpx.Client) -> None:
    assert embed(http, model="gpt-4o")["error"]["message"].startswith("The embeddings operation does not work")


def test_the_limit_estimates_by_characters(http: httpx.Client, sim: ControlClient) -> None:
    sim.deployment("east", "text-embedding-3-small", tpm=100)
    statuses = [http.post(PATH, json={"input": "x" * 300}).status_code for _ in range(2)]
    assert statuses == [200, 429]
