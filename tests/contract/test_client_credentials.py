"""Keys, tokens and addresses that callers bring: only where the entry lists them, and never anywhere else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.requests import Request

from shared import gateway
from shared.operations.table import CHAT_COMPLETIONS
from tests.conftest import question
from tests.httpx_wire import Upstream

if TYPE_CHECKING:
    from tests.conftest import Spillway

PLAIN = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east}
"""
OWN_KEY = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o
      api_base: $SIM/east
      api_key: sim-key-of-nobody
      order: 1
      configurable_clientside_auth_params: [api_key, azure_ad_token, api_version]
    model_info: {id: east}
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/west, api_key: sim-key-west, order: 2}
  - model_name: embed
    litellm_params:
      model: azure/text-embedding-3-small
      api_base: $SIM/east
      api_key: sim-key-of-nobody
      configurable_clientside_auth_params: [api_key]
  - model_name: whisper
    litellm_params:
      model: azure/whisper
      api_base: $SIM/east
      api_key: sim-key-of-nobody
      configurable_clientside_auth_params: [api_key]
"""
OWN_BASE = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o
      api_base: https://operator.openai.azure.com
      api_key: operators-key
      configurable_clientside_auth_params:
        - api_key
        - api_version
        - api_base: "https://[a-z0-9.:\\\\[\\\\]-]+(/.*)?"
"""
HOST_LISTED = OWN_BASE.replace('"https://[a-z0-9.:\\\\[\\\\]-]+(/.*)?"', "mine.openai.azure.com")
NAMES = ["api_key", "api_base", "base_url", "api_version", "azure_ad_token", "tenant_id", "client_secret"]
SECRET = "clients-own-secret"


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", NAMES)
def test_what_no_entry_lists_is_a_400_and_nothing_is_sent(spillway: Spillway, name: str, stream: bool) -> None:
    run = spillway(PLAIN)
    answer = run.http.post(
        "/v1/chat/completions",
        json=question(stream=stream, **{name: SECRET if name != "api_version" else "2024-10-21"}),
    )
    assert refusal(answer) == (400, "unsupported_parameter", name)
    assert run.sent() == []
    assert SECRET not in answer.text


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_callers_key_signs_its_call_and_goes_nowhere_else(spillway: Spillway, stream: bool) -> None:
    run = spillway(OWN_KEY)
    assert run.chat(api_key="sim-key-east", stream=stream).status_code == 200
    [sent] = run.sent()
    assert sent["resource"] == "east"
    assert "api_key" not in sent["json"]
    assert "sim-key-east" not in sent["body"]


def test_a_call_without_a_key_of_its_own_uses_the_gateways(spillway: Spillway) -> None:
    run = spillway(OWN_KEY.replace("sim-key-of-nobody", "sim-key-east"))
    assert run.chat().status_code == 200
    assert run.chat(api_key=None).status_code == 200
    assert ["api_key" in one["json"] for one in run.sent()] == [False, False]


def test_a_callers_key_is_never_sent_to_a_deployment_that_does_not_list_it(spillway: Spillway) -> None:
    run = spillway(OWN_KEY)
    run.sim.fault(resource="east", status=503, times=None)
    assert run.chat(api_key="sim-key-east").status_code == 503
    assert {one["resource"] for one in run.sent()} == {"east"}


def test_a_wrong_key_is_the_callers_own_mistake(spillway: Spillway) -> None:
    run = spillway(OWN_KEY)
    answer = run.chat(api_key=SECRET)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_api_key")
    assert SECRET not in answer.text
    assert not any(SECRET in line for line in run.log.messages)


def test_a_callers_mistakes_do_not_turn_others_away(spillway: Spillway) -> None:
    run = spillway(OWN_KEY.replace("sim-key-of-nobody", "sim-key-east"))
    for _ in range(3):
        assert run.chat(api_key=SECRET).status_code == 400
    assert run.chat().headers["x-spillway-model-id"] == "east"


def test_a_token_is_sent_as_a_bearer(spillway: Spillway) -> None:
    run = spillway(OWN_KEY)
    assert run.chat(azure_ad_token="not.a.token").status_code == 400
    assert "authorization" in run.sent()[0]["headers"]
    assert "api-key" not in run.sent()[0]["headers"]


def test_an_api_version_is_the_callers(spillway: Spillway) -> None:
    run = spillway(OWN_KEY)
    assert run.chat(api_key="sim-key-east", api_version="2025-01-01-preview").status_code == 200
    assert run.sent()[0]["query"]["api-version"] == "2025-01-01-preview"


def test_other_operations_take_a_callers_key_as_well(spillway: Spillway) -> None:
    run = spillway(OWN_KEY)
    body = {"model": "embed", "input": "hi", "api_key": "sim-key-east"}
    assert run.http.post("/v1/embeddings", json=body).status_code == 200
    assert "api_key" not in run.sent()[0]["json"]


def test_a_form_is_cleared_of_a_callers_key(spillway: Spillway) -> None:
    run = spillway(OWN_KEY)
    files = {"file": ("a.mp3", b"\xff\xfb" * 2000, "audio/mpeg")}
    data = {"model": "whisper", "api_key": "sim-key-east"}
    assert run.http.post("/v1/audio/transcriptions", data=data, files=files).status_code == 200
    assert "sim-key-east" not in run.sim.requests()[0]["body"]


