"""A batch's document: it comes back as it was written, also to a Spillway that knows less or more."""

from __future__ import annotations

import zlib
from dataclasses import replace

import orjson
from hypothesis import given
from hypothesis import strategies as st

from shared.batches.document import (
    Batch,
    Mark,
    Shard,
    claims,
    day_of,
    key_of,
    upstream_name,
)
from shared.batches.packed import decoded, encoded

BATCH = Batch("batch_" + "0" * 32, "ann", "/v1/embeddings", "file-1", 100, "m", 5.0, "file-2", "file-3")
BITS = st.binary(max_size=40)
MARKS = st.builds(
    Mark, st.sampled_from(["output", "error", "rest"]), st.integers(0, 10**9), st.integers(0, 10**6), BITS, BITS
)
SHARDS = st.builds(
    Shard, key=st.text("0123456789-s", min_size=1, max_size=12), first=st.integers(0, 10**6),
    start=st.integers(0, 10**9), end=st.integers(0, 10**9),
    left=st.lists(st.text(max_size=3), max_size=2).map(tuple), mark=MARKS,
    cost=st.integers(0, 10**15), state=st.sampled_from(["queued", "done"]), stray=st.booleans(),
)  # fmt: skip


@given(
    shards=st.lists(SHARDS, max_size=4).map(tuple),
    metadata=st.one_of(st.none(), st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2)),
    tags=st.lists(st.text(max_size=3), max_size=2).map(tuple),
)
def test_it_comes_back_as_it_was_written(
    shards: tuple[Shard, ...], metadata: dict[str, str] | None, tags: tuple[str, ...]
) -> None:
    batch = replace(
        BATCH, shards=shards, metadata=metadata, tags=tags, errors=({"code": "x"},), times={"a": 1.0}, budgeted=True
    )
    assert decoded(encoded(batch)) == batch


def test_what_a_newer_spillway_added_is_passed_over() -> None:
    written = orjson.loads(zlib.decompress(encoded(replace(BATCH, shards=(Shard("k", 0, 0, 1, mark=Mark(at=1)),)))))
    written["newer"] = 1
    written["shards"][0]["newer"] = 2
    written["shards"][0]["mark"]["newer"] = 3
    read = decoded(zlib.compress(orjson.dumps(written)))
    assert read == replace(BATCH, shards=(Shard("k", 0, 0, 1, mark=Mark(at=1)),))


def test_only_what_differs_from_its_default_is_written() -> None:
    assert "holder" not in orjson.loads(zlib.decompress(encoded(BATCH)))


def test_a_batch_of_500_shards_of_100000_lines_fits_into_a_row() -> None:
    """While their results are read, each has a bit a line."""
    shards = tuple(
        Shard(
            key_of(number * 100_000), number * 100_000, 0, 10**8, lines=100_000, deployment="d" * 20, label="d" * 20,
            file="file-" + "0" * 32, job="batch_" + "0" * 36, asked="x" * 30, state="downloading",
            mark=Mark(seen=b"\xff" * 12_500, again=b"\x00" * 12_500),
        )
        for number in range(500)
    )  # fmt: skip
    assert len(encoded(replace(BATCH, shards=shards))) < 900_000


def test_keys_sort_as_the_lines_and_attempts_do() -> None:
    keys = [key_of(first, round_) for first in (0, 9, 10, 99_999_999) for round_ in (0, 1, 10)]
    assert keys == sorted(keys)
    assert key_of(5, 1, 2) == "00000005-01s2"


def test_attempts_of_a_shard_its_repairs_and_its_doubles_are_all_different() -> None:
    shards = [Shard(key_of(0, round_, stray), 0, 0, 1, round=round_) for round_ in range(6) for stray in range(4)]
    assert len({one.attempt for one in shards}) == len(shards)


def test_the_name_at_a_resource_says_which_shard_of_which_batch() -> None:
    assert upstream_name(BATCH, Shard(key_of(7), 7, 0, 1)) == f"spillway-{'0' * 32}-00000007-00"


def test_what_is_enqueued_is_counted_by_deployment_while_it_is() -> None:
    shards = (
        Shard("a", 0, 0, 1, state="in_progress", deployment="d", tokens=5),
        Shard("b", 1, 0, 1, state="uploading", deployment="d", tokens=7),
        Shard("c", 2, 0, 1, state="doubtful", deployment="e", tokens=1),
        Shard("e", 3, 0, 1, state="done", deployment="e", tokens=9),
        Shard("f", 4, 0, 1, state="queued", deployment="e", tokens=9),
    )
    assert claims(replace(BATCH, shards=shards)) == {"d": 12, "e": 1}


def test_days_are_those_of_utc() -> None:
    assert day_of(1_700_000_000) == "20231114"


def test_a_time_is_told_once() -> None:
    assert BATCH.at("a", 1.0).at("a", 2.0).times == {"a": 1.0}


def test_a_key_is_owed_what_it_was_not_told() -> None:
    batch = replace(BATCH, shards=(Shard("a", 0, 0, 1, cost=5), Shard("b", 0, 0, 1, cost=3, stray=True)))
    assert (batch.cost, batch.owes) == (8, False)
    batch = replace(batch, budgeted=True)
    assert batch.owes
    assert not replace(batch, booked=8).owes
    assert replace(batch, booked=8, state="completed").owes
    assert not replace(batch, booked=8, state="completed", released=True).owes
