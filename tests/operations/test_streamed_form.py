"""Forms read while they arrive: the same parts however the bytes are cut, and nothing that is no form."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from shared.errors import BadRequest, ClientClosedRequest, PayloadTooLarge
from shared.operations import streamed_form
from shared.operations.streamed_form import FIELD_BYTES_MAX, PARTS_MAX, Field, FileBegins, events

TOO_LARGE = PayloadTooLarge("too large")
TYPE = "multipart/form-data; boundary=b"


def part(disposition: str, value: bytes, headers: str = "") -> bytes:
    return f"--b\r\nContent-Disposition: form-data; {disposition}\r\n{headers}\r\n".encode() + value + b"\r\n"


FORM = (
    part('name="purpose"', b"batch")
    + part('name="file"; filename="a.txt"', b"one\r\n--x\r\ntwo", "Content-Type: text/plain\r\n")
    + part('name="model"', "grüße".encode())
    + b"--b--\r\n"
)


async def read(chunks: Sequence[bytes], content_type: str = TYPE, bytes_max: int = 10**6, **headers: str) -> list[Any]:
    """The events, a file's bytes put together; `gone` as last chunk is a client that leaves, `silence` one that
    stops."""
    left = list(chunks)

    async def receive() -> Message:
        if left and left[0] == b"gone":
            return {"type": "http.disconnect"}
        if left and left[0] == b"silence":
            await asyncio.sleep(10)
        return {"type": "http.request", "body": left.pop(0) if left else b"", "more_body": bool(left)}

    raw = [(name.encode(), value.encode()) for name, value in {"content-type": content_type, **headers}.items()]
    request = Request({"type": "http", "method": "POST", "headers": raw}, receive)
    found: list[Any] = []
    async for event in events(request, bytes_max, TOO_LARGE):
        if isinstance(event, bytes) and isinstance(found[-1], bytes):
            found[-1] += event
        else:
            found.append(event)
    return found


EXPECTED = [
    Field("purpose", "batch"),
    FileBegins("file", "a.txt", "text/plain"),
    b"one\r\n--x\r\ntwo",
    Field("model", "grüße"),
]


@given(st.lists(st.integers(0, len(FORM)), max_size=20))
async def test_a_form_is_the_same_however_it_arrives(cuts: list[int]) -> None:
    ends = sorted({0, *cuts, len(FORM)})
    assert await read([FORM[start:end] for start, end in pairwise(ends)]) == EXPECTED


async def test_a_file_of_no_type_is_bytes() -> None:
    assert await read([part('name="f"; filename=""', b"x") + b"--b--"]) == [
        FileBegins("f", "", "application/octet-stream"),
        b"x",
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no form",
        FORM[:-10],
        FORM[: len(FORM) // 2],
        part("", b"x") + b"--b--",
        part('name="f"', b"\xff") + b"--b--",
        b"--b\r\n" + b"X: y\r\n" * 20 + b"\r\n--b--",
        part('name="f"', b"x", "X: " + "y" * 5000 + "\r\n") + b"--b--",
        part('name="f"', b"x") * (PARTS_MAX + 1) + b"--b--",
    ],
)
async def test_what_is_no_form_is_refused(data: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        await read([data])
    assert caught.value.code == "invalid_form"


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", "multipart/form-data; boundary=", ""])
async def test_another_type_is_refused(kind: str) -> None:
    with pytest.raises(BadRequest) as caught:
        await read([FORM], kind)
    assert caught.value.code == "invalid_content_type"


async def test_a_field_is_only_so_long() -> None:
    with pytest.raises(BadRequest) as caught:
        await read([part('name="f"', b"x" * (FIELD_BYTES_MAX + 1)) + b"--b--"])
    assert (caught.value.param, caught.value.code) == ("f", "field_too_long")


@pytest.mark.parametrize("declared", [{}, {"content-length": "1000"}, {"content-length": "9" * 30}])
async def test_a_body_that_is_too_large_is_refused(declared: dict[str, str]) -> None:
    with pytest.raises(PayloadTooLarge):
        await read([FORM[:50], FORM[50:]], bytes_max=100, **declared)


async def test_a_client_that_leaves_is_noticed() -> None:
    with pytest.raises(ClientClosedRequest):
        await read([FORM[:50], b"gone"])


async def test_a_client_that_stops_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed_form, "IDLE_S", 0.01)
    with pytest.raises(ClientClosedRequest, match="sent nothing"):
        await read([FORM[:50], b"silence"])


@given(st.binary(max_size=200))
async def test_any_bytes_are_a_form_or_refused(data: bytes) -> None:
    try:
        found = await read([b"--b\r\n" + data])
    except BadRequest:
        return
    assert all(isinstance(one, Field | FileBegins | bytes) for one in found)
