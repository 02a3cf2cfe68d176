"""Spillway itself under azure-functions-runtime; tests/test_routes.py has the same routes in the host of devtools."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from devtools.host.index import Index, index, load_app, read_host_json
from devtools.host.worker import Worker, runtime_worker
from devtools.serving import serving
from devtools.simulator import create_app
from shared import gateway

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 13), reason="azure-functions-runtime, the worker of Azure's Python 3.13, needs 3.13"
)

ROOT = Path(__file__).parents[2]
KEY = "sk-spillway-runtime-tests"
CATCH_ALL = "zz_aliases"
UPLOAD_BYTES = 50_000_000
ALIASES = [
    ("POST", "/chat/completions"),
    ("POST", "/openai/v1/chat/completions"),
    ("POST", "/openai/deployments/gpt-4o/chat/completions"),
    ("POST", "/engines/gpt-4o/chat/completions"),
    ("GET", "/"),
    ("GET", "/v2/anything"),
    ("DELETE", "/v1/chat/completions"),
]


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    with serving(create_app()) as url:
        yield url


@pytest.fixture(scope="module")
def environ(simulator: str, azurite: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `make run` sets, with the simulator and the storage of this module."""
    config = tmp_path_factory.mktemp("spillway") / "config.yaml"
    config.write_text((ROOT / "config.yaml").read_text().replace("http://127.0.0.1:9100", simulator))
    return {"SPILLWAY_CONFIG": str(config), "SPILLWAY_MASTER_KEY": KEY, "AzureWebJobsStorage": azurite}


@pytest.fixture(scope="module")
def worker(environ: dict[str, str]) -> Iterator[Worker]:
    with runtime_worker(ROOT, environ) as running:
        yield running


@pytest.fixture(scope="module")
def indexed(environ: dict[str, str]) -> Index:
    """Spillway's functions as the host of devtools sees them."""
    gateway.use(gateway.read_plan(environ))
    return index(load_app(ROOT), read_host_json(ROOT))


def samples(indexed: Index) -> list[tuple[str, str, str]]:
    """A method and a path for every explicit route, with the function that must answer."""
    return [
        (method, "/" + re.sub(r"\{\*?\w+\??\}", "sample", route.template), route.name)
        for route in indexed.table.routes
        if route.name != CATCH_ALL
        for method in sorted(route.methods)
    ]


def answered_by(worker: Worker, method: str, path: str) -> str:
    httpx.request(method, worker.url + path, json={} if method in ("POST", "PUT", "PATCH") else None)
    return str(worker.invocations()[-1]["function"])


def test_every_function_indexes_under_the_runtime(worker: Worker, indexed: Index) -> None:
    assert sorted(worker.functions) == sorted(indexed.functions)


def test_every_explicit_path_reaches_its_function_under_the_runtime(worker: Worker, indexed: Index) -> None:
    wrong = {
        (method, path): found
        for method, path, name in samples(indexed)
        if (found := answered_by(worker, method, path)) != name
    }
    assert wrong == {}


@pytest.mark.parametrize(("method", "path"), ALIASES)
def test_another_spelling_reaches_the_catch_all_under_the_runtime(worker: Worker, method: str, path: str) -> None:
    assert answered_by(worker, method, path) == CATCH_ALL


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc", "/docs/oauth2-redirect"])
def test_the_paths_that_fastapi_would_answer_are_spillway_s_404(worker: Worker, path: str) -> None:
    answer = httpx.get(worker.url + path, headers={"authorization": f"Bearer {KEY}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url")


def test_nothing_is_left_running(worker: Worker) -> None:
    httpx.get(f"{worker.url}/docs")
    assert {one["state"] for one in worker.invocations()} == {"succeeded"}


def test_the_worker_s_server_is_quiet(worker: Worker) -> None:
    assert "server" not in httpx.get(f"{worker.url}/v1/models").headers


def test_a_chat_is_answered(worker: Worker) -> None:
    with openai.OpenAI(base_url=f"{worker.url}/v1", api_key=KEY, max_retries=0) as client:
        answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}])
    assert answer.choices[0].finish_reason == "stop"


