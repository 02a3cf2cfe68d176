"""Lines cut from chunks: the same whatever the chunks are, numbered, and never longer than may be held."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.files.lines import LineSplitter, LineTooLong

PIECES = st.lists(st.binary(max_size=5) | st.just(b"\n"), max_size=20)


def cut(chunks: list[bytes], bytes_max: int = 100) -> list[tuple[int, bytes]]:
    splitter = LineSplitter(bytes_max)
    some = [*map(splitter.feed, chunks), splitter.flush()]
    return [(number, line) for lines in some for number, line in enumerate(lines.lines, lines.first)]


@given(PIECES)
def test_lines_are_the_same_however_they_arrive(chunks: list[bytes]) -> None:
    whole = b"".join(chunks).split(b"\n")
    expected = list(enumerate(whole if whole[-1] else whole[:-1], 1))
    assert cut(chunks) == expected
    assert cut([bytes([byte]) for byte in b"".join(chunks)]) == expected


@pytest.mark.parametrize("chunks", [[b"a\n12345\nb"], [b"a\n1", b"23", b"45\n"], [b"a\n", b"12345"], [b"\n12345678"]])
def test_a_line_that_is_too_long_is_named(chunks: list[bytes]) -> None:
    with pytest.raises(LineTooLong) as caught:
        cut(chunks, 4)
    assert caught.value.number == 2


def test_a_line_may_be_as_long_as_the_limit() -> None:
    assert cut([b"12", b"34\n", b"1234"], 4) == [(1, b"1234"), (2, b"1234")]
