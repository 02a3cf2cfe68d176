"""shared/operations/ranges.py: which part a `Range` header asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import RangeNotSatisfiable
from shared.operations.ranges import Part, asked, part_headers
from shared.storage.blobs import About, StoredBlob


async def nothing() -> AsyncIterator[bytes]:
    yield b""


def blob(start: int, length: int, size: int) -> StoredBlob:
    return StoredBlob(About("audio/mpeg", {}), size, start, length, nothing)


@pytest.mark.parametrize(
    ("written", "part"),
    [
        ("bytes=0-499", Part(0, 500)),
        ("bytes=500-999", Part(500, 500)),
        ("bytes=7-7", Part(7, 1)),
        ("bytes=500-", Part(500)),
        ("bytes=0-", Part(0)),
        ("bytes=-500", Part(-500)),
        ("BYTES= 1-2 ", Part(1, 2)),
    ],
)
def test_one_part_is_understood(written: str, part: Part) -> None:
    assert asked({"range": written}) == part


@pytest.mark.parametrize(
    "written",
    ["", "bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "bytes=1-2,4-5", "items=1-2", "bytes 1-2", "bytes=1",
     "bytes=--1", "bytes=+1-2", "bytes=\u0661-\u0662", "bytes=0-" + "9" * 19],
)  # fmt: skip
def test_anything_else_is_answered_with_everything(written: str) -> None:
    assert asked({"range": written}) is None


def test_no_header_is_everything() -> None:
    assert asked({}) is None


def test_a_part_under_a_condition_is_everything() -> None:
    assert asked({"range": "bytes=0-1", "if-range": '"a"'}) is None


def test_the_last_0_bytes_are_none() -> None:
    with pytest.raises(RangeNotSatisfiable):
        asked({"range": "bytes=-0"})


def test_a_part_says_where_it_lies() -> None:
    assert part_headers(blob(2, 3, 10)) == {"content-range": "bytes 2-4/10"}


def test_behind_the_end_the_size_is_told() -> None:
    with pytest.raises(RangeNotSatisfiable) as failure:
        part_headers(blob(10, 0, 10))
    assert failure.value.headers()["content-range"] == "bytes */10"


@given(st.text())
def test_any_header_is_a_part_or_everything(written: str) -> None:
    part = asked({"range": written})
    assert part is None or part.length is None or part.length > 0


@given(st.integers(0, 10**17), st.integers(0, 10**17))
def test_first_and_last_are_both_included(first: int, more: int) -> None:
    assert asked({"range": f"bytes={first}-{first + more}"}) == Part(first, more + 1)
