"""Packing a partition by several sweeps, each killed or held up anywhere: what is in the log stays there, and in the
list, once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest

from shared.spend import logs, packing, places, records, tally
from shared.spend.entry import Entry
from shared.storage.tables import Row
from tests.memory_table import MemoryTable, Rows
from tests.spend.world import NOON, Fate, Killed, World, settled

SEGMENTS = 7
THROUGH = places.segment_key(SEGMENTS)
PARTITION = places.log_partition(places.day_of(NOON), f"{1:012x}")
REQUESTS = 11
"""More than a packing of so many segments takes."""


@pytest.fixture(autouse=True)
def _little_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tally, packing, logs):
        monkeypatch.setattr(module, "PAGE_ROWS", 2)
    monkeypatch.setattr(packing, "RUN_ROWS_MAX", 3)


async def written() -> tuple[World, list[Entry]]:
    """A log of SEGMENTS segments of one attempt each."""
    world = World()
    one = world.start()
    entries = []
    for _ in range(SEGMENTS):
        handle = one.open()
        handle.settle(settled())
        await one.run()
        entries.append(handle.entry)
    return world, entries


async def pack(world: World, fate: Fate) -> None:
    with suppress(Killed):
        await packing.pack(world.tables(fate)[0], PARTITION, THROUGH, world.now)


async def sees(world: World, entries: Sequence[Entry]) -> bool:
    """Whether the list and who counts the log have each of the entries once."""
    listed = [entry.entry_id for entry in await world.listed()]
    table = MemoryTable(world.ledger)
    counted = [one.entry_id async for row in tally.segments(table, PARTITION) for one in records.entries_of(row)]
    return sorted(listed) == sorted(counted) == sorted(entry.entry_id for entry in entries)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("lead", range(0, 40, 3))
async def test_two_that_pack_at_once_hide_nothing(lead: int) -> None:
    """The second stays so many turns behind the first: it sees some of its packed segments, and not others."""
    world, entries = await written()
    first = asyncio.ensure_future(pack(world, Fate()))
    await turns(lead)
    second = asyncio.ensure_future(pack(world, Fate()))
    while not (first.done() and second.done()):
        await turns(1)
        assert await sees(world, entries)


@pytest.mark.parametrize("stop", range(REQUESTS))
async def test_who_was_held_up_while_others_packed_and_removed_hides_nothing(stop: int) -> None:
    """The first stands still at a request, then the second at any, the first goes on; a minute later a third comes and
    dies at any request, then the second goes on from where it was."""
    made, entries = await written()
    rows = made.ledger.kept
    for stop_2 in range(REQUESTS):
        for dies in range(REQUESTS):
            world = World(Rows(dict(rows)), now=NOON)
            fates = Fate(hold_at=stop), Fate(hold_at=stop_2)
            packers = []
            for fate in fates:
                packers.append(asyncio.ensure_future(pack(world, fate)))
                await turns(40)
            for fate, kill_at in zip(fates, (dies, None), strict=True):
                fate.go_on()
                await turns(60)
                world.now += packing.REMOVE_AFTER_S + 1
                await pack(world, Fate(kill_at))
                assert await sees(world, entries), (stop, stop_2, dies)
            world.now += packing.REMOVE_AFTER_S + 1
            await pack(world, Fate())
            assert all(packer.done() for packer in packers)
            assert await sees(world, entries), (stop, stop_2, dies)


async def test_a_packed_segment_in_another_hides_nothing_from_the_list() -> None:
    world, entries = await written()
    table = MemoryTable(world.ledger)
    for first, last in ((1, 5), (4, 6)):
        [payload] = records.encoded(entries[first - 1 : last])
        values = {tally.LAST: places.segment_key(last), **records.properties(payload)}
        await table.put(Row(PARTITION, places.segment_key(first), values))
    assert await sees(world, entries)


async def test_what_is_packed_takes_few_rows() -> None:
    world, entries = await written()
    for _ in range(2):
        await pack(world, Fate())
        world.now += packing.REMOVE_AFTER_S + 1
    keys = [row.key for row in MemoryTable(world.ledger).all if row.partition == PARTITION]
    assert keys == [places.segment_key(sequence) for sequence in (1, 4, 7)]
    assert await sees(world, entries)
