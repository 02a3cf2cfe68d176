"""Files over sockets: uploaded, listed, read, deleted by unchanged clients, kept in Azurite."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx
import openai
import orjson
import pytest
from openai import OpenAI

from devtools.storage import AZURITE

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

OPERATIONS = ("files_create", "files_list", "files_retrieve", "files_delete", "files_content")

pytestmark = pytest.mark.skipif(not AZURITE.exists(), reason="Azurite is not installed: run `npm ci`")
Client = Callable[["Running"], OpenAI]
CONFIG = """
model_list:
  - model_name: chat
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east, api_version: "2024-10-21"}
    model_info: {mode: batch, base_model: azure/gpt-4o-2024-08-06}
"""
NOBODY = {"authorization": ""}


@pytest.fixture
def run(spillway: Spillway, azurite: str) -> Running:
    return spillway(CONFIG, AzureWebJobsStorage=azurite, SPILLWAY_ALLOW_ANONYMOUS="true")


def line(custom_id: str, **changed: Any) -> bytes:
    body = {"model": "chat", "messages": [{"role": "user", "content": "Hello."}], "max_tokens": 10}
    request = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return orjson.dumps(request | changed) + b"\n"


LINES = line("1") + line("2")


def upload(run: Running, data: Any = LINES, **fields: Any) -> httpx.Response:
    return run.http.post("/v1/files", data={"purpose": "batch", **fields}, files={"file": ("a.jsonl", data)})


def anonymous(run: Running, method: str, path: str, **options: Any) -> httpx.Response:
    return httpx.request(method, f"{run.url}{path}", timeout=20, **options)


def ids(page: Any) -> list[str]:
    return [one["id"] for one in page.json()["data"]]


def test_a_file_is_uploaded_read_listed_and_deleted(run: Running, client: Client) -> None:
    sdk = client(run)
    file = sdk.files.create(file=("lines.jsonl", LINES), purpose="batch")
    assert file.id.startswith("file-")
    assert (file.object, file.filename, file.purpose, file.status) == ("file", "lines.jsonl", "batch", "processed")
    assert file.bytes == len(LINES)
    assert abs(file.created_at - time.time()) < 60
    assert sdk.files.retrieve(file.id) == file
    assert sdk.files.content(file.id).read() == LINES
    assert file.id in [one.id for one in sdk.files.list(purpose="batch")]
    assert sdk.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError, match=file.id):
        sdk.files.retrieve(file.id)
    assert file.id not in [one.id for one in sdk.files.list()]


@pytest.mark.parametrize("purpose", ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"])
def test_a_file_may_be_for_any_of_openais_purposes(run: Running, purpose: str) -> None:
    assert upload(run, purpose=purpose).json()["purpose"] == purpose


def test_what_the_preflight_found_out_is_in_the_answer_and_stays(run: Running) -> None:
    file = upload(run).json()
    assert file["spillway"]["requests"] == 2
    assert (file["spillway"]["model"], file["spillway"]["url"]) == ("chat", "/v1/chat/completions")
    assert file["spillway"]["prompt_tokens"] > 0
    assert file["spillway"]["completion_tokens"] == 20
    assert 0 < file["spillway"]["cost_usd"] < 0.001
    assert run.http.get(f"/v1/files/{file['id']}").json() == file


def test_lines_may_name_a_configured_deployment(run: Running) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello."}]}
    assert upload(run, line("1", body=body)).json()["spillway"]["model"] == "chat"


def test_lines_that_cannot_be_a_batch_are_named(run: Running) -> None:
    data = line("1") + b"{broken\n" + line("1") + line("4", method="GET") + line("5", body={"model": "nobody"})
    answer = upload(run, data)
    assert answer.status_code == 400
    error = answer.json()["error"]
    found = [(one["line"], one["code"]) for one in error["innererror"]["data"]]
    assert found == [
        (2, "invalid_json_line"),
        (3, "duplicate_custom_id"),
        (4, "invalid_request"),
        (5, "model_not_found"),
    ]
    assert (error["param"], error["code"]) == ("file", "invalid_json_line")
    assert "line 3: its custom_id `1` came before" in error["message"]
    assert ids(run.http.get("/v1/files?limit=1")) == [] or run.http.get("/v1/files").status_code == 200


def test_lines_that_are_wrong_are_no_matter_where_the_purpose_is_another(run: Running) -> None:
    assert upload(run, b"{broken\n", purpose="user_data").status_code == 200


@pytest.mark.parametrize("purpose", ["batch", "user_data"])
def test_a_form_may_name_the_purpose_behind_the_file(run: Running, purpose: str) -> None:
    parts: Any = [
        ("file", ("a.jsonl", b"{broken\n")),
        ("purpose", (None, purpose)),
        ("custom_llm_provider", (None, "azure")),
    ]
    answer = run.http.post("/v1/files", files=parts)
    assert answer.status_code == (400 if purpose == "batch" else 200)


@pytest.mark.parametrize("path", ["/files", "/v1/files", "/openai/v1/files", "/openai/files?api-version=2024-10-21"])
def test_every_spelling_of_the_path_is_the_same(run: Running, path: str) -> None:
    answer = run.http.post(path, data={"purpose": "user_data"}, files={"file": ("a.txt", b"text")})
    base, _, query = path.partition("?")
    one = f"{base}/{answer.json()['id']}"
    assert run.http.get(f"{one}?{query}").status_code == 200
    assert run.http.get(f"{one}/content?{query}").content == b"text"
    assert run.http.get(f"{base}?{query}").status_code == 200
    assert run.http.delete(f"{one}?{query}").json()["deleted"] is True


def test_a_provider_is_accepted_wherever_litellms_page_writes_it(run: Running) -> None:
    file = upload(run, custom_llm_provider="azure").json()
    said = {"custom_llm_provider": "azure"}
    for path in (f"/v1/files/{file['id']}", "/v1/files", f"/v1/files/{file['id']}/content"):
        assert run.http.get(path, params=said).status_code == 200
        assert run.http.request("GET", path, json=said).status_code == 200


def test_pages_follow_each_other(run: Running, client: Client) -> None:
    made = [upload(run, purpose="evals").json()["id"] for _ in range(5)]
    newest = [one.id for one in client(run).files.list(purpose="evals", limit=2)]
    assert newest[:5] == made[::-1]
    page = run.http.get("/v1/files", params={"purpose": "evals", "limit": 2, "after": made[3]}).json()
    assert [one["id"] for one in page["data"]] == [made[2], made[1]]
    assert (page["first_id"], page["last_id"], page["has_more"]) == (made[2], made[1], True)
    oldest = run.http.get("/v1/files", params={"purpose": "evals", "order": "asc", "after": made[2]})
    assert ids(oldest)[:2] == [made[3], made[4]]
    for one in made:
        assert run.http.delete(f"/v1/files/{one}").status_code == 200


@pytest.mark.parametrize(
    ("query", "param"), [("limit=0", "limit"), ("limit=x", "limit"), ("order=up", "order"), ("after=file-1", "after")]
)
def test_a_page_that_cannot_be_is_refused(run: Running, query: str, param: str) -> None:
    answer = run.http.get(f"/v1/files?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=8-", 206, b"89"),
        ("bytes=-3", 206, b"789"),
        ("bytes=20-", 416, None),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
def test_a_part_of_a_file_is_read(run: Running, asked: str, status: int, expected: bytes | None) -> None:
    file = upload(run, b"0123456789", purpose="user_data").json()
    answer = run.http.get(f"/v1/files/{file['id']}/content", headers={"range": asked})
    assert answer.status_code == status
    if expected is None:
        assert answer.headers["content-range"] == "bytes */10"
    else:
        assert answer.content == expected


def test_content_is_an_attachment_under_the_files_name(run: Running) -> None:
    given = {"file": ("grüße.html", b"<script>", "text/html")}
    file = run.http.post("/v1/files", data={"purpose": "user_data"}, files=given).json()
    answer = run.http.get(f"/v1/files/{file['id']}/content")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith('attachment; filename="gr__e.html"; filename*=UTF-8')


def test_nobody_else_sees_a_file_but_the_master_key(run: Running) -> None:
    made = upload(run).json()["id"]
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/content")):
        answer = anonymous(run, method, f"/v1/files/{made}{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert made not in ids(anonymous(run, "GET", "/v1/files"))
    given = {"data": {"purpose": "user_data"}, "files": {"file": ("a", b"text")}}
    others = anonymous(run, "POST", "/v1/files", **given).json()["id"]
    assert run.http.get(f"/v1/files/{others}").status_code == 200
    assert ids(anonymous(run, "GET", "/v1/files")) == [others]


def test_a_virtual_key_has_its_own_files_and_its_own_models(run: Running) -> None:
    def key(**body: Any) -> dict[str, str]:
        made = run.http.post("/key/generate", json=body).raise_for_status().json()["key"]
        return {"authorization": f"Bearer {made}"}

    one, other, narrow = key(), key(), key(models=["another"])
    given: dict[str, Any] = {"data": {"purpose": "batch"}, "files": {"file": ("a.jsonl", LINES)}}
    made = run.http.post("/v1/files", headers=one, **given).json()["id"]
    assert run.http.get(f"/v1/files/{made}", headers=one).status_code == 200
    assert run.http.get(f"/v1/files/{made}", headers=other).status_code == 404
    assert [ids(run.http.get("/v1/files", headers=headers)) for headers in (one, other)] == [[made], []]
    refused = run.http.post("/v1/files", headers=narrow, **given)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "model_not_found")


@pytest.mark.parametrize("file_id", ["file-abc", "file-" + "0" * 32, "x%2F..%2Fy", "batch_1", "file-" + "g" * 32])
def test_an_id_that_is_none_is_not_found(run: Running, file_id: str) -> None:
    answer = run.http.get(f"/v1/files/{file_id}")
    assert answer.status_code == 404
    assert "error" in answer.json()


@pytest.mark.parametrize(
    ("fields", "files", "param"),
    [
        ({}, {"file": ("a", b"x")}, "purpose"),
        ({"purpose": "fun"}, {"file": ("a", b"x")}, "purpose"),
        ({"purpose": "batch"}, {"other": ("a", b"x")}, "file"),
        ({"purpose": "user_data"}, {"file": ("a", b"")}, "file"),
        ({"purpose": "batch"}, {"file": ("a", b"")}, "file"),
        ({"purpose": "batch", "expires_after[seconds]": "7200"}, {"file": ("a", LINES)}, "expires_after.anchor"),
        (
            {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": "5"},
            {"file": ("a", LINES)},
            "expires_after.seconds",
        ),
        ({"purpose": "batch", "expires_after": "never"}, {"file": ("a", LINES)}, "expires_after"),
    ],
)
def test_what_cannot_be_uploaded_is_said(run: Running, fields: dict[str, str], files: Any, param: str) -> None:
    answer = run.http.post("/v1/files", data=fields, files=files)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    run.await_rest()


@pytest.mark.parametrize("spelled", ["expires_after[{}]", "expires_after.{}"])
def test_a_file_may_expire(run: Running, spelled: str) -> None:
    expiry = {spelled.format("anchor"): "created_at", spelled.format("seconds"): "86400"}
    file = upload(run, **expiry).json()
    assert file["expires_at"] == file["created_at"] + 86_400


def test_an_sdk_says_when_a_file_expires(run: Running, client: Client) -> None:
    expiry = {"anchor": "created_at", "seconds": 3600}
    file = client(run).files.create(file=("a", b"x"), purpose="user_data", expires_after=expiry)  # type: ignore[arg-type]
    assert file.expires_at == file.created_at + 3600


def test_a_body_that_is_no_form_is_refused(run: Running) -> None:
    assert run.http.post("/v1/files", json={"purpose": "batch"}).json()["error"]["code"] == "invalid_content_type"
    broken = {"content-type": "multipart/form-data; boundary=b"}
    for body in (b"nothing", b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf', b""):
        answer = run.http.post("/v1/files", content=body, headers=broken)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_form")
    run.await_rest()


def test_a_file_that_is_too_large_is_referred_to_uploads(run: Running) -> None:
    def body() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(201):
            yield bytes(1024 * 1024)
        yield b"\r\n--b--\r\n"

    answer = run.http.post("/v1/files", content=body(), headers={"content-type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 413
    assert "/v1/uploads" in answer.json()["error"]["message"]


def test_without_a_storage_account_it_is_said_what_to_set(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    for answer in (upload(run), run.http.get("/v1/files"), run.http.get("/v1/files/file-" + "0" * 32)):
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_not_configured")
        assert "AzureWebJobsStorage" in answer.json()["error"]["message"]
    run.assert_discreet()
