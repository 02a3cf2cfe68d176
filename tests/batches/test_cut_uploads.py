"""Uploads in whose middle their worker was lost: the next is shorter, so that one comes to its end."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from shared.batches import machine, sending
from shared.batches.document import Shard
from shared.batches.inputs import Limits, write
from shared.batches.placing import Seat
from tests.batches.world import World, line, names

NOW = 1_800_000_000.0


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data


@pytest.mark.parametrize(("cut", "share"), [(0, 1), (1, 2), (2, 4), (3, 8), (4, 8), (50, 8)])
def test_each_cut_halves_the_next_upload_three_times_at_most(cut: int, share: int) -> None:
    assert Limits(split=True, lines=80, bytes_count=800).after(cut) == Limits(
        split=True, lines=80 // share, bytes_count=800 // share
    )


def test_what_may_not_be_split_is_sent_whole_however_often_it_was_cut() -> None:
    assert Limits(tokens=5).after(7) == Limits(tokens=5)


async def test_the_shorter_upload_ends_where_the_next_one_begins() -> None:
    data = b"\n".join(line(one) for one in names(8)) + b"\n"
    file, limits = io.BytesIO(), Limits(split=True, lines=8).after(1)
    written = await write(file, chunks(data), Shard("a", 0, 0, len(data)), None, "d", "chat/completions", limits)
    assert [custom_id for custom_id, _, _ in written.asked] == names(4)
    assert (written.next_line, written.end) == (4, len(b"\n".join(line(one) for one in names(4))) + 1)


async def test_a_worker_lost_while_it_uploads_is_counted_also_for_what_is_left_of_the_shard() -> None:
    batch = await World().create(names(8))
    key = batch.shards[0].key
    for count in (1, 2):
        batch = sending.uploading(batch, key, Seat("dep0", "d0"), 100, NOW)
        taken = machine.taken(replace(batch, holder="w1", held_until=NOW), "w2", NOW)
        assert taken is not None
        batch = taken
        assert batch.shard(key).cut == count
    upload = sending.Upload("file", "asked", 4, 4, 100, 90)
    batch = sending.uploaded(sending.uploading(batch, key, Seat("dep0", "d0"), 100, NOW), key, upload, NOW)
    assert [(one.start, one.cut) for one in batch.shards] == [(0, 2), (100, 2)]
