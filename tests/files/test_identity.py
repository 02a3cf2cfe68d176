from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.files.identity import FILE, UPLOAD, Owner, hex_of, new_id, partition_of, place_of


def made(now: float, owner: str = "ann", kind: str = FILE) -> str:
    return new_id(kind, Owner(owner), now, os.urandom)


def test_an_id_looks_like_openais() -> None:
    assert made(1.8e9)[:5] == "file-"
    assert len(made(1.8e9)) == len("file-") + 32
    assert made(1.8e9, kind=UPLOAD)[:7] == "upload_"


@given(st.text(), st.floats(0, 2**38))
def test_an_id_says_in_whose_partition_its_row_is(owner: str, now: float) -> None:
    place = place_of(FILE, made(now, owner))
    assert place is not None
    assert place.partition == partition_of(FILE, Owner(owner))


@given(st.integers(0, 2**38), st.integers(1, 2**20))
def test_what_is_newer_comes_first(second: int, later_ms: int) -> None:
    old, new = place_of(FILE, made(second)), place_of(FILE, made(second + later_ms / 1000 + 0.001))
    assert old is not None
    assert new is not None
    assert new.key < old.key


@pytest.mark.parametrize(
    "text", ["", "file-", "file-" + "g" * 32, "file-" + "a" * 31, "file-" + "a" * 33, "assistant-" + "a" * 9,
             "FILE-" + "a" * 32, "file-" + "a" * 32 + "\n", "file_" + "a" * 32]
)  # fmt: skip
def test_anything_else_is_no_id(text: str) -> None:
    assert place_of(FILE, text) is None


def test_an_id_is_of_one_kind() -> None:
    assert place_of(UPLOAD, made(1)) is None
    assert place_of(FILE, made(1, kind=UPLOAD)) is None
    assert hex_of(made(1))[:12] == "0000000003e8"
