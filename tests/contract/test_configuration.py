"""The configuration in Blob Storage, changed while the app serves: host, Azurite and simulator over sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from shared import reload
from shared.storage.account import Account
from shared.storage.blobs import About, AzureBlobs
from tests.conftest import question

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

CONFIG = """
model_list:
  - model_name: %s
    litellm_params: {model: azure/gpt-4o, api_base: %s/east, api_key: sim-key-east}
    model_info: {mode: chat}
"""


def write(storage: str, text: str) -> str:
    """Writes the blob as an operator would; its URL."""

    async def put() -> None:
        account = Account.read({"AzureWebJobsStorage": storage})
        assert account is not None
        blobs = AzureBlobs(account, "spillway-config")
        await blobs.put("config.yaml", text.encode(), About("application/yaml", {}))
        await blobs.close()

    asyncio.run(put())
    endpoint = dict(part.partition("=")[::2] for part in storage.split(";"))["BlobEndpoint"]
    return f"{endpoint}/spillway-config/config.yaml"


def models(running: Running) -> list[str]:
    return [one["id"] for one in running.http.get("/v1/models").raise_for_status().json()["data"]]


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def test_a_change_is_taken_up_by_new_calls_while_a_stream_goes_on(
    spillway: Spillway, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "RELOAD_S", 0.05)
    url = write(azurite, CONFIG % ("before", "http://127.0.0.1:1"))
    running = spillway(None, SPILLWAY_CONFIG=url, AzureWebJobsStorage=azurite)
    assert models(running) == ["before"]
    write(azurite, CONFIG % ("first", running.sim_url))
    until(lambda: models(running) == ["first"], "the first change")
    running.sim.fault(stall_after_events=4, stall_s=3)
    body = {**question("tell me much"), "model": "first", "stream": True}
    with running.http.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("data:")
        write(azurite, CONFIG % ("second", running.sim_url))
        until(lambda: models(running) == ["second"], "the second change")
        rest = list(lines)
    assert "data: [DONE]" in rest
    refused = running.http.post("/v1/chat/completions", json={**question(), "model": "first"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")


def test_a_wrong_change_leaves_the_last_good_one_and_says_so(
    spillway: Spillway, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "RELOAD_S", 0.05)
    url = write(azurite, CONFIG % ("good", "https://r.openai.azure.com"))
    running = spillway(None, SPILLWAY_CONFIG=url, AzureWebJobsStorage=azurite)
    assert models(running) == ["good"]
    assert running.http.get("/health?model=good").json()["configuration"] == "current"
    write(azurite, "model_list: 7")
    until(lambda: "last good" in running.http.get("/health?model=good").text, "word of the problem")
    shown = running.http.get("/health?model=good").json()
    assert "model_list" in shown["configuration_problem"]
    assert models(running) == ["good"]
    write(azurite, CONFIG % ("mended", "https://r.openai.azure.com"))
    until(lambda: models(running) == ["mended"], "the mended one")
    assert running.http.get("/health?model=mended").json()["configuration"] == "current"
