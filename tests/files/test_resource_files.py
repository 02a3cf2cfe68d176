"""Files of a resource over HTTP: what is sent, and what is made of the answers."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from shared.errors import BadRequest, NotFound, UpstreamFailed, UpstreamTimeout
from shared.files.resource_files import AzureFiles
from shared.files.stored_file import StoredFile
from shared.upstream import resource_files
from shared.upstream.client import UpstreamClient
from shared.upstream.resource_files import EXPIRES_S
from tests.files.resources import EAST
from tests.httpx_wire import Upstream

FILE = StoredFile("file-" + "0" * 32, "ann", "report.pdf", "user_data", 4, 100, content_type="application/pdf")
Handler = Callable[[httpx.Request], httpx.Response]


def files(handler: Handler) -> AzureFiles:
    return AzureFiles(UpstreamClient(Upstream(handler)), lambda: "call_1")


@pytest.mark.parametrize(("provider", "purpose"), [("azure", "assistants"), ("openai", "user_data")])
async def test_a_file_is_uploaded_under_its_own_name_and_expires_there(provider: Any, purpose: str) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"id": "assistant-1", "status": "Processed"})

    deployment = replace(EAST, provider=provider)
    assert await files(answer).upload(deployment, FILE, io.BytesIO(b"%PDF")) == ("assistant-1", True)
    [request] = seen
    assert request.url.path == "/openai/files"
    form = (await request.aread()).decode()
    for part in ('filename="report.pdf"', "application/pdf", "%PDF", f"\r\n{purpose}\r\n", f"\r\n{EXPIRES_S}\r\n"):
        assert part in form


@pytest.mark.parametrize(
    ("status", "ready"),
    [("processed", True), ("uploaded", True), (None, True), ("Pending", False), ("running", False), ("error", True)],
)
async def test_a_file_can_be_used_unless_the_resource_still_reads_it(status: str | None, ready: bool) -> None:
    asked = files(lambda _: httpx.Response(200, json={"id": "x", "status": status}))
    assert await asked.is_ready(EAST, "x") is ready


@pytest.mark.parametrize("status", [200, 204, 404])
async def test_a_file_that_is_gone_is_removed(status: int) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.method} {request.url.path}")
        return httpx.Response(status, json={"deleted": True} if status == 200 else None)

    await files(answer).delete(EAST, "x")
    assert seen == ["DELETE /openai/files/x"]


async def test_a_file_that_the_resource_does_not_have_is_not_found() -> None:
    with pytest.raises(NotFound):
        await files(lambda _: httpx.Response(404, json={"error": {"code": "notFound"}})).is_ready(EAST, "x")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"id": 5}', b"{}", b""])
async def test_an_answer_that_is_no_file_is_a_failure(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        await files(lambda _: httpx.Response(200, content=body)).upload(EAST, FILE, io.BytesIO(b"%PDF"))


async def test_azures_refusal_is_passed_on() -> None:
    refusal = {"error": {"code": "invalidPayload", "message": "Not this kind of file."}}
    with pytest.raises(BadRequest, match="Not this kind"):
        await files(lambda _: httpx.Response(400, json=refusal)).upload(EAST, FILE, io.BytesIO(b"%PDF"))


@pytest.mark.parametrize("start", [0, 1, 3, 5, 8, 9])
async def test_a_file_is_read_on_from_any_byte(start: int) -> None:
    async def bytes_of() -> AsyncIterator[bytes]:
        for part in (b"abc", b"de", b"fgh"):
            yield part

    asked = files(lambda _: httpx.Response(200, content=bytes_of()))
    assert b"".join([one async for one in asked.content(EAST, "file-1", start)]) == b"abcdefgh"[start:]


async def test_a_file_that_stops_in_the_middle_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    async def bytes_of() -> AsyncIterator[bytes]:
        try:
            yield b"abc"
            await asyncio.sleep(10)
        finally:
            closed.append(True)

    monkeypatch.setattr(resource_files, "IDLE_S", 0.01)
    asked = files(lambda _: httpx.Response(200, content=bytes_of()))
    with pytest.raises(UpstreamTimeout):
        _ = [one async for one in asked.content(EAST, "file-1")]
    assert closed == [True]
