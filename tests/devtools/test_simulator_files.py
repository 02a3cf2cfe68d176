"""The simulator's files: what Azure keeps, for how long, and what it refuses."""

from __future__ import annotations

import gc
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AzureOpenAI, OpenAI

from devtools.serving import serving
from devtools.simulator import ControlClient, create_app
from devtools.simulator.scratch import Scratch
from devtools.simulator.spool import FIELD_BYTES_MAX, FIELDS_MAX, Spool

CLASSIC = "/east/openai/files?api-version=2024-10-21"
V1 = "/east/openai/v1/files"
OLD = "api-version=2024-06-01"
FORTNIGHT_S = 1_209_600


def upload(
    http: httpx.Client,
    data: bytes = b"{}\n",
    path: str = V1,
    name: str = "a.jsonl",
    purpose: str = "batch",
    expiry: dict[str, str] | None = None,
) -> httpx.Response:
    return http.post(path, files={"file": (name, data)}, data={"purpose": purpose, **(expiry or {})})


def made(
    http: httpx.Client,
    data: bytes = b"{}\n",
    path: str = V1,
    purpose: str = "batch",
    expiry: dict[str, str] | None = None,
) -> dict[str, Any]:
    """The file that was made."""
    response = upload(http, data, path, purpose=purpose, expiry=expiry)
    assert response.is_success, response.text
    shown: dict[str, Any] = response.json()
    return shown


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


@pytest.mark.parametrize("path", [CLASSIC, V1])
def test_an_uploaded_file_is_shown_as_azure_shows_it(http: httpx.Client, path: str) -> None:
    file = made(http, b"abc", path)
    assert len(file.pop("id")) == len("file-") + 32
    assert file.pop("created_at") > 1_700_000_000
    assert file == {
        "object": "file", "bytes": 3, "filename": "a.jsonl", "purpose": "batch", "status": "processed",
        "expires_at": None, "status_details": None,
    }  # fmt: skip


def test_the_classic_surface_answers_201_and_says_where_the_file_is(http: httpx.Client) -> None:
    classic = upload(http, path=CLASSIC)
    assert (classic.status_code, upload(http).status_code) == (201, 200)
    location = f"https://east.openai.azure.com/openai/files/{classic.json()['id']}?api-version=2024-10-21"
    assert classic.headers["location"] == location


def test_a_file_goes_round_with_the_sdk_on_both_surfaces(azure: AzureOpenAI, v1: OpenAI, sim: ControlClient) -> None:
    for client in (azure, v1):
        file = client.files.create(file=("a.jsonl", b"line\n"), purpose="batch")
        assert client.files.retrieve(file.id) == file
        assert [one.id for one in client.files.list(purpose="batch")] == [file.id]
        assert client.files.content(file.id).content == b"line\n"
        assert client.files.delete(file.id).deleted
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(file.id)


def test_a_file_belongs_to_its_resource_alone(http: httpx.Client) -> None:
    file_id = made(http)["id"]
    west = {"api-key": "sim-key-west"}
    for path in (f"/west/openai/v1/files/{file_id}", f"/west/openai/v1/files/{file_id}/content"):
        assert code(http.get(path, headers=west)) == (404, "notFound")
    assert http.delete(f"/west/openai/v1/files/{file_id}", headers=west).status_code == 404
    assert http.get("/west/openai/v1/files", headers=west).json()["data"] == []
    assert http.get(f"{V1}/{file_id}").status_code == 200


@pytest.mark.parametrize("purpose", ["user_data", "vision", "batch_output", "nonsense", ""])
def test_a_purpose_that_azure_does_not_take_is_refused(http: httpx.Client, purpose: str) -> None:
    assert code(upload(http, purpose=purpose)) == (400, "invalidPayload")


@pytest.mark.parametrize("purpose", ["assistants", "batch", "fine-tune", "evals"])
def test_azures_four_purposes_are_taken(http: httpx.Client, purpose: str) -> None:
    assert made(http, purpose=purpose)["purpose"] == purpose


@pytest.mark.parametrize("purpose", ["batch", "fine-tune"])
def test_a_file_of_lines_must_be_called_jsonl(http: httpx.Client, purpose: str) -> None:
    assert code(upload(http, name="a.txt", purpose=purpose)) == (400, "invalidPayload")


