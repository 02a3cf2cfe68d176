from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from shared import gateway
from shared import plan as plans
from shared.errors import ConfigError
from shared.gateway import Plan, read_plan
from shared.settings import Settings

pytest_plugins = ("tests.operations.by_hand",)

MakeHouse = Callable[..., Any]
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
ANSWER = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
ENVIRON = {"AZURE_API_BASE": "https://r.openai.azure.com", "AZURE_API_KEY": "k", "SPILLWAY_MASTER_KEY": "sk"}


def ok(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=ANSWER)


def error(reply: Any) -> Any:
    return orjson.loads(reply.body)["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/chat/completions",
        "/openai/v1/chat/completions",
        "/openai/deployments/gpt-4o/chat/completions",
        "/engines/gpt-4o/chat/completions",
    ],
)
async def test_every_spelling_reaches_the_deployment(house: MakeHouse, path: str) -> None:
    home = house(ok)
    assert ((await home.ask(CHAT, path)).status, home.hosts) == (200, ["a"])


async def test_an_azure_style_path_names_the_model(house: MakeHouse) -> None:
    reply = await house(ok).ask({**CHAT, "model": "ignored"}, "/openai/deployments/gpt-4o/chat/completions")
    assert reply.status == 200


async def test_an_unknown_path_is_a_404_of_openais_kind(house: MakeHouse) -> None:
    reply = await house(ok).ask({}, "/v1/nothing")
    assert (reply.status, error(reply)["code"], error(reply)["type"]) == (404, "unknown_url", "invalid_request_error")


async def test_a_wrong_method_is_a_405(house: MakeHouse) -> None:
    reply = await house(ok).ask({}, "/v1/chat/completions", "GET")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("headers", [{}, {"api-key": "wrong"}, {"authorization": "Basic x"}])
async def test_a_caller_without_a_good_key_reaches_nothing(house: MakeHouse, headers: dict[str, str]) -> None:
    home = house(ok)
    reply = await home.ask(CHAT, headers=headers)
    assert (reply.status, error(reply)["code"], home.hosts) == (401, "invalid_api_key", [])


async def test_the_key_may_come_as_azures_clients_send_it(house: MakeHouse) -> None:
    assert (await house(ok).ask(CHAT, headers={"api-key": "sk-master"})).status == 200


async def test_every_reply_names_its_call(house: MakeHouse) -> None:
    home = house(ok)
    replies = [await home.chat(), await home.ask({}, "/v1/nothing"), await home.ask(CHAT, headers={})]
    assert len({reply.headers["x-spillway-call-id"] for reply in replies}) == 3
    assert all(reply.headers["x-request-id"] for reply in replies)


async def test_an_unknown_model_is_told_what_there_is(house: MakeHouse) -> None:
    reply = await house(ok).ask({**CHAT, "model": "gpt-9"})
    assert (reply.status, error(reply)["code"], error(reply)["param"]) == (404, "model_not_found", "model")
    assert "Available models: gpt-4o." in error(reply)["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model":"gpt-4o"}'])
async def test_a_wrong_body_reaches_nothing(house: MakeHouse, body: bytes) -> None:
    home = house(ok)
    assert ((await home.ask(body)).status, home.hosts) == (400, [])


async def test_a_body_over_the_configured_limit_is_a_413(house: MakeHouse) -> None:
    home = house(ok, general="max_request_size_mb: 0.001")
    reply = await home.ask({**CHAT, "user": "x" * 2000})
    assert (reply.status, error(reply)["code"], home.hosts) == (413, "request_too_large", [])


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/openai/models"])
async def test_the_models_are_listed(house: MakeHouse, path: str) -> None:
    reply = await house(ok).ask(b"", path, "GET")
    assert orjson.loads(reply.body) == {
        "object": "list",
        "data": [{"id": "gpt-4o", "object": "model", "created": 0, "owned_by": "spillway"}],
    }


@pytest.mark.parametrize(
    ("model", "status"), [("gpt-4o", 200), ("gpt-4o/", 200), ("gpt-9", 404), ("azure/gpt-4o", 404)]
)
async def test_one_model_is_told_of(house: MakeHouse, model: str, status: int) -> None:
    assert (await house(ok).ask(b"", f"/v1/models/{model}", "GET")).status == status


async def test_the_list_of_models_needs_a_key(house: MakeHouse) -> None:
    assert (await house(ok).ask(b"", "/v1/models", "GET", headers={})).status == 401


async def test_a_refusal_is_recorded(house: MakeHouse) -> None:
    home = house(ok)
    await home.ask({**CHAT, "model": "gpt-9"})
    record = home.record
    assert (record["status"], record["code"], record["outcome"], record["model"]) == (
        404,
        "model_not_found",
        "error",
        "gpt-9",
    )


async def test_a_caller_nobody_knows_is_recorded_as_such(house: MakeHouse) -> None:
    home = house(ok)
    await home.ask(CHAT, headers={})
    assert (home.record["status"], home.record["caller"], home.record["operation"]) == (
        401,
        "unknown",
        "chat_completions",
    )


async def test_one_call_too_many_is_a_503(house: MakeHouse) -> None:
    release = asyncio.Event()

    async def slow(_: httpx.Request) -> httpx.Response:
        await release.wait()
        return httpx.Response(200, json=ANSWER)

    home = house(slow, calls_max=1)
    first = asyncio.create_task(home.chat())
    await home.until(lambda: bool(home.asked))
    second = await home.chat()
    release.set()
    assert (second.status, second.headers["retry-after-ms"], (await first).status) == (503, "1000", 200)


