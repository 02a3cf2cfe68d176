"""What one instance packs is what another reads; what it cannot read is nothing."""

from __future__ import annotations

import zlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.routing.figures import (
    AGES,
    REQUESTS_MAX,
    TOKENS_MAX,
    VERSION,
    Figures,
    amounts,
    lanes,
    older,
    pack,
    unpack,
)
from shared.routing.peers import INSTANCES_MAX

NONE = (0,) * AGES


def by_age(most: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, most), max_size=AGES).map(lambda some: [*some, *NONE[len(some) :]])


USED = st.tuples(by_age(TOKENS_MAX), by_age(REQUESTS_MAX))
ONE = st.builds(
    Figures,
    st.text(max_size=80),
    USED.map(lambda used: lanes(*used)),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**8),
)


def packed(version: object, heads: object, amounts: bytes = b"") -> bytes:
    head = orjson.dumps([version, heads])
    return zlib.compress(len(head).to_bytes(4, "little") + head + amounts)


@given(st.lists(ONE, max_size=5))
def test_what_is_packed_is_read(figures: list[Figures]) -> None:
    assert unpack(pack(figures)) == figures


def test_an_amount_that_is_too_large_for_a_second_is_cut() -> None:
    tokens, requests = amounts(lanes([5, 2**40, *NONE[2:]], [2**20, 1, *NONE[2:]]))
    assert (tokens[:3], requests[:3]) == ([5, TOKENS_MAX, 0], [REQUESTS_MAX, 1, 0])


@given(st.lists(USED, min_size=1, max_size=5))
def test_sums_are_those_of_each_second(some: list[tuple[list[int], list[int]]]) -> None:
    tokens, requests = amounts(sum(lanes(*used) for used in some))
    assert tokens == [sum(of_second) for of_second in zip(*(used[0] for used in some), strict=True)]
    assert requests == [sum(of_second) for of_second in zip(*(used[1] for used in some), strict=True)]


def test_the_largest_amounts_of_all_instances_fit() -> None:
    most = lanes([TOKENS_MAX] * AGES, [REQUESTS_MAX] * AGES)
    assert amounts(INSTANCES_MAX * most) == ([INSTANCES_MAX * TOKENS_MAX] * AGES, [INSTANCES_MAX * REQUESTS_MAX] * AGES)


@given(USED, st.integers(0, AGES + 5))
def test_what_was_used_grows_older_and_leaves(used: tuple[list[int], list[int]], seconds: int) -> None:
    assert amounts(older(lanes(*used), seconds)) == tuple(([0] * seconds + some)[:AGES] for some in used)


def test_a_row_of_this_version_is_read() -> None:
    assert unpack(packed(VERSION, [["a", 1, 2, 3]], bytes(AGES * 8))) == [Figures("a", 0, 1, 2, 3)]


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
        pack([Figures("a", 0)])[:-3],
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
    used = [lanes([n * 977 + age * 31 for age in range(AGES)], [1] * AGES) for n in range(50)]
    figures = [Figures(f"deployment-{n}", one) for n, one in enumerate(used)]
    assert len(pack(figures)) < 60_000