@pytest.mark.parametrize(("content_type", "content"), [
    ("multipart/form-data; boundary=x", b"no boundary at all"),
    ("multipart/form-data", b"--x\r\n\r\n--x--"),
    ("application/json", b"{}"),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch"),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n"),
])  # fmt: skip
def test_a_form_that_is_none_or_does_not_end_is_a_400(http: httpx.Client, content_type: str, content: bytes) -> None:
    response = http.post(V1, content=content, headers={"content-type": content_type})
    assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")


def test_a_form_without_a_file_is_a_400(http: httpx.Client) -> None:
    assert code(http.post(V1, files={"purpose": (None, "batch")})) == (400, "invalidPayload")


@pytest.mark.parametrize("style", ["expires_after[{}]", "expires_after.{}"])
def test_the_expiry_may_be_bracketed_or_dotted(http: httpx.Client, style: str) -> None:
    fields = {style.format("seconds"): str(FORTNIGHT_S), style.format("anchor"): "created_at"}
    file = made(http, expiry=fields)
    assert file["expires_at"] == file["created_at"] + FORTNIGHT_S


def test_the_sdk_sets_an_expiry(azure: AzureOpenAI, sim: ControlClient) -> None:
    expiry: Any = {"anchor": "created_at", "seconds": FORTNIGHT_S}
    file = azure.files.create(file=("a.jsonl", b"x"), purpose="batch", expires_after=expiry)
    assert file.expires_at == file.created_at + FORTNIGHT_S


@pytest.mark.parametrize("fields", [
    {"expires_after[seconds]": "3600", "expires_after[anchor]": "created_at"},
    {"expires_after[seconds]": "2592001", "expires_after[anchor]": "created_at"},
    {"expires_after[seconds]": "soon", "expires_after[anchor]": "created_at"},
    {"expires_after[seconds]": "1209600"},
    {"expires_after[anchor]": "created_at"},
    {"expires_after[seconds]": "1209600", "expires_after[anchor]": "last_active_at"},
])  # fmt: skip
def test_an_expiry_outside_azures_range_is_refused(http: httpx.Client, fields: dict[str, str]) -> None:
    assert code(upload(http, expiry=fields)) == (400, "invalidPayload")


def test_an_expired_file_is_gone(http: httpx.Client, sim: ControlClient) -> None:
    fields = {"expires_after[seconds]": str(FORTNIGHT_S), "expires_after[anchor]": "created_at"}
    file_id = made(http, expiry=fields)["id"]
    sim.advance(FORTNIGHT_S - 10)
    assert http.get(f"{V1}/{file_id}").status_code == 200
    sim.advance(10)
    assert http.get(f"{V1}/{file_id}").status_code == 404
    assert http.get(V1).json()["data"] == []


def test_the_list_comes_in_pages_newest_first(http: httpx.Client) -> None:
    ids = [made(http)["id"] for _ in range(5)]
    first = http.get(V1, params={"limit": 2}).json()
    assert ([one["id"] for one in first["data"]], first["has_more"]) == ([ids[4], ids[3]], True)
    assert (first["first_id"], first["last_id"]) == (ids[4], ids[3])
    rest = http.get(V1, params={"limit": 3, "after": first["last_id"]}).json()
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == ([ids[2], ids[1], ids[0]], False)
    assert [one["id"] for one in http.get(V1, params={"order": "asc"}).json()["data"]] == ids


def test_the_list_can_be_of_one_purpose(http: httpx.Client) -> None:
    made(http)
    tune = made(http, purpose="fine-tune")["id"]
    assert [one["id"] for one in http.get(V1, params={"purpose": "fine-tune"}).json()["data"]] == [tune]


@pytest.mark.parametrize("query", [{"order": "up"}, {"limit": "0"}, {"limit": "10001"}, {"limit": "x"}, {"after": "y"}])
def test_a_page_that_cannot_be_is_a_400(http: httpx.Client, query: dict[str, str]) -> None:
    assert code(http.get(V1, params=query)) == (400, "invalidPayload")


def test_there_are_quotas_for_files_with_and_without_an_expiry(http: httpx.Client, sim: ControlClient) -> None:
    sim.resource("east", authoring={"files_max": 2, "expiring_files_max": 1})
    fields = {"expires_after[seconds]": str(FORTNIGHT_S), "expires_after[anchor]": "created_at"}
    first = made(http)["id"]
    made(http)
    assert code(upload(http)) == (400, "quotaExceeded")
    made(http, expiry=fields)
    assert code(upload(http, expiry=fields)) == (400, "quotaExceeded")
    http.delete(f"{V1}/{first}")
    assert upload(http).status_code == 200


