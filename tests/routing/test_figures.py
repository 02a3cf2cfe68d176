"""What one instance packs is what another reads; what it cannot read is nothing."""

from __future__ import annotations

import zlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.routing.figures import AGES, AMOUNT_MAX, VERSION, Figures, amounts, lanes, older, pack, unpack
from shared.routing.peers import INSTANCES_MAX

NONE = (0,) * AGES
AMOUNTS = st.lists(st.integers(0, AMOUNT_MAX), max_size=AGES).map(lambda some: (*some, *NONE[len(some) :]))
LANES = AMOUNTS.map(lanes)
ONE = st.builds(
    Figures, st.text(max_size=80), LANES, LANES, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**8)
)


def packed(version: object, heads: object, amounts: bytes = b"") -> bytes:
    head = orjson.dumps([version, heads])
    return zlib.compress(len(head).to_bytes(4, "little") + head + amounts)


@given(st.lists(ONE, max_size=5))
def test_what_is_packed_is_read(figures: list[Figures]) -> None:
    assert unpack(pack(figures)) == figures


def test_an_amount_that_is_too_large_is_cut() -> None:
    assert amounts(lanes((5, 2**40, *NONE[2:])))[:3] == (5, AMOUNT_MAX, 0)


@given(st.lists(AMOUNTS, min_size=1, max_size=5))
def test_sums_of_amounts_are_those_of_each_second(some: list[tuple[int, ...]]) -> None:
    assert amounts(sum(map(lanes, some))) == tuple(map(sum, zip(*some, strict=True)))


def test_the_largest_amounts_of_five_hundred_instances_fit() -> None:
    assert amounts(INSTANCES_MAX * lanes((AMOUNT_MAX,) * AGES)) == (INSTANCES_MAX * AMOUNT_MAX,) * AGES


@given(AMOUNTS, st.integers(0, AGES + 5))
def test_amounts_that_grow_older_move_and_leave(some: tuple[int, ...], seconds: int) -> None:
    assert amounts(older(lanes(some), seconds)) == ((0,) * seconds + some)[:AGES]


def test_a_row_of_this_version_is_read() -> None:
    assert unpack(packed(VERSION, [["a", 1, 2, 3]], bytes(AGES * 8))) == [Figures("a", 0, 0, 1, 2, 3)]


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
        pack([Figures("a", 0, 0)])[:-3],
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
    used = [lanes([n * 977 + age * 31 for age in range(AGES)]) for n in range(50)]
    figures = [Figures(f"deployment-{n}", amounts, 0) for n, amounts in enumerate(used)]
    assert len(pack(figures)) < 60_000
