"""Rows of batches, and pages of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.batches import listing
from shared.batches.document import Batch, Shard
from shared.batches.store import QUOTA_S, BatchStore, Picked
from shared.errors import BadRequest, StorageFailed
from shared.files.identity import BATCH, Owner, new_id
from tests.memory_table import MemoryTable

ANN, BEN = Owner("ann"), Owner("ben")
ALL = Owner("master", sees_all=True)
NOW = 1_800_000_000.0


async def made(store: BatchStore, owner: Owner, number: int) -> Batch:
    one = Batch(
        new_id(BATCH, owner, NOW + number, lambda size: number.to_bytes(size, "big")), owner.key_id, "/v1/embeddings",
        "file-1", 100, "m", NOW + number, "file-2", "file-3",
        shards=(Shard("a", 0, 0, 100, state="in_progress", deployment="d", tokens=5),),
    )  # fmt: skip
    await store.note(one)
    await store.insert(one)
    return one


async def test_a_batch_is_found_by_its_id_and_changed_under_its_etag() -> None:
    store = BatchStore(MemoryTable())
    one = await made(store, ANN, 1)
    found = await store.load(one.id)
    assert found is not None
    assert found[0] == one
    etag = await store.save(replace(one, alias="x"), found[1])
    assert etag is not None
    assert await store.save(replace(one, alias="y"), found[1]) is None
    assert await store.load("batch_1") is None
    assert await store.load(new_id(BATCH, BEN, NOW, bytes)) is None


async def test_what_is_open_says_what_it_has_enqueued_where() -> None:
    store = BatchStore(MemoryTable())
    one = await made(store, ANN, 1)
    assert [(entry.id, entry.claims) for entry in await store.open()] == [(one.id, {"d": 5})]
    assert await store.owner_of(one.name) == "ann"
    await store.forget(one.name)
    assert (await store.open(), await store.owner_of(one.name)) == ([], None)


async def test_an_owner_sees_its_own_newest_first_and_the_master_key_all() -> None:
    store = BatchStore(MemoryTable())
    ours = [await made(store, ANN, number) for number in range(5)]
    theirs = await made(store, BEN, 9)
    some, more = await listing.page(store.table, ANN, 2, None)
    assert (some, more) == ([ours[4], ours[3]], True)
    rest, more = await listing.page(store.table, ANN, 3, some[-1].id)
    assert (rest, more) == ([ours[2], ours[1], ours[0]], False)
    assert (await listing.page(store.table, BEN, 10, None))[0] == [theirs]
    everything, _ = await listing.page(store.table, ALL, 10, None)
    assert {one.id for one in everything} == {one.id for one in [*ours, theirs]}
    with pytest.raises(BadRequest):
        await listing.page(store.table, ANN, 2, "file-1")


async def test_an_owner_whose_rows_stand_beside_anothers_does_not_see_those() -> None:
    """Rarely, two owners have the same partition."""
    store = BatchStore(MemoryTable())
    one = await made(store, ANN, 1)
    found = await store.load(one.id)
    assert found is not None
    await store.save(replace(one, owner="somebody"), found[1])
    assert await listing.page(store.table, ANN, 10, None) == ([], False)


async def test_a_quota_is_believed_for_six_hours() -> None:
    store = BatchStore(MemoryTable())
    await store.learn("d", 100, NOW)
    assert await store.quotas(NOW + QUOTA_S - 1) == {"d": 100}
    assert await store.quotas(NOW + QUOTA_S) == {}


async def test_what_an_upload_carries_comes_back_whole_or_not_at_all() -> None:
    store = BatchStore(MemoryTable())
    asked = [(f"task-{number}" * 20, number, 3) for number in range(100_000)]
    await store.put_asked("n", "00000000-00-ab", asked)
    await store.put_asked("n", "00000000-00-cd", asked[:1])
    found = await store.asked("n", "00000000-00-ab")
    assert [(one.custom_id, line, one.tokens) for line, one in found] == asked
    keys = [row.key for row in store.table.all if row.key.startswith("00000000-00-ab")]  # type: ignore[attr-defined]
    await store.table.remove("asked_n", keys[-1])
    with pytest.raises(StorageFailed):
        await store.asked("n", "00000000-00-ab")
    with pytest.raises(StorageFailed):
        await store.asked("n", "00000000-00-ef")


async def test_the_lines_of_a_repair_come_back() -> None:
    store = BatchStore(MemoryTable())
    await store.put_picked("n", "k", Picked(5, b"\x05"))
    found = await store.picked("n", "k")
    assert [line for line in range(20) if found.has(line)] == [5, 7]
    with pytest.raises(StorageFailed):
        await store.picked("n", "other")


@given(first=st.integers(0, 100), bits=st.binary(max_size=4), line=st.integers(0, 200))
def test_a_line_outside_of_a_repair_is_not_meant(first: int, bits: bytes, line: int) -> None:
    inside = first <= line < first + 8 * len(bits)
    assert Picked(first, bits).has(line) == (inside and bool(bits[(line - first) // 8] >> ((line - first) % 8) & 1))
