"""Lines cut out of a stream, and requests as a deployment takes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.batches.lines import (
    LINE_BYTES_MAX,
    Asked,
    BadLine,
    LineTooLong,
    custom_id_of,
    kind_of,
    lines_of,
    upstream_endpoint,
    written_for,
)


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def cut(*chunks: bytes, most: int = 1000) -> list[tuple[bytes, int]]:
    return [one async for one in lines_of(pieces(*chunks), most)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"a", [(b"a", 1)]),
        (b"a\n", [(b"a", 2)]),
        (b"a\n\nbc", [(b"a", 2), (b"", 3), (b"bc", 5)]),
        (b"a\r\nb\n", [(b"a\r", 3), (b"b", 5)]),
    ],
)
async def test_lines_are_cut_at_line_feeds(data: bytes, expected: list[tuple[bytes, int]]) -> None:
    assert await cut(data) == expected


@given(st.lists(st.binary(max_size=5).map(lambda data: data.replace(b"\x00", b"\n")), max_size=12))
def test_where_a_stream_is_cut_does_not_matter(chunks: list[bytes]) -> None:
    async def both() -> None:
        assert await cut(*chunks) == await cut(b"".join(chunks))

    asyncio.run(both())


async def test_a_line_of_200_mb_is_given_up_when_its_maximum_was_read() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(200):
            read += 1
            yield b"x" * 1024 * 1024

    with pytest.raises(LineTooLong):
        async for _ in lines_of(endless(), LINE_BYTES_MAX):
            pass
    assert read == LINE_BYTES_MAX // (1024 * 1024) + 1


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("/v1/chat/completions", "chat/completions"),
        ("/chat/completions", "chat/completions"),
        ("/openai/v1/embeddings", "embeddings"),
        ("/v1/Responses", "responses"),
        ("/v1/images/generations", None),
        ("", None),
    ],
)
def test_a_line_may_ask_in_every_spelling(url: str, kind: str | None) -> None:
    assert kind_of(url) == kind


def test_azure_is_asked_for_chat_without_v1() -> None:
    assert upstream_endpoint("chat/completions", "azure") == "/chat/completions"
    assert upstream_endpoint("chat/completions", "openai") == "/v1/chat/completions"
    assert upstream_endpoint("embeddings", "azure") == "/v1/embeddings"


def test_a_request_is_written_under_its_deployments_name_and_otherwise_as_it_is() -> None:
    request = {"custom_id": "a", "method": "post", "url": "/chat/completions", "body": {"model": "m", "x": [1.5, None]}}
    line = orjson.dumps(request)
    asked, written = written_for(line, "dep", "chat/completions")
    assert asked == Asked("a", len(line) // 4)
    assert orjson.loads(written) == {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "dep", "x": [1.5, None]},
    }
    assert written.endswith(b"}\n")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", "invalid_json_line"),
        (b"[1]", "invalid_request"),
        (b'{"body": {}}', "invalid_request"),
        (b'{"custom_id": "", "body": {}}', "invalid_request"),
        (b'{"custom_id": 7, "body": {}}', "invalid_request"),
        (b'{"custom_id": "a", "body": []}', "invalid_request"),
    ],
)
def test_a_line_that_is_no_request_says_why(line: bytes, code: str) -> None:
    with pytest.raises(BadLine) as raised:
        written_for(line, "dep", "chat/completions")
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("line", "custom_id"),
    [
        (b'{"custom_id": "a"}', "a"),
        (b"{", None),
        (b"[]", None),
        (b'{"custom_id": 7}', None),
        (b'{"custom_id": ""}', None),
    ],
)
def test_the_id_of_a_line_that_may_be_anything(line: bytes, custom_id: str | None) -> None:
    assert custom_id_of(line) == custom_id
