"""What one instance packs is what another reads; what it cannot read is nothing."""

from __future__ import annotations

import zlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.routing.figures import AGES, VERSION, Figures, pack, unpack

NONE = (0,) * AGES
AMOUNTS = st.lists(st.integers(0, 2**32 - 1), max_size=8).map(lambda some: (*some, *NONE[len(some) :]))
ONE = st.builds(
    Figures, st.text(max_size=80), AMOUNTS, AMOUNTS, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**8)
)


def packed(version: object, heads: object, amounts: bytes = b"") -> bytes:
    head = orjson.dumps([version, heads])
    return zlib.compress(len(head).to_bytes(4, "little") + head + amounts)


@given(st.lists(ONE, max_size=5))
def test_what_is_packed_is_read(figures: list[Figures]) -> None:
    assert unpack(pack(figures)) == figures


def test_amounts_that_a_row_cannot_hold_are_cut_to_what_it_can() -> None:
    [read] = unpack(pack([Figures("a", (-5, 2**40, *NONE[2:]), NONE)]))
    assert read.tokens[:2] == (0, 2**32 - 1)


def test_a_row_of_this_version_is_read() -> None:
    assert unpack(packed(VERSION, [["a", 1, 2, 3]], bytes(AGES * 8))) == [Figures("a", NONE, NONE, 1, 2, 3)]


def test_a_row_of_another_version_is_nothing() -> None:
    assert unpack(packed(VERSION + 1, [["a", 1, 2, 3]], bytes(AGES * 8))) == []


@pytest.mark.parametrize(
    "row",
    [
        b"",
        b"garbage",
        zlib.compress(b""),
        zlib.compress(b"\xff\xff\xff\xff[]"),
        packed(VERSION, [["a", 1, 2, 3]], bytes(AGES * 8 - 1)),
        packed(VERSION, [["a", 1]], bytes(AGES * 8)),
        packed(VERSION, 5),
        pack([Figures("a", NONE, NONE)])[:-3],
    ],
    ids=["empty", "garbage", "no head", "no end", "too few amounts", "too few columns", "no list", "cut short"],
)
def test_what_cannot_be_read_is_nothing(row: bytes) -> None:
    assert unpack(row) == []


@given(st.binary(max_size=200))
def test_no_bytes_raise(row: bytes) -> None:
    assert unpack(row) == []
    assert isinstance(unpack(zlib.compress(row)), list)


@given(st.lists(ONE, min_size=1, max_size=2), st.integers(0), st.integers(1, 255))
def test_a_spoilt_row_does_not_raise(figures: list[Figures], at: int, by: int) -> None:
    row = bytearray(zlib.decompress(pack(figures)))
    row[at % len(row)] ^= by
    assert isinstance(unpack(zlib.compress(bytes(row), 1)), list)


def test_fifty_deployments_in_use_fit_into_one_property() -> None:
    figures = [Figures(f"deployment-{n}", tuple(n * 977 + a * 31 for a in range(AGES)), NONE) for n in range(50)]
    assert len(pack(figures)) < 60_000
