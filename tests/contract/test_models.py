"""`/v1/models` through the openai package: what the configuration offers, asked of no upstream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import openai
import pytest
from openai import AzureOpenAI, OpenAI

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

OPERATIONS = ("models_list", "models_retrieve")

CONFIG = """
model_list:
  - {model_name: gpt-4o, litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east}}
  - {model_name: gpt-4o, litellm_params: {model: azure/gpt-4o, api_base: $SIM/west, api_key: sim-key-west}}
  - {model_name: team/fast/mini, litellm_params: {model: azure/gpt-4o-mini, api_base: $SIM/east, api_key: k}}
  - {model_name: azure/*, litellm_params: {model: azure/*, api_base: $SIM/east, api_key: k}}
router_settings:
  model_group_alias:
    gpt-4: gpt-4o
    secret: {model: gpt-4o, hidden: true}
"""

Connect = Callable[["Running"], AbstractContextManager[OpenAI]]


def _openai(run: Running) -> OpenAI:
    http = openai.DefaultHttpxClient(verify=False)
    return OpenAI(base_url=run.url + "/v1", api_key=run.key, max_retries=0, http_client=http)


def _azure(run: Running) -> AzureOpenAI:
    http = openai.DefaultHttpxClient(verify=False)
    return AzureOpenAI(
        azure_endpoint=run.url, api_key=run.key, api_version="2024-10-21", max_retries=0, http_client=http
    )


def _azure_deployment(run: Running) -> AzureOpenAI:
    http = openai.DefaultHttpxClient(verify=False)
    return AzureOpenAI(
        azure_endpoint=run.url, api_key=run.key, api_version="2024-10-21", azure_deployment="gpt-4o", max_retries=0,
        http_client=http,
    )  # fmt: skip


@pytest.fixture
def run(spillway: Spillway) -> Running:
    return spillway(CONFIG)


@pytest.fixture(params=[_openai, _azure, _azure_deployment], ids=["openai", "azure", "azure_deployment"])
def client(run: Running, request: pytest.FixtureRequest) -> Iterator[OpenAI]:
    connect: Connect = request.param
    with connect(run) as made:
        yield made


def test_the_list_has_each_name_once_in_the_files_order_and_no_patterns(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["gpt-4o", "team/fast/mini", "gpt-4"]


def test_a_model_has_what_openais_schema_requires(client: OpenAI) -> None:
    model = client.models.retrieve("gpt-4o")
    assert (model.id, model.object, model.owned_by, model.created) == ("gpt-4o", "model", "spillway", 0)


@pytest.mark.parametrize("name", ["team/fast/mini", "gpt-4", "secret", "azure/gpt-4.1"])
def test_a_name_with_slashes_an_alias_or_a_wildcards_name_can_be_retrieved(client: OpenAI, name: str) -> None:
    assert client.models.retrieve(name).id == name


@pytest.mark.parametrize("name", ["gpt-9", "team/fast", "azure/*", "azure/a b", "azure/.."])
def test_an_unknown_model_is_a_404_that_names_the_known_ones(client: OpenAI, name: str) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve(name)
    assert raised.value.code == "model_not_found"
    assert "gpt-4o, team/fast/mini" in raised.value.message
    assert "secret" not in raised.value.message


def test_no_upstream_is_asked(run: Running, client: OpenAI) -> None:
    client.models.list()
    client.models.retrieve("gpt-4o")
    assert run.sim.requests() == []


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/gpt-4o"])
def test_models_need_a_key(run: Running, path: str) -> None:
    answer = run.http.get(path, headers={"authorization": ""})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "path", ["/v1/models", "/models", "/openai/v1/models", "/openai/models?api-version=2024-10-21"]
)
def test_every_spelling_gives_the_same_list(run: Running, path: str) -> None:
    assert run.http.get(path).json() == run.http.get("/v1/models").json()


@pytest.mark.parametrize("prefix", ["/v1", "", "/openai/v1", "/openai"])
@pytest.mark.parametrize("name", ["team/fast/mini", "team%2Ffast%2Fmini", "gpt-4o/"])
def test_every_spelling_gives_the_same_model(run: Running, prefix: str, name: str) -> None:
    answer = run.http.get(f"{prefix}/models/{name}")
    assert answer.status_code == 200
    assert answer.json()["id"] == name.replace("%2F", "/").rstrip("/")