def test_the_default_quotas_are_azures(sim: ControlClient) -> None:
    settings = sim.call("GET", "/resources")["east"]["authoring"]
    assert (settings["files_max"], settings["expiring_files_max"]) == (500, 10_000)
    assert (settings["batch_file_bytes_max"], settings["file_bytes_max"]) == (200 * 2**20, 512 * 2**20)


def test_a_batch_file_may_be_smaller_than_others(http: httpx.Client, sim: ControlClient) -> None:
    sim.resource("east", authoring={"batch_file_bytes_max": 10, "file_bytes_max": 20})
    assert upload(http, b"x" * 10).status_code == 200
    assert upload(http, b"x" * 11).status_code == 413
    assert upload(http, b"x" * 20, purpose="fine-tune").status_code == 200
    assert upload(http, b"x" * 21, purpose="fine-tune").status_code == 413


def test_deleting_tells_nothing_before_2024_10_21(http: httpx.Client) -> None:
    old = http.delete(f"/east/openai/files/{made(http)['id']}?{OLD}")
    assert (old.status_code, old.content) == (204, b"")
    file_id = made(http)["id"]
    told = {"object": "file", "id": file_id, "deleted": True}
    assert http.delete(f"/east/openai/files/{file_id}?api-version=2024-10-21").json() == told


def test_deleting_tells_nothing_anywhere_with_a_quirk(http: httpx.Client, sim: ControlClient) -> None:
    sim.resource("east", authoring={"quirks": ["empty_deletes"]})
    assert http.delete(f"{V1}/{made(http)['id']}").status_code == 204


def test_a_file_may_be_pending_for_a_while(http: httpx.Client, sim: ControlClient) -> None:
    sim.resource("east", authoring={"file_pending_s": 5, "quirks": ["capital_statuses"]})
    file_id = made(http)["id"]
    assert http.get(f"{V1}/{file_id}").json()["status"] == "Pending"
    sim.advance(5)
    assert http.get(f"{V1}/{file_id}").json()["status"] == "Processed"


def test_odd_file_names_come_back_and_never_break_a_header(http: httpx.Client) -> None:
    file = upload(http, name="ü;\t.jsonl").json()
    assert file["filename"].endswith(".jsonl")
    assert http.get(f"{V1}/{file['id']}/content").headers["content-disposition"].startswith("attachment")


TOKENS = [("Cognitive Services OpenAI User", 401), ("Cognitive Services OpenAI Contributor", 200), (None, 401)]


def token_of(http: httpx.Client) -> str:
    query = {"resource": "https://cognitiveservices.azure.com", "api-version": "2019-08-01"}
    response = http.get("/_sim/identity/token", params=query, headers={"x-identity-header": "sim-identity-header"})
    return str(response.json()["access_token"])


@pytest.mark.parametrize(("role", "status"), TOKENS)
def test_files_need_the_contributors_role_at_their_resource(
    http: httpx.Client, url: str, sim: ControlClient, role: str | None, status: int
) -> None:
    sim.resource("east", role=role)
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {token_of(http)}"}) as entra:
        assert entra.get(V1).status_code == status
        assert upload(entra).status_code == status
        assert entra.get("/west/openai/v1/files").status_code == 200


def test_a_role_that_nobody_knows_cannot_be_set(sim: ControlClient) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        sim.resource("east", role="King")


def test_a_fault_strikes_an_upload_before_anything_is_kept(http: httpx.Client, sim: ControlClient) -> None:
    sim.fault(operation="files", status=503)
    assert upload(http).status_code == 503
    assert http.get(V1).json()["data"] == []


@pytest.mark.parametrize("fault", [{"cut_after_bytes": 0}, {"reset": True, "billed": True}, {"cut_after_bytes": 9}])
def test_an_upload_can_succeed_without_telling(http: httpx.Client, sim: ControlClient, fault: dict[str, Any]) -> None:
    sim.fault(operation="files", **fault)
    with pytest.raises(httpx.TransportError):
        upload(http)
    assert len(http.get(V1).json()["data"]) == 1


