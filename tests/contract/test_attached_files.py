"""Files named inside chat and Responses bodies: copied on demand to the resource that is asked, and only there."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
from openai import OpenAI

from devtools.storage import AZURITE
from shared.files.store import ERASE_AGAIN_S

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

OPERATIONS = ("chat_completions", "responses_create", "responses_retrieve", "responses_input_items")

pytestmark = pytest.mark.skipif(not AZURITE.exists(), reason="Azurite is not installed: run `npm ci`")
Client = Callable[["Running"], OpenAI]
CONFIG = """
router_settings: {num_retries: 2}
model_list:
  - model_name: chat
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east, api_version: v1, order: 1}
    model_info: {id: east}
  - model_name: chat
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/west, api_key: sim-key-west, order: 2}
    model_info: {id: west}
"""


@pytest.fixture
def run(spillway: Spillway, azurite: str) -> Running:
    return spillway(CONFIG, AzureWebJobsStorage=azurite, SPILLWAY_ALLOW_ANONYMOUS="true")


@pytest.fixture
def file_id(run: Running) -> str:
    given = {"file": ("notes.txt", b"some notes")}
    return str(run.http.post("/v1/files", data={"purpose": "user_data"}, files=given).json()["id"])


def asking(file_id: str) -> list[dict[str, Any]]:
    return [
        {
            "role": "user",
            "content": [{"type": "text", "text": "Read this."}, {"type": "file", "file": {"file_id": file_id}}],
        }
    ]


def respond(run: Running, file_id: str, **more: Any) -> httpx.Response:
    content = [{"type": "input_text", "text": "Read this."}, {"type": "input_file", "file_id": file_id}]
    body = {"model": "chat", "input": [{"role": "user", "content": content}], **more}
    return run.http.post("/v1/responses", json=body)


def named(run: Running) -> list[str]:
    """The ids of files in the chats that reached a deployment."""
    chats = [one for one in run.sim.requests() if one["operation"] == "chat/completions"]
    bodies = [orjson.loads(one["body"]) for one in chats]
    return [body["messages"][0]["content"][1]["file"]["file_id"] for body in bodies]


def there(run: Running, resource: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{run.sim_url}/{resource}/openai/v1/files", headers={"api-key": f"sim-key-{resource}"})
    return list(answer.json()["data"])


def test_a_file_in_a_chat_is_copied_once(run: Running, client: Client, file_id: str) -> None:
    for _ in range(2):
        answer = client(run).chat.completions.create(model="chat", messages=asking(file_id))  # type: ignore[arg-type]
        assert answer.choices[0].message.content
    [copy] = there(run, "east")
    assert (copy["filename"], copy["bytes"], copy["purpose"]) == ("notes.txt", 10, "assistants")
    assert copy["expires_at"] is not None
    assert there(run, "west") == []
    assert named(run) == [copy["id"]] * 2


def test_each_attempt_names_the_copy_of_its_own_resource(run: Running, file_id: str) -> None:
    run.sim.fault(resource="east", operation="chat/completions", status=503)
    answer = run.http.post("/v1/chat/completions", json={"model": "chat", "messages": asking(file_id)})
    assert (answer.status_code, answer.headers["x-spillway-model-id"]) == (200, "west")
    [east], [west] = there(run, "east"), there(run, "west")
    *failed, last = named(run)
    assert last == west["id"]
    assert set(failed) == {east["id"]}


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_reads_a_file_and_names_it_as_the_caller_does(
    run: Running, client: Client, file_id: str, stream: bool
) -> None:
    sdk = client(run)
    content = [{"type": "input_text", "text": "Read this."}, {"type": "input_file", "file_id": file_id}]
    tool = {"type": "code_interpreter", "container": {"type": "auto", "file_ids": [file_id]}}
    asked: Any = {"model": "chat", "input": [{"role": "user", "content": content}], "tools": [tool]}
    if stream:
        *_, last = sdk.responses.create(**asked, stream=True)
        response = last.response
    else:
        response = sdk.responses.create(**asked)
    assert response.status == "completed"
    assert response.tools[0].container.file_ids == [file_id]
    [copy] = there(run, "east")
    [item] = sdk.responses.input_items.list(response.id)
    assert item.to_dict()["content"][1]["file_id"] == file_id  # type: ignore[index]
    assert copy["id"] not in response.to_json()


def test_another_instance_knows_whose_copy_it_was(run: Running, spillway: Spillway, azurite: str, file_id: str) -> None:
    tool = {"type": "code_interpreter", "container": {"type": "auto", "file_ids": [file_id]}}
    response_id = respond(run, file_id, tools=[tool]).json()["id"]
    spillway(CONFIG, AzureWebJobsStorage=azurite)
    again = run.http.get(f"/v1/responses/{response_id}").json()
    assert again["tools"][0]["container"]["file_ids"] == [file_id]
    items = run.http.get(f"/v1/responses/{response_id}/input_items").json()
    assert items["data"][0]["content"][1]["file_id"] == file_id
    assert respond(run, file_id).status_code == 200
    assert len(there(run, "east")) == 1


def test_a_stream_that_another_instance_reads_again_names_files_as_their_owner_does(
    run: Running, spillway: Spillway, azurite: str, file_id: str
) -> None:
    tool = {"type": "code_interpreter", "container": {"type": "auto", "file_ids": [file_id]}}
    made = respond(run, file_id, tools=[tool], background=True, stream=True, store=True).text
    assert file_id in made
    [response_id] = set(re.findall(r'"id":"(resp_[^"]+)"', made))
    [copy] = there(run, "east")
    spillway(CONFIG, AzureWebJobsStorage=azurite)
    again = run.http.get(f"/v1/responses/{response_id}", params={"stream": "true"}).text
    assert again.count(file_id) == made.count(file_id) > 0
    assert copy["id"] not in again


@pytest.mark.parametrize("file_id", ["file-" + "0" * 32, "assistant-abc", "file-abc", "../x"])
def test_a_file_that_is_not_the_callers_is_not_found(run: Running, file_id: str) -> None:
    chat = run.http.post("/v1/chat/completions", json={"model": "chat", "messages": asking(file_id)})
    assert (chat.status_code, chat.json()["error"]["param"]) == (404, "messages[0].content[1].file.file_id")
    response = respond(run, file_id)
    assert (response.status_code, response.json()["error"]["param"]) == (404, "input[0].content[1].file_id")
    assert run.sent() == []


def test_somebody_elses_file_is_not_found(run: Running, file_id: str) -> None:
    answer = httpx.post(
        f"{run.url}/v1/chat/completions", json={"model": "chat", "messages": asking(file_id)}, timeout=20
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert run.sent() == []


def test_a_resource_that_takes_no_file_is_not_the_last(run: Running, file_id: str) -> None:
    run.sim.fault(resource="east", operation="files", status=500, times=None)
    answer = run.http.post("/v1/chat/completions", json={"model": "chat", "messages": asking(file_id)})
    assert (answer.status_code, answer.headers["x-spillway-model-id"]) == (200, "west")
    assert len(run.sim.bill()) == 1


def test_an_error_about_a_file_names_it_as_the_caller_does(run: Running, file_id: str) -> None:
    assert respond(run, file_id).status_code == 200
    [copy] = there(run, "east")
    refusal = {"error": {"code": "invalid_file", "message": f"Cannot read {copy['id']}, sorry.", "param": None}}
    run.sim.fault(resource="east", operation="responses", status=400, body=refusal)
    answer = respond(run, file_id)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == f"Cannot read {file_id}, sorry."


def test_a_file_that_is_deleted_goes_from_the_resources_too(run: Running, file_id: str) -> None:
    assert respond(run, file_id).status_code == 200
    assert len(there(run, "east")) == 1
    run.http.delete(f"/v1/files/{file_id}")
    assert respond(run, file_id).status_code == 404
    run.gateway.files.store.clock = lambda: time.time() + 2 * ERASE_AGAIN_S
    asyncio.run_coroutine_threadsafe(run.gateway.files.sweep(), run.loop).result(20)
    assert there(run, "east") == []
