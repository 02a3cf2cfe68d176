"""Checks of deployments: what is asked of each mode, how often, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from shared import gateway
from shared.errors import ModelNotFound
from shared.operations import health
from shared.operations.health import Health
from tests.httpx_wire import Upstream

BASE = "https://secret-host.openai.azure.com"
Handler = Callable[[httpx.Request], httpx.Response]


class Asked:
    """Answers every request by `handler`; remembers them, and how many were under way at once."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.handler: Handler = lambda _: httpx.Response(200, json={"data": []})
        self.gate: asyncio.Event | None = None
        self.under_way = 0
        self.most = 0

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)
            if self.gate is not None:
                await self.gate.wait()
            return self.handler(request)
        finally:
            self.under_way -= 1

    @property
    def paths(self) -> list[str]:
        return [f"{one.method} {one.url.path.removeprefix('/openai')}" for one in self.requests]


class Probed:
    """The health of a configuration whose upstream is a function, at a time that stands still."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.upstream = Asked()
        self.now = 1000.0
        self.gateways: list[gateway.Gateway] = []

    def of(self, *entries: str) -> Health:
        path = self._folder / "config.yaml"
        path.write_text("model_list:\n" + "".join(entries))
        plan = gateway.read_plan({"SPILLWAY_CONFIG": str(path), "SPILLWAY_MASTER_KEY": "m"})
        made = gateway.Gateway(plan, transport=Upstream(self.upstream.answer))
        self.gateways.append(made)
        made.health.monotonic = lambda: self.now
        return made.health


@pytest.fixture
async def probed(tmp_path: Path) -> AsyncIterator[Probed]:
    made = Probed(tmp_path)
    yield made
    for one in made.gateways:
        await one.close()


def entry(model: str = "azure/gpt-4o", name: str = "m", mode: str | None = None, **info: str) -> str:
    known = ", ".join(f"{key}: {value}" for key, value in {**({"mode": mode} if mode else {}), **info}.items())
    return (
        f"  - model_name: '{name}'\n    litellm_params: {{model: '{model}', api_base: '{BASE}', api_key: secret-key}}\n"
        f"    model_info: {{{known}}}\n"
    )


CHECKS: list[tuple[str, str | None, str, dict[str, Any] | None]] = [
    ("azure/gpt-4o", "chat", "POST /deployments/gpt-4o/chat/completions", {"max_tokens": 5}),
    ("azure/gpt-4o", None, "POST /deployments/gpt-4o/chat/completions", {"max_tokens": 5}),
    ("azure/o_series/my", "chat", "POST /deployments/my/chat/completions", {"max_completion_tokens": 5}),
    ("azure/gpt-5", None, "POST /deployments/gpt-5/chat/completions", {"max_completion_tokens": 5}),
    ("azure_text/d", None, "POST /deployments/d/completions", {"prompt": "hi", "max_tokens": 5}),
    ("azure/gpt-35-turbo-instruct", "completion", "POST /deployments/gpt-35-turbo-instruct/completions", {}),
    ("azure/e", "embedding", "POST /deployments/e/embeddings", {"input": "hi"}),
    ("azure/text-embedding-3-small", None, "POST /deployments/text-embedding-3-small/embeddings", {"input": "hi"}),
    ("azure/gpt-4o", "batch", "GET /batches", None),
    ("azure/gpt-image-1", "image_generation", "GET /models", None),
    ("azure/gpt-image-1", "image_edit", "GET /models", None),
    ("azure/tts", "audio_speech", "GET /models", None),
    ("azure/whisper", "audio_transcription", "GET /models", None),
    ("azure/gpt-5", "responses", "GET /models", None),
    ("azure/somebodys-own", None, "GET /models", None),
    ("azure/dall-e-3", None, "GET /models", None),
]


@pytest.mark.parametrize(("model", "mode", "path", "body"), CHECKS)
async def test_each_mode_has_its_check(
    probed: Probed, model: str, mode: str | None, path: str, body: dict[str, Any] | None
) -> None:
    found = await probed.of(entry(model, mode=mode)).report(None)
    assert found["healthy_count"] == 1
    assert probed.upstream.paths == [path]
    sent = probed.upstream.requests[0].content
    assert (orjson.loads(sent).items() >= body.items()) if body is not None else sent == b""


async def test_a_batch_deployment_is_asked_for_one_batch_at_a_version_that_has_batches(probed: Probed) -> None:
    await probed.of(entry(mode="batch")).report(None)
    assert dict(probed.upstream.requests[0].url.params) == {"api-version": "2025-04-01-preview", "limit": "1"}


@pytest.mark.parametrize("name", ["azure/*", "*"])
async def test_a_wildcard_is_checked_by_the_models_of_its_resource(probed: Probed, name: str) -> None:
    found = await probed.of(entry("azure/*", name)).report(None)
    assert (found["healthy_endpoints"][0]["model"], probed.upstream.paths) == ("azure/*", ["GET /models"])


async def test_an_openai_entry_is_asked_for_its_models(probed: Probed) -> None:
    text = "  - model_name: d\n    litellm_params: {model: openai/dall-e-3, api_key: k}\n"
    await probed.of(text).report(None)
    [request] = probed.upstream.requests
    assert (str(request.url), request.headers["authorization"]) == ("https://api.openai.com/v1/models", "Bearer k")


async def test_the_report_has_litellms_shape_and_names_from_the_configuration(probed: Probed) -> None:
    probed.upstream.handler = lambda request: httpx.Response(
        200 if b"good" in request.content else 401,
        json={"error": {"code": "401", "message": f"wrong key secret-key for {BASE}"}},
    )
    found = await probed.of(entry("azure/good", "a", "chat", id="one"), entry("azure/bad", "b", "chat")).report(None)
    assert (found["healthy_count"], found["unhealthy_count"]) == (1, 1)
    [good], [bad] = found["healthy_endpoints"], found["unhealthy_endpoints"]
    assert (good["model"], good["model_name"], good["model_id"], good["mode"], good["check"]) == (
        "azure/good",
        "a",
        "one",
        "chat",
        "chat",
    )
    assert (bad["model"], bad["code"]) == ("azure/bad", "upstream_misconfigured")
    shown = str(found)
    assert "secret" not in shown


async def test_a_storm_of_probes_is_one_check(probed: Probed) -> None:
    one = probed.of(entry())
    reports = await asyncio.gather(*(one.report(None) for _ in range(200)))
    assert {report["healthy_count"] for report in reports} == {1}
    for _ in range(200):
        await one.report(None)
    assert len(probed.upstream.requests) == 1


@pytest.mark.parametrize(("status", "lasts_s"), [(200, health.HEALTHY_S), (500, health.UNHEALTHY_S)])
async def test_an_outcome_is_believed_for_its_time(probed: Probed, status: int, lasts_s: float) -> None:
    probed.upstream.handler = lambda _: httpx.Response(status, json={})
    one = probed.of(entry())
    await one.report(None)
    probed.now += lasts_s - 0.1
    await one.report(None)
    assert len(probed.upstream.requests) == 1
    probed.now += 0.1
    await one.report(None)
    assert len(probed.upstream.requests) == 2


async def test_only_so_many_checks_run_at_once(probed: Probed) -> None:
    one = probed.of(*(entry(f"azure/d{i}", f"m{i}") for i in range(3 * health.CHECKS_AT_ONCE)))
    found = await one.report(None)
    assert (found["healthy_count"], probed.upstream.most) == (3 * health.CHECKS_AT_ONCE, health.CHECKS_AT_ONCE)


async def test_a_check_that_takes_too_long_is_unhealthy(probed: Probed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_S", 0.05)
    probed.upstream.gate = asyncio.Event()
    [bad] = (await probed.of(entry()).report(None))["unhealthy_endpoints"]
    assert bad["code"] == "upstream_timeout"


async def test_a_report_does_not_wait_for_ever(probed: Probed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "REPORT_S", 0.05)
    probed.upstream.gate = asyncio.Event()
    one = probed.of(entry())
    [pending] = (await one.report(None))["unhealthy_endpoints"]
    assert pending["code"] == "health_check_pending"
    probed.upstream.gate.set()
    assert (await one.report(None))["healthy_count"] == 1
    assert len(probed.upstream.requests) == 1


async def test_a_caller_that_leaves_does_not_end_the_check(probed: Probed) -> None:
    probed.upstream.gate = asyncio.Event()
    one = probed.of(entry())
    left = asyncio.create_task(one.report(None))
    await asyncio.sleep(0.01)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    probed.upstream.gate.set()
    assert (await one.report(None))["healthy_count"] == 1
    assert len(probed.upstream.requests) == 1


async def test_a_reasoning_model_that_runs_out_of_tokens_is_alive(probed: Probed) -> None:
    error = {"message": "Could not finish the message because max_tokens was reached.", "type": "invalid_request_error"}
    probed.upstream.handler = lambda _: httpx.Response(400, json={"error": {**error, "param": None, "code": None}})
    assert (await probed.of(entry("azure/o_series/o3")).report(None))["healthy_count"] == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"code": "OperationNotSupported", "message": "The chatCompletion operation does not work."}),
        (400, {"code": None, "param": "max_tokens", "message": "Unsupported parameter."}),
        (404, {"code": "DeploymentNotFound", "message": "The API deployment does not exist."}),
        (429, {"code": "429", "message": "Slow down."}),
        (503, {"message": "Busy."}),
    ],
)
async def test_every_other_refusal_is_unhealthy(probed: Probed, status: int, error: dict[str, Any]) -> None:
    probed.upstream.handler = lambda _: httpx.Response(status, json={"error": error})
    assert (await probed.of(entry()).report(None))["unhealthy_count"] == 1


@pytest.mark.parametrize("asked", ["a", "azure/d1", "d1", "one"])
async def test_one_model_may_be_asked_for(probed: Probed, asked: str) -> None:
    one = probed.of(entry("azure/d1", "a", id="one"), entry("azure/d2", "b"))
    found = await one.report(asked)
    assert [shown["model_name"] for shown in found["healthy_endpoints"]] == ["a"]
    assert len(probed.upstream.requests) == 1


async def test_a_name_that_a_wildcard_serves_is_checked_as_that_name(probed: Probed) -> None:
    found = await probed.of(entry("azure/*", "azure/*")).report("azure/gpt-4o")
    assert (found["healthy_endpoints"][0]["model"], probed.upstream.paths) == (
        "azure/gpt-4o",
        ["POST /deployments/gpt-4o/chat/completions"],
    )


async def test_a_model_that_is_not_served_is_not_found(probed: Probed) -> None:
    with pytest.raises(ModelNotFound):
        await probed.of(entry()).report("gpt-9")


async def test_what_is_remembered_is_bounded(probed: Probed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "RESULTS_MAX", 3)
    one = probed.of(*(entry(f"azure/d{i}", f"m{i}") for i in range(6)))
    await one.report(None)
    assert len(one._results) == 3


async def test_a_check_that_fails_by_a_fault_of_ours_is_unhealthy_and_logged(
    probed: Probed, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(_: httpx.Request) -> httpx.Response:
        raise KeyError("a fault")

    probed.upstream.handler = fault
    [bad] = (await probed.of(entry()).report(None))["unhealthy_endpoints"]
    assert bad["code"] == "internal_error"
    assert "health check" in caplog.text
