"""The simulator's uploads: files in parts, on the classic surface."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AzureOpenAI

from devtools.simulator import ControlClient, Simulator, create_app
from devtools.simulator.uploads_store import PARTS_MAX, UPLOADS_MAX, Part, Upload

VERSION = "?api-version=2024-10-21"
PATH = "/east/openai/uploads"
ASKED = {"filename": "a.jsonl", "purpose": "batch", "bytes": 8, "mime_type": "application/jsonl"}


def create(http: httpx.Client, **body: Any) -> dict[str, Any]:
    response = http.post(PATH + VERSION, json={**ASKED, **body})
    assert response.status_code == 200, response.text
    upload: dict[str, Any] = response.json()
    return upload


def part(http: httpx.Client, upload: dict[str, Any], data: bytes) -> httpx.Response:
    return http.post(f"{PATH}/{upload['id']}/parts{VERSION}", files={"data": ("blob", data)})


def part_id(http: httpx.Client, upload: dict[str, Any], data: bytes) -> str:
    return str(part(http, upload, data).json()["id"])


def complete(http: httpx.Client, upload: dict[str, Any], *ids: str, **body: Any) -> httpx.Response:
    return http.post(f"{PATH}/{upload['id']}/complete{VERSION}", json={"part_ids": list(ids), **body})


def cancel(http: httpx.Client, upload: dict[str, Any]) -> httpx.Response:
    return http.post(f"{PATH}/{upload['id']}/cancel{VERSION}")


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_parts_become_a_file_in_the_order_of_their_ids(http: httpx.Client) -> None:
    upload = create(http)
    assert (upload["object"], upload["status"], upload["file"]) == ("upload", "pending", None)
    assert upload["expires_at"] == upload["created_at"] + 7200
    second, first = part_id(http, upload, b"line"), part_id(http, upload, b"one ")
    done = complete(http, upload, first, second, md5=hashlib.md5(b"one line", usedforsecurity=False).hexdigest()).json()
    assert (done["id"], done["status"], done["bytes"]) == (upload["id"], "completed", 8)
    file = http.get(f"/east/openai/files/{done['file']['id']}{VERSION}").json()
    assert done["file"] == file
    assert (file["filename"], file["purpose"], file["bytes"]) == ("a.jsonl", "batch", 8)
    assert http.get(f"/east/openai/v1/files/{file['id']}/content").content == b"one line"


def test_a_part_is_shown_as_azure_shows_it(http: httpx.Client) -> None:
    upload = create(http)
    shown = part(http, upload, b"x").json()
    assert (shown["object"], shown["upload_id"]) == ("upload.part", upload["id"])
    assert shown["id"].startswith("uplprt-")
    assert len(shown["azure_block_id"]) == 24


def test_a_part_may_be_named_by_its_block_id(http: httpx.Client) -> None:
    upload = create(http)
    first, second = part(http, upload, b"1234").json(), part(http, upload, b"5678").json()
    assert code(complete(http, upload, first["id"], first["azure_block_id"])) == (400, "invalidPayload")
    assert complete(http, upload, first["azure_block_id"], second["id"]).json()["status"] == "completed"


def test_the_sdk_uploads_in_parts(azure: AzureOpenAI, sim: ControlClient) -> None:
    data = b"0123456789" * 100
    upload = azure.uploads.upload_file_chunked(
        file=data, filename="a.jsonl", bytes=len(data), mime_type="application/jsonl",
        purpose="batch", part_size=300,
    )  # fmt: skip
    assert upload.status == "completed"
    assert upload.file is not None
    assert azure.files.content(upload.file.id).content == data


def test_the_v1_surface_has_no_uploads(http: httpx.Client) -> None:
    assert http.post("/east/openai/v1/uploads", json=ASKED).status_code == 404


def test_uploads_came_in_august_2024(http: httpx.Client) -> None:
    assert http.post(PATH + "?api-version=2024-07-01-preview", json=ASKED).status_code == 404
    assert http.post(PATH + "?api-version=2024-08-01-preview", json=ASKED).status_code == 200


@pytest.mark.parametrize("body", [
    {"filename": None}, {"mime_type": None}, {"purpose": "user_data"}, {"purpose": None}, {"bytes": None}, {"bytes": 0},
    {"bytes": "8"}, {"bytes": 200 * 2**20 + 1}, {"filename": "a.txt"},
    {"expires_after": {"anchor": "created_at", "seconds": 1}},
])  # fmt: skip
def test_an_upload_that_is_asked_for_wrongly_is_a_400(http: httpx.Client, body: dict[str, Any]) -> None:
    assert http.post(PATH + VERSION, json={**ASKED, **body}).status_code == 400


def test_a_file_for_tuning_may_be_large(http: httpx.Client) -> None:
    assert create(http, purpose="fine-tune", bytes=8 * 2**30)["bytes"] == 8 * 2**30


def test_parts_are_bounded(http: httpx.Client, sim: ControlClient) -> None:
    sim.resource("east", authoring={"part_bytes_max": 5})
    upload = create(http)
    assert part(http, upload, b"123456").status_code == 413
    assert part(http, upload, b"12345").status_code == 200
    assert code(part(http, upload, b"6789")) == (400, "invalidPayload")


def test_there_are_not_more_parts_than_the_maximum(http: httpx.Client, app: Simulator) -> None:
    upload = create(http)
    kept = app.world.uploads.get("east", upload["id"])
    assert kept is not None
    kept.parts = [Part(str(at), str(at), Path(), 0) for at in range(PARTS_MAX)]
    assert code(part(http, upload, b"x")) == (400, "invalidPayload")
    kept.parts.clear()


@pytest.mark.parametrize("files", [{"file": ("f", b"x")}, {"data": (None, "x")}])
def test_a_part_needs_its_data(http: httpx.Client, files: dict[str, Any]) -> None:
    response = http.post(f"{PATH}/{create(http)['id']}/parts{VERSION}", files=files)
    assert code(response) == (400, "invalidPayload")


def test_a_part_that_is_no_form_is_a_400(http: httpx.Client) -> None:
    assert http.post(f"{PATH}/{create(http)['id']}/parts{VERSION}", content=b"x").status_code == 400


def test_what_does_not_add_up_is_refused_and_may_be_tried_again(http: httpx.Client) -> None:
    upload = create(http)
    first, second = part_id(http, upload, b"1234"), part_id(http, upload, b"5678")
    assert code(complete(http, upload, first)) == (400, "invalidPayload")
    assert code(complete(http, upload, first, "nope")) == (400, "invalidPayload")
    assert code(complete(http, upload, first, first)) == (400, "invalidPayload")
    assert code(complete(http, upload)) == (400, "missing_required_parameter")
    assert code(complete(http, upload, first, second, md5="0" * 32)) == (400, "invalidPayload")
    assert http.get("/east/openai/v1/files").json()["data"] == []
    assert complete(http, upload, first, second).status_code == 200


def test_an_upload_ends_once(http: httpx.Client) -> None:
    upload = create(http)
    only = part_id(http, upload, b"12345678")
    complete(http, upload, only)
    assert code(complete(http, upload, only)) == (409, "conflict")
    assert code(part(http, upload, b"x")) == (409, "conflict")
    assert code(cancel(http, upload)) == (409, "conflict")


def test_a_cancelled_upload_takes_no_parts(http: httpx.Client) -> None:
    upload = create(http)
    assert cancel(http, upload).json()["status"] == "cancelled"
    assert code(part(http, upload, b"x")) == (409, "conflict")


def test_an_upload_expires_after_two_hours(http: httpx.Client, sim: ControlClient) -> None:
    upload = create(http)
    sim.advance(7200)
    assert code(part(http, upload, b"x")) == (409, "conflict")


def test_an_upload_belongs_to_its_resource_alone(http: httpx.Client) -> None:
    upload = create(http)
    path = f"/west/openai/uploads/{upload['id']}/cancel{VERSION}"
    assert code(http.post(path, headers={"api-key": "sim-key-west"})) == (404, "notFound")


def test_the_file_counts_in_the_quota_and_may_expire(http: httpx.Client, sim: ControlClient) -> None:
    sim.resource("east", authoring={"files_max": 0})
    upload = create(http)
    assert code(complete(http, upload, part_id(http, upload, b"12345678"))) == (400, "quotaExceeded")
    upload = create(http, expires_after={"anchor": "created_at", "seconds": 1_209_600})
    file = complete(http, upload, part_id(http, upload, b"12345678")).json()["file"]
    assert file["expires_at"] == file["created_at"] + 1_209_600


@pytest.mark.parametrize(("operation", "status"), [("uploads", 503), ("uploads/parts", 429), ("uploads/complete", 500)])
def test_faults_strike_uploads(http: httpx.Client, sim: ControlClient, operation: str, status: int) -> None:
    sim.fault(operation=operation, status=status)
    made = http.post(PATH + VERSION, json=ASKED)
    steps = [made]
    if made.status_code == 200:
        first = part(http, made.json(), b"12345678")
        steps += [first, complete(http, made.json(), first.json().get("id", ""))]
    assert status in [step.status_code for step in steps]


def test_an_upload_can_be_completed_without_telling(http: httpx.Client, sim: ControlClient) -> None:
    upload = create(http)
    only = part_id(http, upload, b"12345678")
    sim.fault(operation="uploads/complete", cut_after_bytes=0)
    with pytest.raises(httpx.TransportError):
        complete(http, upload, only)
    assert len(http.get("/east/openai/v1/files").json()["data"]) == 1


def test_the_oldest_of_too_many_uploads_is_forgotten() -> None:
    store = create_app().world.uploads
    for at in range(UPLOADS_MAX + 1):
        store.put("east", Upload(f"u{at}", "a", "batch", 1, 0, 1, None))
    assert (store.get("east", "u0"), store.get("east", "u1") is not None) == (None, True)