@pytest.mark.parametrize(
    "body",
    [CHAT, {**CHAT, "model": "gpt-9"}, {}, b"{", {**CHAT, "tools": [[]]}],
    ids=["success", "unknown model", "bad request", "no JSON", "upstream"],
)
async def test_a_call_that_ended_leaves_its_place_to_the_next(house: MakeHouse, body: Any) -> None:
    home = house(ok, calls_max=1)
    await home.ask(body)
    assert (await home.chat()).status == 200


async def test_models_are_answered_even_when_there_is_no_place(house: MakeHouse) -> None:
    async def slow(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(10)
        return httpx.Response(200)

    home = house(slow, calls_max=1)
    first = asyncio.create_task(home.chat())
    await home.until(lambda: bool(home.asked))
    reply = await home.ask(b"", "/v1/models", "GET")
    first.cancel()
    assert reply.status == 200


async def test_no_reply_tells_a_key_or_a_host(house: MakeHouse) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        message = "Bad request at https://a.openai.azure.com/openai"
        return httpx.Response(400, json={"error": {"code": "x", "message": message}})

    reply = await house(handler).chat()
    shown = repr(reply.headers) + reply.body.decode()
    assert not any(secret in shown for secret in ("azure.com", "key-a", "sk-master"))


# The plan.


def test_a_plan_is_read_from_the_environment() -> None:
    plan = read_plan({**ENVIRON, "SPILLWAY_CALLS_MAX": "7"})
    assert (plan.config.master_key, plan.settings.calls_max) == ("sk", 7)


def test_a_gateway_without_a_key_does_not_start() -> None:
    with pytest.raises(ConfigError, match="SPILLWAY_MASTER_KEY: not set"):
        read_plan({name: value for name, value in ENVIRON.items() if name != "SPILLWAY_MASTER_KEY"})


def test_a_gateway_without_a_key_starts_when_it_is_meant_to_be_open() -> None:
    environ = {name: value for name, value in ENVIRON.items() if name != "SPILLWAY_MASTER_KEY"}
    assert read_plan({**environ, "SPILLWAY_ALLOW_ANONYMOUS": "true"}).config.master_key is None


def test_a_plan_names_the_versions_that_are_raised(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "model_list:\n  - model_name: m\n    litellm_params: {model: azure/m, api_key: k, "
        "api_base: 'https://r.openai.azure.com', api_version: '2023-05-15'}\n"
    )
    plan = read_plan({"SPILLWAY_CONFIG": str(file), "SPILLWAY_MASTER_KEY": "sk"})
    assert any("chat uses 2024-09-01-preview" in warning for warning in plan.warnings)


def test_an_address_that_is_none_stops_the_start() -> None:
    with pytest.raises(ConfigError):
        read_plan({**ENVIRON, "AZURE_API_BASE": "ftp://r.openai.azure.com"})


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A plan, with no plan of another test in use."""
    monkeypatch.setattr(plans, "_in_use", [])
    read = read_plan(ENVIRON)
    return Plan(read.config, Settings(), ("mind this",))


async def test_a_loop_has_one_gateway(plan: Plan) -> None:
    gateway.use(plan)
    one, other = gateway.current(), gateway.current()
    await gateway.close_current()
    assert one is other


async def test_after_closing_a_loop_gets_a_new_one(plan: Plan) -> None:
    gateway.use(plan)
    one = gateway.current()
    await gateway.close_current()
    other = gateway.current()
    await gateway.close_current()
    assert one is not other


async def test_a_new_configuration_counts_on_where_the_former_one_did(plan: Plan) -> None:
    gateway.use(plan)
    former = gateway.current()
    new = gateway._renew(Plan(plan.config, Settings(calls_max=7)))
    assert gateway.current() is new is not former
    assert new.telemetry is former.telemetry
    assert new.telemetry.readings.args[0] is new.router  # type: ignore[attr-defined]
    await gateway.close_current()
    await former.close()


async def test_closing_a_loop_that_has_none_does_nothing() -> None:
    await gateway.close_current()
    assert asyncio.get_running_loop() not in gateway._gateways


def test_a_plans_warnings_are_logged_when_it_is_put_to_use(plan: Plan, caplog: pytest.LogCaptureFixture) -> None:
    gateway.use(plan)
    assert caplog.messages == ["mind this"]


def test_the_plan_is_read_once(plan: Plan) -> None:
    gateway.use(plan)
    assert gateway.check() is plan


def test_a_plan_names_once_who_has_no_price(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    entry = (
        "  - model_name: '{}'\n    litellm_params: {{model: 'azure/{}', api_key: k, "
        "api_base: 'https://r.openai.azure.com'}}\n"
    )
    names = (("m", "mine"), ("gpt-4o", "x"), ("*", "*"))
    file.write_text("model_list:\n" + "".join(entry.format(*pair) for pair in names))
    plan = read_plan({"SPILLWAY_CONFIG": str(file), "SPILLWAY_MASTER_KEY": "sk"})
    [said] = [warning for warning in plan.warnings if "spent" in warning]
    assert said == "model_list[0] (m): what is spent on mine is not known: set model_info.base_model to its model."