def test_faults_change_a_download(http: httpx.Client, sim: ControlClient) -> None:
    data = bytes(range(256)) * 4096
    content = f"{V1}/{made(http, data)['id']}/content"
    assert http.get(content).content == data
    sim.fault(operation="files/content", truncate=True)
    assert http.get(content).content == data[: len(data) // 2]
    sim.fault(operation="files/content", chunk_bytes=10_000)
    assert http.get(content).content == data
    sim.fault(operation="files/content", cut_after_bytes=300_000)
    received: list[bytes] = []
    with http.stream("GET", content) as response, pytest.raises(httpx.RemoteProtocolError):
        received.extend(response.iter_raw())
    assert b"".join(received) == data[:300_000]


def test_what_was_sent_is_recorded_from_its_beginning(http: httpx.Client, sim: ControlClient) -> None:
    upload(http, b"y" * 200_000)
    [record] = sim.requests()
    assert (record["operation"], record["resource"], record["body_truncated"]) == ("files", "east", True)
    assert 'name="purpose"' in record["body"]


@pytest.mark.parametrize("size", [1, 2, 7, 4096])
def test_a_form_may_arrive_in_pieces_of_any_size(size: int) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\nContent-Type: text/plain\r\n\r\n'
        b"one\r\n--not\r\n\r\ntwo\r\n--x--\r\n"
    )
    spool = Spool("multipart/form-data; boundary=x", Scratch())
    for at in range(0, len(body), size):
        spool.feed(body[at : at + size])
    spool.close()
    assert spool.form.complete
    assert spool.form.fields == {"purpose": "batch"}
    file = spool.form.files["file"]
    assert (file.name, file.content_type, file.size) == ("a.jsonl", "text/plain", 17)
    assert file.path.read_bytes() == b"one\r\n--not\r\n\r\ntwo"


@pytest.mark.parametrize("parts", [
    [("f", "x" * (FIELD_BYTES_MAX + 1))], [(f"f{at}", "x") for at in range(FIELDS_MAX + 1)],
])  # fmt: skip
def test_a_form_is_bounded(parts: list[tuple[str, str]]) -> None:
    spool = Spool("multipart/form-data; boundary=x", Scratch())
    for name, value in parts:
        spool.feed(f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    spool.feed(b"--x--\r\n")
    assert not spool.form.complete


def test_of_two_files_of_one_name_the_last_is_kept() -> None:
    scratch = Scratch()
    spool = Spool("multipart/form-data; boundary=x", scratch)
    for data in ("one", "two"):
        spool.feed(f'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n{data}\r\n'.encode())
    spool.feed(b"--x--\r\n")
    assert scratch.folder is not None
    assert [path.read_bytes() for path in scratch.folder.iterdir()] == [b"two"]
    spool.form.discard()
    assert list(scratch.folder.iterdir()) == []


def test_nothing_of_a_refused_upload_or_a_deleted_file_stays_on_the_disk() -> None:
    app = create_app()
    with serving(app) as url, httpx.Client(base_url=url, headers={"api-key": "sim-key-east"}) as http:
        upload(http, purpose="vision")
        http.delete(f"{V1}/{made(http)['id']}")
        folder = app.world.scratch.folder
        assert folder is not None
        assert list(folder.iterdir()) == []
        made(http)
        assert len(list(folder.iterdir())) == 1
        with ControlClient(url) as control:
            control.reset()
        assert not folder.exists()


def test_the_folder_goes_with_the_simulator() -> None:
    scratch = Scratch()
    path = scratch.new()
    path.write_bytes(b"x")
    folder: Path = path.parent
    del scratch
    gc.collect()
    assert not folder.exists()


def test_a_large_file_goes_through_in_pieces(http: httpx.Client) -> None:
    data = io.BytesIO(b"0123456789abcdef" * (2 * 1024 * 1024))
    file = http.post(V1, files={"file": ("a.jsonl", data)}, data={"purpose": "batch"}, timeout=30).json()
    assert file["bytes"] == 32 * 1024 * 1024
    received = 0
    with http.stream("GET", f"{V1}/{file['id']}/content") as response:
        assert response.headers["content-length"] == str(file["bytes"])
        for piece in response.iter_raw():
            received += len(piece)
    assert received == file["bytes"]


def test_the_simulator_as_a_process_leaves_nothing_on_the_disk(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "devtools", "simulator", "--port", "0"]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        base = process.stdout.readline().split(" on ")[1].split("/<")[0]
        with httpx.Client(base_url=base, headers={"api-key": "sim-key-east"}) as http:
            made(http)
        assert len(list(tmp_path.iterdir())) == 1
        process.terminate()
        process.wait(10)
    assert list(tmp_path.iterdir()) == []
