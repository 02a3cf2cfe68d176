from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.upstream.sse import EventTooLarge, Framer, comment, data_of, event, with_data

LINES = st.sampled_from([b"data: x", b"data:", b"data: {}", b": note", b"event: ping", b"id: 1", b"\xc3\xa9", b""])
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
STREAMS = st.lists(st.tuples(LINES, ENDS)).map(lambda parts: b"".join(line + end for line, end in parts))
ANYTHING = st.one_of(STREAMS, st.binary(max_size=200), st.text(alphabet="\r\na:", max_size=30).map(str.encode))


def framed(chunks: list[bytes]) -> tuple[list[bytes], bytes]:
    framer = Framer()
    events = [one for chunk in chunks for one in framer.feed(chunk)]
    return events, framer.flush()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces, cut at each place (modulo its length)."""
    at = sorted({place % (len(data) + 1) for place in places})
    return [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]


@given(ANYTHING, st.lists(st.integers(min_value=0, max_value=1000)))
def test_joining_the_events_gives_the_stream_again(data: bytes, places: list[int]) -> None:
    events, left = framed(cut(data, places))
    assert b"".join(events) + left == data


@given(ANYTHING, st.lists(st.integers(min_value=0, max_value=1000)))
@example(b"data: a\r\n\r\ndata: b\n\n", [8, 9, 10])
@example(b"a\r\r\nb", [2, 3])
def test_where_a_stream_is_cut_changes_no_event(data: bytes, places: list[int]) -> None:
    assert framed(cut(data, places)) == framed([data])


@given(STREAMS)
def test_a_stream_may_be_cut_at_every_byte(data: bytes) -> None:
    assert framed([bytes([byte]) for byte in data]) == framed([data])


@given(st.lists(st.tuples(st.sampled_from([b"data: x", b": note", b"data: a\nid: 1"]), ENDS, ENDS), min_size=1))
def test_every_event_ends_with_its_blank_line(parts: list[tuple[bytes, bytes, bytes]]) -> None:
    events, _ = framed([b"".join(line + one + two for line, one, two in parts) + b"data"])
    assert all(
        one.endswith((b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r\n", b"\r\n\n", b"\r\r\n", b"\n\r")) for one in events
    )


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_each_line_end_makes_events(end: bytes) -> None:
    events, left = framed([end.join([b"data: a", b"", b"data: b", b"", b"data: c"])])
    assert ([data_of(one) for one in events], data_of(left)) == ([b"a", b"b"], b"c")


def test_two_line_ends_of_two_kinds_are_a_blank_line() -> None:
    assert framed([b"data: a\r\n\ndata: b\n\rx"]) == ([b"data: a\r\n\n", b"data: b\n\r"], b"x")


def test_crlf_is_one_line_end() -> None:
    assert framed([b"data: a\r\ndata: b\r\n"]) == ([], b"data: a\r\ndata: b\r\n")


def test_a_carriage_return_at_the_very_end_waits_for_its_line_feed() -> None:
    framer = Framer()
    assert framer.feed(b"data: a\r\n\r") == []
    assert framer.feed(b"\n") == [b"data: a\r\n\r\n"]


def test_an_event_is_given_out_as_soon_as_its_blank_line_is_here() -> None:
    assert Framer().feed(b"data: a\n\n") == [b"data: a\n\n"]


def test_several_events_may_come_in_one_chunk() -> None:
    assert len(Framer().feed(b"data: a\n\ndata: b\n\ndata: c\n\n")) == 3


def test_flushing_leaves_nothing() -> None:
    framer = Framer()
    framer.feed(b"data: a")
    assert (framer.flush(), framer.flush()) == (b"data: a", b"")


def test_a_framer_can_go_on_after_a_flush() -> None:
    framer = Framer()
    framer.feed(b"data: a\r\n")
    framer.flush()
    assert framer.feed(b"\ndata: b\n\n") == [b"\ndata: b\n\n"]


def test_an_event_without_end_is_refused() -> None:
    framer = Framer(event_bytes_max=10)
    framer.feed(b"data: 7890")
    with pytest.raises(EventTooLarge, match="over 10 bytes"):
        framer.feed(b"1")


def test_the_bound_is_for_one_event_not_for_the_stream() -> None:
    framer = Framer(event_bytes_max=10)
    assert sum(len(framer.feed(b"data: a\n\n")) for _ in range(100)) == 100


@pytest.mark.parametrize(
    ("written", "data"),
    [
        (b"data: a\n\n", b"a"),
        (b"data:a\n\n", b"a"),
        (b"data:  a\n\n", b" a"),
        (b"data: a\r\n\r\n", b"a"),
        (b"data: a\r\r", b"a"),
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"data: a\r\ndata: b\rdata: c\n\n", b"a\nb\nc"),
        (b"data\n\n", b""),
        (b"data:\n\n", b""),
        (b"event: ping\ndata: a\n\n", b"a"),
        (b"data: a\nid: 1\n\n", b"a"),
        (b": note\ndata: a\n\n", b"a"),
        (b"data: a:b: c\n\n", b"a:b: c"),
        (b"\xef\xbb\xbfdata: a\n\n", b"a"),
        (b"data: \xe4\xbd\xa0\n\n", b"\xe4\xbd\xa0"),
        (b"data: a", b"a"),
        (b": keep-alive\n\n", None),
        (b"event: ping\n\n", None),
        (b"database: a\n\n", None),
        (b" data: a\n\n", None),
        (b"\n", None),
        (b"", None),
    ],
)
def test_the_data_of_an_event(written: bytes, data: bytes | None) -> None:
    assert data_of(written) == data


@given(st.lists(st.binary(max_size=20).filter(lambda line: not set(line) & set(b"\r\n")), min_size=1), ENDS)
def test_data_lines_are_joined_by_a_line_feed(lines: list[bytes], end: bytes) -> None:
    assert data_of(b"".join(b"data: " + line + end for line in lines) + end) == b"\n".join(lines)


@given(st.binary(max_size=100).filter(lambda data: not set(data) & set(b"\r\n")))
def test_an_event_that_we_write_is_read_back(data: bytes) -> None:
    assert framed([event(data)]) == ([event(data)], b"")
    assert data_of(event(data)) == data


def test_a_comment_that_we_write_has_no_data() -> None:
    assert (comment("keep-alive"), data_of(comment("keep-alive"))) == (b": keep-alive\n\n", None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"data: old\n\n", b"data: new\n\n"),
        (b"event: x\ndata: old\n\n", b"event: x\ndata: new\n\n"),
        (b"event: x\r\ndata: a\r\ndata: b\r\nid: 5\r\n\r\n", b"event: x\nid: 5\ndata: new\n\n"),
        (b": note\ndata:old\n\n", b": note\ndata: new\n\n"),
        (b"\xef\xbb\xbfdata: old\n\n", b"data: new\n\n"),
    ],
)
def test_an_events_data_is_replaced_and_its_other_fields_stay(before: bytes, after: bytes) -> None:
    assert with_data(before, b"new") == after
    assert data_of(after) == b"new"
