"""Pages of files, held against a list that is sorted and cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadRequest
from shared.files import listing
from shared.files.identity import FILE, Owner, partition_of, place_of
from shared.files.listing import Wanted
from shared.files.stored_file import StoredFile, row_of
from tests.files.world import ANN, BEN, MASTER, NOW, World

PURPOSES = ("batch", "assistants")


async def filled(count: int) -> tuple[World, list[StoredFile]]:
    """Files of Ann, of alternating purposes, and as many of Ben; Ann's, oldest first."""
    world = World()
    made: list[StoredFile] = []
    for number in range(count):
        world.now += 1
        made.append(await world.keep(purpose=PURPOSES[number % 2]))
        await world.keep(owner=BEN)
    return world, made


async def walked(world: World, owner: Owner, limit: int, oldest_first: bool, purpose: str | None) -> list[str]:
    """Every id, page by page, as a client goes on behind the last one of each page."""
    found: list[str] = []
    after = None
    while True:
        page = await world.store.page(owner, Wanted(limit, after, oldest_first, purpose))
        assert len(page.files) == limit or not page.has_more
        found += [file.id for file in page.files]
        if not page.has_more:
            return found
        after = place_of(FILE, found[-1])


@given(st.integers(0, 9), st.integers(1, 10), st.booleans(), st.sampled_from([None, *PURPOSES]))
async def test_the_pages_together_are_all_files_in_their_order(
    count: int, limit: int, oldest_first: bool, purpose: str | None
) -> None:
    world, made = await filled(count)
    wanted = [file.id for file in made if purpose in (None, file.purpose)]
    assert await walked(world, ANN, limit, oldest_first, purpose) == (wanted if oldest_first else wanted[::-1])


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_the_master_key_sees_the_files_of_all_owners_once(limit: int, oldest_first: bool) -> None:
    world, _ = await filled(4)
    everything = {file.id for owner in (ANN, BEN) for file in (await world.store.page(owner, Wanted())).files}
    found = await walked(world, MASTER, limit, oldest_first, None)
    assert len(found) == len(everything) == 8
    assert set(found) == everything


async def test_a_page_goes_on_behind_a_file_that_was_deleted() -> None:
    world, made = await filled(4)
    await world.store.delete(ANN, made[2].id)
    for oldest_first, rest in ((False, [made[1], made[0]]), (True, [made[3]])):
        page = await world.store.page(ANN, Wanted(10, place_of(FILE, made[2].id), oldest_first))
        assert [file.id for file in page.files] == [file.id for file in rest]


async def test_files_of_the_same_millisecond_all_come() -> None:
    world = World()
    made = {(await world.keep()).id for _ in range(5)}
    assert set(await walked(world, ANN, 2, False, None)) == made
    assert set(await walked(world, ANN, 2, True, None)) == made


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_more_rows_than_one_answer_of_the_table_are_read_on(oldest_first: bool) -> None:
    world = World()
    for number in range(2500):
        file = StoredFile(f"file-{int(NOW) * 1000 + number:012x}{'0' * 20}", "ann", "f", "batch", 1, int(NOW))
        row = row_of(file)
        await world.table.put(type(row)(partition_of(FILE, ANN), row.key, row.properties))
    page = await world.store.page(ANN, Wanted(2400, None, oldest_first))
    assert (len(page.files), page.has_more) == (2400, True)
    rare = await world.store.page(ANN, Wanted(10, None, oldest_first, "assistants"))
    assert (rare.files, rare.has_more) == ([], False)


async def test_a_page_is_not_looked_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "ROWS_MAX", 4)
    monkeypatch.setattr(listing, "PAGE_ROWS_MAX", 2)
    world, _ = await filled(6)
    with pytest.raises(BadRequest, match="not among the first 4 files"):
        await world.store.page(ANN, Wanted(2, None, False, "evals"))
