"""Chat over every surface and form of address that Azure OpenAI has: which URL is called, and what is sent to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from openai import AzureOpenAI, DefaultHttpxClient, OpenAI

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

CLASSIC = "/east/openai/deployments/gpt-4o/chat/completions"
V1 = "/east/openai/v1/chat/completions"
LATEST_PREVIEW = "2025-04-01-preview"

# (lines of litellm_params) → (path, api-version) that is called
SURFACES: dict[str, tuple[str, str, str | None]] = {
    "classic": ("api_base: $SIM/east\napi_version: '2024-10-21'", CLASSIC, "2024-10-21"),
    "classic, slash": ("api_base: $SIM/east/\napi_version: '2024-10-21'", CLASSIC, "2024-10-21"),
    "classic preview": ("api_base: $SIM/east\napi_version: 2025-01-01-preview", CLASSIC, "2025-01-01-preview"),
    "no version": ("api_base: $SIM/east", CLASSIC, LATEST_PREVIEW),
    "too old": ("api_base: $SIM/east\napi_version: '2023-05-15'", CLASSIC, "2024-09-01-preview"),
    "too old, exact": (
        "api_base: $SIM/east\napi_version: '2023-05-15'\napi_version_policy: exact",
        CLASSIC,
        "2023-05-15",
    ),
    "base_url": ("base_url: $SIM/east\napi_version: '2024-10-21'", CLASSIC, "2024-10-21"),
    "/openai": ("api_base: $SIM/east/openai\napi_version: '2024-10-21'", CLASSIC, "2024-10-21"),
    "/openai/deployments/d": (
        "api_base: $SIM/east/openai/deployments/gpt-4o\napi_version: '2024-10-21'",
        CLASSIC,
        "2024-10-21",
    ),
    "target URI": (
        "api_base: $SIM/east/openai/deployments/gpt-4o/chat/completions?api-version=2025-01-01-preview",
        CLASSIC,
        "2025-01-01-preview",
    ),
    "v1": ("api_base: $SIM/east/openai/v1/", V1, None),
    "v1 target URI": ("api_base: $SIM/east/openai/v1/chat/completions", V1, None),
    "v1 by version": ("api_base: $SIM/east\napi_version: v1", V1, None),
    "v1 latest": ("api_base: $SIM/east\napi_version: latest", V1, None),
    "v1 preview": ("api_base: $SIM/east/openai/v1\napi_version: preview", V1, "preview"),
}


def config(lines: str, model: str = "azure/gpt-4o", key: str = "api_key: sim-key-east") -> str:
    inside = "\n      ".join([f"model: {model}", key, *lines.splitlines()])
    return f"model_list:\n  - model_name: gpt-4o\n    litellm_params:\n      {inside}\n"


def ask(run: Running, model: str = "gpt-4o", **body: Any) -> Any:
    messages: Any = [{"role": "user", "content": "hello"}]
    with OpenAI(
        base_url=run.url + "/v1", api_key=run.key, max_retries=0, http_client=DefaultHttpxClient(verify=False)
    ) as client:
        answer: Any = client.chat.completions.create(model=model, messages=messages, **body)
        return list(answer) if body.get("stream") else answer


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("lines", "path", "version"), SURFACES.values(), ids=SURFACES)
def test_an_address_is_called_where_azure_has_the_operation(
    spillway: Spillway, lines: str, path: str, version: str | None, stream: bool
) -> None:
    run = spillway(config(lines))
    ask(run, stream=stream)
    [sent] = run.sent()
    assert (sent["path"], sent["query"].get("api-version"), sent["status"]) == (path, version, 200)


@pytest.mark.parametrize("lines", [lines for name, (lines, _, _) in SURFACES.items() if "exact" not in name])
def test_usage_of_a_stream_is_the_upstreams_own_on_every_surface(spillway: Spillway, lines: str) -> None:
    run = spillway(config(lines))
    ask(run, stream=True)
    [call] = run.calls()
    [line] = run.sim.bill()
    assert call["usage_source"] == "upstream"
    assert (call["prompt_tokens"], call["completion_tokens"]) == (line["prompt_tokens"], line["completion_tokens"])


def test_an_exact_old_version_streams_without_usage_and_it_is_estimated(spillway: Spillway) -> None:
    run = spillway(config(SURFACES["too old, exact"][0]))
    chunks = ask(run, stream=True)
    assert chunks[-1].choices[0].finish_reason == "stop"
    [call] = run.calls()
    [line] = run.sim.bill()
    assert call["usage_source"] == "estimated"
    assert line["completion_tokens"] / 2 <= call["completion_tokens"] <= line["completion_tokens"] * 2
    assert "stream_options" not in run.sent()[0]["json"]


def test_an_exact_old_version_tells_the_usage_of_a_whole_answer(spillway: Spillway) -> None:
    run = spillway(config(SURFACES["too old, exact"][0]))
    assert ask(run).usage.completion_tokens == run.calls()[0]["completion_tokens"]
    assert run.calls()[0]["usage_source"] == "upstream"


def test_a_raised_version_is_named_at_the_start(spillway: Spillway) -> None:
    run = spillway(config(SURFACES["too old"][0]))
    [warning] = [line for line in run.log.messages if "2023-05-15" in line]
    assert "2024-09-01-preview" in warning
    assert "api_version_policy: exact" in warning


@pytest.mark.parametrize("prefix", ["azure/", "azure/gpt5_series/", "azure/o_series/"])
def test_a_family_in_the_model_is_not_part_of_the_deployment(spillway: Spillway, prefix: str) -> None:
    run = spillway(config(SURFACES["v1"][0], model=prefix + "gpt-5"))
    ask(run)
    assert run.sent()[0]["json"]["model"] == "gpt-5"


def test_an_o_series_deployment_is_served_whatever_its_name(spillway: Spillway) -> None:
    run = spillway(config(SURFACES["classic preview"][0], model="azure/my-o3-deployment"))
    ask(run, max_completion_tokens=2000)
    assert run.sent()[0]["deployment"] == "my-o3-deployment"


WILDCARD = """
model_list:
  - model_name: azure/*
    litellm_params: {model: azure/*, api_base: $SIM/east, api_key: sim-key-east, api_version: "2024-10-21"}
"""


@pytest.mark.parametrize("deployment", ["gpt-4o", "gpt-4.1", "chatgpt-v-2"])
def test_a_wildcard_serves_any_deployment_of_the_resource(spillway: Spillway, deployment: str) -> None:
    run = spillway(WILDCARD)
    ask(run, model=f"azure/{deployment}")
    assert run.sent()[0]["deployment"] == deployment


def test_an_azure_client_can_ask_for_a_name_with_a_slash(spillway: Spillway) -> None:
    run = spillway(WILDCARD)
    with AzureOpenAI(
        azure_endpoint=run.url, api_key=run.key, api_version="2024-10-21", max_retries=0,
        http_client=DefaultHttpxClient(verify=False),
    ) as client:  # fmt: skip
        client.chat.completions.create(model="azure/gpt-4o", messages=[{"role": "user", "content": "hello"}])
    assert run.sent()[0]["deployment"] == "gpt-4o"


@pytest.mark.parametrize("name", ["../models", "a/b", "a%2Fb", "gpt-4o?x=1", "..", "a" * 65, "gpt 4o", "é"])
def test_a_wildcard_lets_nobody_write_a_path(spillway: Spillway, name: str) -> None:
    run = spillway(WILDCARD)
    answer = run.chat(model=f"azure/{name}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert run.sent() == []


@pytest.mark.parametrize("model", ["gpt-4o", "azure/gpt-4o", "azure/my-o3-deployment", "gpt-4.1"])
def test_the_environment_alone_serves_any_deployment(spillway: Spillway, model: str) -> None:
    run = spillway(None, AZURE_API_BASE="$SIM/west", AZURE_API_KEY="sim-key-west", AZURE_API_VERSION="2024-10-21")
    ask(run, model=model)
    [sent] = run.sent()
    assert (sent["resource"], sent["deployment"]) == ("west", model.removeprefix("azure/"))
    assert sent["query"]["api-version"] == "2024-10-21"


def test_values_may_come_from_the_environment(spillway: Spillway) -> None:
    lines = "api_base: os.environ/MY_BASE\napi_version: os.environ/MY_VERSION"
    run = spillway(
        config(lines, key="api_key: os.environ/MY_KEY"),
        MY_BASE="$SIM/sweden",
        MY_VERSION="2024-10-21",
        MY_KEY="sim-key-sweden",
    )
    ask(run)
    assert run.sent()[0]["resource"] == "sweden"


def test_an_openai_upstream_gets_the_key_as_a_bearer_and_the_models_name(spillway: Spillway) -> None:
    run = spillway(config("api_base: $SIM/east/openai/v1", model="openai/gpt-4o"))
    ask(run, stream=True)
    [sent] = run.sent()
    assert sent["path"] == V1
    assert sent["json"]["model"] == "gpt-4o"
    assert "api-key" not in sent["headers"]
    assert "authorization" in sent["headers"]
