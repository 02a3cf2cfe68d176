"""Uploads over sockets: a file that comes in parts, by unchanged clients, kept in Azurite."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import openai
import orjson
import pytest
from openai import OpenAI

from devtools.storage import AZURITE

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

OPERATIONS = ("uploads_create", "uploads_part", "uploads_complete", "uploads_cancel")

pytestmark = pytest.mark.skipif(not AZURITE.exists(), reason="Azurite is not installed: run `npm ci`")
Client = Callable[["Running"], OpenAI]
CONFIG = """
model_list:
  - model_name: chat
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east, api_version: "2024-10-21"}
"""
LINE = {"method": "POST", "url": "/v1/chat/completions", "body": {"model": "chat", "messages": []}}


@pytest.fixture
def run(spillway: Spillway, azurite: str) -> Running:
    return spillway(CONFIG, AzureWebJobsStorage=azurite, SPILLWAY_ALLOW_ANONYMOUS="true")


def create(run: Running, size: int, **changed: Any) -> httpx.Response:
    about = {"purpose": "user_data", "filename": "a.txt", "mime_type": "text/plain", "bytes": size, **changed}
    return run.http.post("/v1/uploads", json=about)


def add(run: Running, upload_id: str, data: bytes) -> httpx.Response:
    return run.http.post(f"/v1/uploads/{upload_id}/parts", files={"data": ("part", data)})


def complete(run: Running, upload_id: str, *part_ids: str, **more: Any) -> httpx.Response:
    return run.http.post(f"/v1/uploads/{upload_id}/complete", json={"part_ids": part_ids, **more})


def in_parts(run: Running, *parts: bytes, **changed: Any) -> tuple[str, list[str]]:
    """An upload and the ids of its parts."""
    upload_id = create(run, sum(map(len, parts)), **changed).json()["id"]
    return upload_id, [add(run, upload_id, part).json()["id"] for part in parts]


def content(run: Running, file_id: str) -> bytes:
    return run.http.get(f"/v1/files/{file_id}/content").content


def test_a_client_sends_a_file_in_parts(run: Running, client: Client) -> None:
    data = bytes(range(256)) * 20_000
    done = client(run).uploads.upload_file_chunked(
        file=data,
        filename="large.bin",
        bytes=len(data),
        mime_type="application/octet-stream",
        purpose="user_data",
        part_size=2_000_000,
        md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
    )
    assert (done.status, done.object, done.bytes) == ("completed", "upload", len(data))
    assert done.expires_at == done.created_at + 3600
    assert done.file is not None
    assert (done.file.filename, done.file.bytes, done.file.purpose) == ("large.bin", len(data), "user_data")
    assert client(run).files.content(done.file.id).read() == data


def test_parts_are_put_together_in_the_order_that_is_asked_for(run: Running) -> None:
    upload_id, [first, second] = in_parts(run, b"world", b"hello ")
    done = complete(run, upload_id, second, first).json()
    assert content(run, done["file"]["id"]) == b"hello world"


def test_a_part_that_is_not_named_is_not_part_of_the_file(run: Running) -> None:
    upload_id, [first, second] = in_parts(run, b"one", b"two")
    again = add(run, upload_id, b"TWO").json()["id"]
    done = complete(run, upload_id, first, again).json()
    assert content(run, done["file"]["id"]) == b"oneTWO"
    assert second


def test_completing_again_gives_the_same_file(run: Running) -> None:
    upload_id, parts = in_parts(run, b"one")
    first = complete(run, upload_id, *parts)
    assert complete(run, upload_id, *parts).json() == first.json()
    answer = complete(run, upload_id, *parts, *parts)
    assert answer.status_code == 400


def test_the_wrong_order_is_told_by_its_md5_and_can_be_mended(run: Running) -> None:
    upload_id, [first, second] = in_parts(run, b"hello ", b"world")
    md5 = hashlib.md5(b"hello world", usedforsecurity=False).hexdigest()
    refused = complete(run, upload_id, second, first, md5=md5)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "md5_mismatch")
    done = complete(run, upload_id, first, second, md5=md5.upper()).json()
    assert content(run, done["file"]["id"]) == b"hello world"


def test_a_batch_in_parts_passes_the_preflight(run: Running) -> None:
    lines = b"".join(orjson.dumps({"custom_id": str(number), **LINE}) + b"\n" for number in range(10))
    upload_id, parts = in_parts(run, lines[:333], lines[333:], purpose="batch", filename="a.jsonl")
    assert complete(run, upload_id, *parts).json()["file"]["spillway"]["requests"] == 10
    upload_id, parts = in_parts(run, lines[:333], b"{" + lines[333:], purpose="batch", filename="a.jsonl")
    refused = complete(run, upload_id, *parts).json()["error"]
    assert [one["line"] for one in refused["innererror"]["data"]] == [4]
    assert run.http.get("/v1/files", params={"purpose": "batch"}).json()["has_more"] is False


def test_a_cancelled_upload_takes_nothing_more(run: Running, client: Client) -> None:
    upload_id, parts = in_parts(run, b"one")
    for _ in range(2):
        assert client(run).uploads.cancel(upload_id).status == "cancelled"
    for answer in (add(run, upload_id, b"two"), complete(run, upload_id, *parts)):
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "upload_not_pending")
    done_id, parts = in_parts(run, b"one")
    complete(run, done_id, *parts)
    with pytest.raises(openai.BadRequestError, match="completed"):
        client(run).uploads.cancel(done_id)


@pytest.mark.parametrize(
    "base", ["/uploads", "/v1/uploads", "/openai/v1/uploads", "/openai/uploads?api-version=2024-10-21"]
)
def test_every_spelling_of_the_path_is_the_same(run: Running, base: str) -> None:
    path, _, query = base.partition("?")
    about = {"purpose": "user_data", "filename": "a", "mime_type": "text/plain", "bytes": 1}
    upload_id = run.http.post(f"{path}?{query}", json={**about, "custom_llm_provider": "azure"}).json()["id"]
    part = run.http.post(f"{path}/{upload_id}/parts?{query}", files={"data": b"x"}).json()
    assert (part["object"], part["upload_id"]) == ("upload.part", upload_id)
    done = run.http.post(f"{path}/{upload_id}/complete?{query}", json={"part_ids": [part["id"]]}).json()
    assert done["status"] == "completed"


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"purpose": "fun"}, "purpose"),
        ({"purpose": None}, "purpose"),
        ({"filename": ""}, "filename"),
        ({"mime_type": None}, "mime_type"),
        ({"bytes": 0}, "bytes"),
        ({"bytes": 8 * 1024**3 + 1}, "bytes"),
        ({"bytes": "5"}, "bytes"),
        ({"expires_after": {"anchor": "created_at", "seconds": 1}}, "expires_after.seconds"),
    ],
)
def test_an_upload_that_cannot_be_is_refused(run: Running, changed: dict[str, Any], param: str) -> None:
    answer = create(run, 5, **changed)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_parts_that_do_not_add_up_are_refused(run: Running) -> None:
    upload_id, [first, second] = in_parts(run, b"one", b"two")
    for part_ids, code in (
        ([first], "bytes_mismatch"),
        ([first, first], "duplicate_part"),
        ([first, second, "part_x"], "unknown_part"),
        ([], "invalid_value"),
    ):
        answer = complete(run, upload_id, *part_ids)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert complete(run, upload_id, first, second).status_code == 200


def test_a_part_must_be_one_file_of_some_bytes(run: Running) -> None:
    upload_id = create(run, 5).json()["id"]
    assert add(run, upload_id, b"").status_code == 400
    answer = run.http.post(f"/v1/uploads/{upload_id}/parts", files={"other": b"x"})
    assert answer.json()["error"]["param"] == "data"
    large = run.http.post(f"/v1/uploads/{upload_id}/parts", files={"data": bytes(64 * 1024**2 + 1)})
    assert large.status_code == 413
    run.await_rest()


def test_nobody_else_finds_an_upload(run: Running) -> None:
    upload_id, parts = in_parts(run, b"one")
    for path, body in (
        ("complete", {"json": {"part_ids": parts}}),
        ("cancel", {}),
        ("parts", {"files": {"data": b"x"}}),
    ):
        answer = httpx.post(f"{run.url}/v1/uploads/{upload_id}/{path}", **body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (404, "upload_id")
