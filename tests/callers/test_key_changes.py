"""Notes of changed keys: a key without one is not read again, and no change is missed for it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from shared.callers import key_changes
from shared.callers.key_changes import IDLE_S, LOOK_S, NOTE_S, NOTES, NOTES_MAX, TRUST_S, TRUSTED_S, KeyChanges
from shared.callers.key_store import KeyStore
from shared.callers.keys import Keys
from shared.callers.known_keys import FRESH_S, REREAD_S, STALE_S
from shared.callers.virtual_key import VirtualKey
from shared.errors import StorageFailed
from shared.storage.tables import Row
from shared.supervisor import Supervisor
from tests.memory_table import MemoryTable

DRAFT = VirtualKey("", "", "", 0.0, 0.0)


@dataclass
class Town:
    """One instance and the table, which others write through `store`. `at`: its clock and everybody's."""

    keys: Keys
    store: KeyStore
    table: MemoryTable
    other: MemoryTable
    supervisor: Supervisor
    at: float = 1000.0

    async def made(self) -> VirtualKey:
        return (await self.store.create(DRAFT, None))[1]

    async def get(self, key: VirtualKey) -> VirtualKey | None:
        """What the instance takes the key for, and whatever that began."""
        found = await self.keys.known.get(key.hash)
        for _ in range(20):
            await asyncio.sleep(0)
        return found

    async def pass_by(self, seconds: float) -> None:
        """So long the instance is in use, and looks at the notes."""
        while seconds > 0:
            self.at += min(LOOK_S, seconds)
            seconds -= LOOK_S
            await self.keys.changes.look()

    def reads(self) -> int:
        return self.table.calls.get("get", 0)


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    table, supervisor = MemoryTable(), Supervisor()
    other = MemoryTable(table.table)

    def clock() -> float:
        return made.at

    keys = Keys(table, supervisor, clock, clock, instance="i", reserve_max=1)
    made = Town(keys, KeyStore(other, clock, os.urandom), table, other, supervisor)
    yield made
    await supervisor.close()


async def test_keys_in_use_are_not_read_again(town: Town) -> None:
    keys = [await town.made() for _ in range(50)]
    for key in keys:
        assert await town.get(key) == key
    before = town.reads()
    for _ in range(30):
        await town.pass_by(STALE_S)
        for key in keys:
            assert await town.get(key) == key
    assert town.reads() == before


@pytest.mark.parametrize("change", ["block", "regenerate", "delete"])
async def test_a_change_is_known_within_five_seconds(town: Town, change: str) -> None:
    key = await town.made()
    await town.get(key)
    await town.pass_by(60)
    assert await town.get(key) == key
    if change == "block":
        await town.store.change(key.key_id, lambda known: replace(known, blocked=True))
    elif change == "regenerate":
        await town.store.regenerate(key.key_id, None, lambda known: known)
    else:
        await town.store.delete(key.key_id)
    await town.pass_by(5)
    found = await town.get(key)
    assert found is None if change != "block" else found is not None and found.blocked


async def test_a_change_is_known_within_five_seconds_without_any_look(town: Town) -> None:
    key = await town.made()
    await town.get(key)
    await town.pass_by(60)
    await town.store.delete(key.key_id)
    town.at += TRUST_S
    assert await town.get(key) is None


async def test_what_is_read_between_note_and_change_is_read_again(town: Town) -> None:
    key = await town.made()
    await town.get(key)
    await key_changes.announce(town.other, key.key_id, town.at, os.urandom)
    await town.pass_by(LOOK_S)
    for _ in range(100):  # the writer hangs; its write comes late
        await town.pass_by(STALE_S)
        assert await town.get(key) == key
    town.table.table.kept = {place: row for place, row in town.table.table.kept.items() if row.key != key.key_id}
    await town.pass_by(STALE_S)
    assert await town.get(key) is None


async def test_a_note_that_came_and_went_unseen_lets_no_old_key_in(town: Town) -> None:
    key, another = await town.made(), await town.made()
    await town.get(key)
    town.at += IDLE_S + 1
    await town.store.delete(key.key_id)
    town.at += NOTE_S
    await key_changes.clean(town.other, town.at)
    assert not any(row.partition == NOTES for row in town.table.all)
    await town.get(another)
    await town.pass_by(LOOK_S)
    assert await town.get(key) is None


async def test_a_key_is_read_now_and_then_all_the_same(town: Town) -> None:
    key = await town.made()
    await town.get(key)
    await town.pass_by(REREAD_S)
    before = town.reads()
    await town.get(key)
    assert town.reads() == before + 1
    assert REREAD_S < TRUSTED_S
    assert not town.keys.changes.settled(key.key_id, town.at - TRUSTED_S)


async def test_where_the_notes_cannot_be_read_every_key_is(town: Town) -> None:
    key = await town.made()
    await town.get(key)
    await town.pass_by(10)
    town.table.failures = 1
    with pytest.raises(StorageFailed):
        await town.keys.changes.look()
    town.at += STALE_S
    before = town.reads()
    await town.get(key)
    assert town.reads() > before


async def test_with_too_many_notes_every_key_is_read(town: Town) -> None:
    key = await town.made()
    await town.get(key)
    for number in range(NOTES_MAX):
        await town.other.put(Row(NOTES, f"key_{number}.0", {"at": town.at}))
    await town.pass_by(FRESH_S + LOOK_S)
    assert not town.keys.changes.settled(key.key_id, town.at)


async def test_without_a_note_nothing_is_changed(town: Town) -> None:
    def fail(name: str) -> None:
        if name == "put":
            raise StorageFailed("down")

    key = await town.made()
    for what in (town.store.change(key.key_id, lambda known: known), town.store.delete(key.key_id)):
        town.other.before = fail
        rows = list(town.table.all)
        with pytest.raises(StorageFailed):
            await what
        assert town.table.all == rows


async def test_only_old_notes_are_removed(town: Town) -> None:
    await key_changes.announce(town.other, "key_old", town.at, os.urandom)
    town.at += NOTE_S
    await key_changes.announce(town.other, "key_new", town.at, os.urandom)
    await key_changes.clean(town.other, town.at)
    assert [row.key.partition(".")[0] for row in town.table.all] == ["key_new"]


async def test_who_is_asked_for_nothing_looks_at_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_changes, "LOOK_S", 0.0)
    changes = KeyChanges(town.table, town.supervisor, lambda: town.at)
    changes.settled("key_1", town.at)
    await asyncio.sleep(0.01)
    assert town.table.calls["rows"] >= 1
    town.at += IDLE_S
    await asyncio.sleep(0.01)
    before = town.table.calls["rows"]
    await asyncio.sleep(0.01)
    assert town.table.calls["rows"] == before
    changes.settled("key_1", town.at)
    await asyncio.sleep(0.01)
    assert town.table.calls["rows"] > before