def test_a_chat_streams(worker: Worker) -> None:
    with openai.OpenAI(base_url=f"{worker.url}/v1", api_key=KEY, max_retries=0) as client:
        chunks = list(
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}], stream=True)
        )
    assert len([chunk for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]) > 1


def test_an_azure_client_streams(worker: Worker) -> None:
    with openai.AzureOpenAI(azure_endpoint=worker.url, api_key=KEY, api_version="2024-10-21", max_retries=0) as client:
        chunks = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "hello"}], stream=True
        )
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


@pytest.fixture
def client(worker: Worker) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{worker.url}/v1", api_key=KEY, max_retries=0, timeout=60) as client:
        yield client


def test_a_response_streams(client: openai.OpenAI) -> None:
    events = [event.type for event in client.responses.create(model="o4-mini", input="hello", stream=True)]
    assert (events[0], events[-1]) == ("response.created", "response.completed")


def test_speech_streams_and_is_kept(client: openai.OpenAI, worker: Worker) -> None:
    with client.audio.speech.with_streaming_response.create(model="tts", voice="alloy", input="Hello.") as answer:
        heard = b"".join(answer.iter_bytes())
        kept = answer.headers["x-spillway-speech-id"]
    again = httpx.get(f"{worker.url}/v1/audio/speech/{kept}", headers={"authorization": f"Bearer {KEY}"})
    assert again.content == heard


def test_embeddings_and_images_are_answered(client: openai.OpenAI) -> None:
    assert client.embeddings.create(model="text-embedding-3-small", input="hello").data
    assert client.images.generate(model="gpt-image-1", prompt="a spillway").data


def test_fifty_megabytes_are_uploaded_and_come_back_byte_for_byte(client: openai.OpenAI) -> None:
    data = os.urandom(UPLOAD_BYTES)
    file = client.files.create(file=("data.bin", data), purpose="user_data")
    digest = hashlib.sha256()
    with client.files.with_streaming_response.content(file.id) as answer:
        for chunk in answer.iter_bytes():
            digest.update(chunk)
    assert file.bytes == UPLOAD_BYTES
    assert digest.digest() == hashlib.sha256(data).digest()
    assert client.files.delete(file.id).deleted


def test_every_timer_runs(worker: Worker, indexed: Index) -> None:
    timers = sorted(timer.name for timer in indexed.timers)
    assert timers
    for name in timers:
        assert httpx.post(f"{worker.url}/admin/functions/{name}", timeout=60).status_code == 202
    ran = {one["function"]: one["state"] for one in worker.invocations() if one["function"] in timers}
    assert ran == dict.fromkeys(timers, "succeeded")


@pytest.mark.parametrize("path", ["/metrics", "/health/doctor"])
def test_the_operator_s_routes_answer(worker: Worker, path: str) -> None:
    assert httpx.get(worker.url + path, headers={"authorization": f"Bearer {KEY}"}, timeout=90).status_code == 200


def test_a_caller_that_leaves_a_stream_is_noticed(worker: Worker) -> None:
    text = "[[sim chunks=100 delay_ms=10]]"
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], "stream": True}
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx.stream("POST", f"{worker.url}/v1/chat/completions", json=body, headers=headers) as answer:
        next(answer.iter_raw())
    assert logged(worker, '"outcome":"disconnected"')


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc to count handles in")
def test_calls_leave_no_handle_open(worker: Worker, client: openai.OpenAI) -> None:
    def ask(count: int) -> int:
        for _ in range(count):
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}])
            list(
                client.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": "hello"}], stream=True
                )
            )
        return len(list(Path(f"/proc/{worker.pid}/fd").iterdir()))

    settled = ask(10)
    assert ask(60) <= settled + 5


def logged(worker: Worker, words: str, within_s: float = 8.0) -> bool:
    deadline = time.monotonic() + within_s
    while words not in worker.log.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    return words in worker.log.read_text()
