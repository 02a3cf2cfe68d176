"""Files where clients leave, send too little, or storage stops: a clear answer, no half file, nothing left running."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from devtools.processes import free_port, stop
from devtools.storage import AZURITE, PORTS, connection_string, launch

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

pytestmark = pytest.mark.skipif(not AZURITE.exists(), reason="Azurite is not installed: run `npm ci`")
MB = 1024 * 1024
HEAD = (
    b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
)


@pytest.fixture
def run(spillway: Spillway, azurite: str) -> Running:
    return spillway(AzureWebJobsStorage=azurite)


@contextmanager
def uploading(run: Running, framing: bytes) -> Iterator[socket.socket]:
    """A client in the middle of its request; it is gone when the block ends."""
    head = f"POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {run.key}\r\n"
    host, _, port = run.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as sock:
        sock.sendall(head.encode() + b"content-type: multipart/form-data; boundary=b\r\n" + framing + b"\r\n\r\n")
        yield sock


def chunk(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


def files(run: Running) -> list[str]:
    return [one["id"] for one in run.http.get("/v1/files").json()["data"]]


def test_a_client_that_leaves_in_the_middle_of_a_file_keeps_nothing(run: Running) -> None:
    before = files(run)
    with uploading(run, b"transfer-encoding: chunked") as sock:
        sock.sendall(chunk(HEAD))
        for _ in range(9):
            sock.sendall(chunk(bytes(MB)))
    run.calls()
    run.await_rest()
    assert files(run) == before
    assert run.gateway.files.store.writers.taken == 0


def test_a_client_that_leaves_before_its_declared_end_is_never_served(run: Running) -> None:
    before = files(run)
    with uploading(run, b"content-length: 5000000") as sock:
        sock.sendall(HEAD + bytes(2 * MB))
    assert files(run) == before
    assert run.gateway.files.store.writers.taken == 0


def test_a_form_that_ends_before_its_file_does_is_no_file(run: Running) -> None:
    before = files(run)
    with uploading(run, b"transfer-encoding: chunked") as sock:
        sock.sendall(chunk(HEAD + b"half a file") + b"0\r\n\r\n")
        answer = b""
        while b"invalid_form" not in answer and (more := sock.recv(65_536)):
            answer += more
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"invalid_form" in answer
    assert files(run) == before


def test_the_name_of_a_file_cannot_break_out_of_a_header(run: Running) -> None:
    given = {"file": ('x"\r\nset-cookie: a=b\r\n.txt', b"x")}
    made = run.http.post("/v1/files", data={"purpose": "user_data"}, files=given).json()
    answer = run.http.get(f"/v1/files/{made['id']}/content")
    assert "set-cookie" not in answer.headers
    assert answer.status_code == 200


def test_a_storage_account_that_is_gone_is_a_clear_503(spillway: Spillway) -> None:
    port = free_port(PORTS)
    process = launch(port, None)
    try:
        run = spillway(AzureWebJobsStorage=connection_string(port))
        given: dict[str, Any] = {"data": {"purpose": "user_data"}, "files": {"file": ("a.txt", b"x" * MB)}}
        made = run.http.post("/v1/files", **given).json()["id"]
        about = {"purpose": "user_data", "filename": "a", "mime_type": "text/plain", "bytes": 1}
        upload = run.http.post("/v1/uploads", json=about).json()["id"]
    finally:
        stop(process)
    content = [{"type": "file", "file": {"file_id": made}}]
    asked: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("POST", "/v1/files", given),
        ("GET", "/v1/files", {}),
        ("GET", f"/v1/files/{made}", {}),
        ("GET", f"/v1/files/{made}/content", {}),
        ("DELETE", f"/v1/files/{made}", {}),
        ("POST", "/v1/uploads", {"json": about}),
        ("POST", f"/v1/uploads/{upload}/parts", {"files": {"data": b"x"}}),
        ("POST", f"/v1/uploads/{upload}/complete", {"json": {"part_ids": ["part_1"]}}),
        (
            "POST",
            "/v1/chat/completions",
            {"json": {"model": "gpt-4o", "messages": [{"role": "user", "content": content}]}},
        ),
    )
    texts = []
    for method, path, options in asked:
        answer = run.http.request(method, path, **options)
        texts.append(answer.text)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_unavailable"), path
        assert answer.headers["x-should-retry"] == "true"
    assert run.chat().status_code == 200
    assert run.gateway.files.store.writers.taken == 0
    run.assert_discreet(*texts)
    assert str(port) not in "".join(texts)


def test_storage_that_stops_in_the_middle_of_a_download_breaks_it_off(spillway: Spillway) -> None:
    port = free_port(PORTS)
    process = launch(port, None)
    try:
        run = spillway(AzureWebJobsStorage=connection_string(port))
        given: dict[str, Any] = {"data": {"purpose": "user_data"}, "files": {"file": ("a", bytes(24 * MB))}}
        made = run.http.post("/v1/files", **given).json()["id"]
        with run.http.stream("GET", f"/v1/files/{made}/content") as answer:
            pieces = answer.iter_raw()
            next(pieces)
            stop(process)
            with pytest.raises(httpx.RemoteProtocolError):
                list(pieces)
    finally:
        stop(process)