@pytest.mark.parametrize(
    "base",
    [
        "http://169.254.169.254",
        "http://169.254.169.254/metadata/identity/oauth2/token",
        "https://169.254.169.254",
        "https://127.0.0.1",
        "https://127.0.0.1:8443",
        "https://10.0.0.4",
        "https://168.63.129.16",
        "https://[::1]",
        "https://[::ffff:169.254.169.254]",
        "https://[fd00:ec2::254]",
        "https://localhost",
        "https://localhost:8443/openai/v1",
        "http://mine.openai.azure.com",
        "https://user@mine.openai.azure.com",
        "https://mine.openai.azure.com#@127.0.0.1",
        "https://2130706433",
        "https://127.1",
        "ftp://mine.openai.azure.com",
        "not a url",
        "",
    ],
)
def test_an_address_that_is_not_public_is_a_400_and_nothing_is_sent(spillway: Spillway, base: str) -> None:
    run = spillway(OWN_BASE)
    answer = run.chat(api_base=base, api_key=SECRET)
    assert refusal(answer) == (400, "invalid_value", "api_base")
    assert run.sim.requests() == []
    assert SECRET not in answer.text
    run.await_rest()


@pytest.mark.parametrize("base", ["https://other.openai.azure.com", "https://mine.openai.azure.com.evil.example"])
def test_an_address_that_the_allow_list_lacks_is_a_400(spillway: Spillway, base: str) -> None:
    answer = spillway(HOST_LISTED).chat(api_base=base, api_key=SECRET)
    assert refusal(answer) == (400, "invalid_value", "api_base")


def test_a_callers_address_never_gets_the_gateways_own_key(spillway: Spillway) -> None:
    answer = spillway(HOST_LISTED).chat(api_base="https://mine.openai.azure.com")
    assert refusal(answer) == (400, "invalid_value", "api_base")
    assert "own credentials" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"api_key": 5}, "api_key"),
        ({"api_key": ["sim-key-east"]}, "api_key"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "a b"}, "api_key"),
        ({"api_key": "a\r\nx-injected: 1"}, "api_key"),
        ({"api_key": "k" * 5000}, "api_key"),
        ({"api_key": "schlüssel"}, "api_key"),
        ({"api_version": "latest-and-greatest"}, "api_version"),
    ],
)
def test_what_cannot_be_a_credential_is_a_400(spillway: Spillway, fields: dict[str, Any], param: str) -> None:
    run = spillway(OWN_KEY)
    answer = run.chat(**fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert run.sent() == []


def test_one_address_under_two_names_is_a_400(spillway: Spillway) -> None:
    answer = spillway(OWN_BASE).chat(api_base="https://a.example", base_url="https://b.example", api_key=SECRET)
    assert refusal(answer) == (400, "invalid_value", "base_url")


class Recorder:
    """An upstream that remembers what it was sent and answers like a model."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        message = {"role": "assistant", "content": "hello"}
        body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}}
        return httpx.Response(200, json=body)


async def served(config: str, body: dict[str, Any], tmp: Path) -> tuple[Any, Recorder]:
    """What a gateway without sockets answers, and what it sent."""
    path = tmp / "own.yaml"
    path.write_text(config)
    recorder = Recorder()
    plan = gateway.read_plan({"SPILLWAY_CONFIG": str(path), "SPILLWAY_MASTER_KEY": "m"})
    one = gateway.Gateway(plan, transport=Upstream(recorder.answer))
    sent = [{"type": "http.request", "body": httpx.Request("POST", "http://x", json=body).content}]

    async def receive() -> Any:
        if not sent:
            await asyncio.sleep(3600)
        return sent.pop()

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "query_string": b"",
        "path_params": {},
        "headers": [(b"authorization", b"Bearer m")],
    }
    try:
        return await one.serve(CHAT_COMPLETIONS, Request(scope, receive)), recorder
    finally:
        await one.close()


QUESTION = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "api_key": SECRET}


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (
            "https://mine.openai.azure.com/",
            "https://mine.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2025-04-01-preview",
        ),
        ("https://mine.openai.azure.com/openai/v1", "https://mine.openai.azure.com/openai/v1/chat/completions"),
        (
            "https://mine.openai.azure.com/openai/deployments/theirs",
            "https://mine.openai.azure.com/openai/deployments/theirs/chat/completions?api-version=2025-04-01-preview",
        ),
    ],
)
async def test_a_listed_address_is_called_with_the_callers_key(tmp_path: Path, base: str, url: str) -> None:
    reply, recorder = await served(HOST_LISTED, {**QUESTION, "api_base": base}, tmp_path)
    [request] = recorder.requests
    assert (reply.status, str(request.url), request.headers["api-key"]) == (200, url, SECRET)
    assert b"api_base" not in request.content
    assert "mine.openai.azure.com" not in str(reply.headers)


async def test_without_an_address_the_operators_is_called(tmp_path: Path) -> None:
    _, recorder = await served(HOST_LISTED, QUESTION, tmp_path)
    [request] = recorder.requests
    assert (request.url.host, request.headers["api-key"]) == ("operator.openai.azure.com", SECRET)
