from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from shared.callers import key_changes
from shared.callers.key_store import CLAIM_S, KeyStore
from shared.callers.virtual_key import VirtualKey, hash_of
from shared.errors import BadRequest, NotFound, StorageFailed
from tests.memory_table import MemoryTable, Rows

DRAFT = VirtualKey("", "", "", 1.0, 1.0, alias="team", rpm_limit=3)
SECRET = "sk-chosen-by-operator"


class Killed(Exception):
    """The process ended here."""


class Clock:
    at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


def of(table: MemoryTable, clock: Clock, start: int = 1) -> KeyStore:
    numbers = itertools.count(start)
    return KeyStore(table, clock, lambda size: next(numbers).to_bytes(size, "big"))


@pytest.fixture
def store(table: MemoryTable, clock: Clock) -> KeyStore:
    return of(table, clock)


def same(key: VirtualKey) -> VirtualKey:
    return key


async def test_a_new_key_is_found_by_its_hash_and_its_id(store: KeyStore) -> None:
    secret, key = await store.create(DRAFT, None)
    assert await store.find(hash_of(secret)) == key
    assert await store.get(key.key_id) == key
    assert (key.alias, key.rpm_limit, key.hint) == ("team", 3, f"sk-...{secret[-4:]}")


async def test_nothing_in_the_table_is_the_key(store: KeyStore, table: MemoryTable) -> None:
    secret, _ = await store.create(DRAFT, None)
    assert secret not in repr(table.all)
    assert secret.removeprefix("sk-") not in repr(table.all)


async def test_keys_are_long_and_all_different(table: MemoryTable, clock: Clock) -> None:
    import os

    store = KeyStore(table, clock, os.urandom)
    made = {(await store.create(replace(DRAFT, alias=""), None))[0] for _ in range(20)}
    assert len(made) == 20
    assert all(len(secret) >= 40 for secret in made)


async def test_a_key_is_named_by_itself_its_hash_its_id_or_its_alias(store: KeyStore) -> None:
    secret, key = await store.create(DRAFT, None)
    for name in (secret, hash_of(secret), key.key_id):
        assert await store.id_of(name) == key.key_id
    assert await store.id_of_alias("team") == key.key_id


@pytest.mark.parametrize("name", ["sk-unknown", "", "key_", "../x", "0" * 64, "x" * 1000, "sk-\x00"])
async def test_an_unknown_name_is_not_found(store: KeyStore, name: str) -> None:
    with pytest.raises(NotFound):
        await store.id_of(name)
    with pytest.raises(NotFound):
        await store.id_of_alias(name)


async def test_a_chosen_key_exists_once(store: KeyStore) -> None:
    await store.create(DRAFT, SECRET)
    with pytest.raises(BadRequest, match="exists already"):
        await store.create(replace(DRAFT, alias="other"), SECRET)


async def test_an_alias_belongs_to_one_key(store: KeyStore, clock: Clock) -> None:
    await store.create(DRAFT, None)
    clock.at += CLAIM_S
    with pytest.raises(BadRequest, match="alias"):
        await store.create(DRAFT, None)


async def test_an_alias_is_free_when_its_key_is_gone_or_has_another(store: KeyStore, clock: Clock) -> None:
    _, first = await store.create(DRAFT, None)
    await store.change(first.key_id, lambda key: replace(key, alias="renamed"))
    _, second = await store.create(DRAFT, None)
    await store.delete(second.key_id)
    _, third = await store.create(DRAFT, None)
    assert await store.id_of_alias("team") == third.key_id
    assert await store.id_of_alias("renamed") == first.key_id


async def test_a_change_is_of_what_the_row_has(store: KeyStore, clock: Clock) -> None:
    secret, key = await store.create(DRAFT, None)
    clock.at += 5
    await store.change(key.key_id, lambda known: replace(known, blocked=True))
    changed = await store.find(hash_of(secret))
    assert changed == replace(key, blocked=True, updated_at=1005.0)


async def test_changes_of_two_at_once_are_both_made(table: MemoryTable, clock: Clock) -> None:
    store, other = of(table, clock), of(MemoryTable(table.table), clock)
    _, key = await store.create(DRAFT, None)
    raced = False

    def before(what: str) -> None:
        nonlocal raced
        if what == "swap" and not raced:
            raced = True
            changing = other.change(key.key_id, lambda known: replace(known, blocked=True))
            with pytest.raises(StopIteration):
                changing.send(None)

    table.before = before
    await store.change(key.key_id, lambda known: replace(known, tags=("x",)))
    found = await store.get(key.key_id)
    assert (found.blocked, found.tags) == (True, ("x",))


async def test_another_key_takes_the_place_of_the_old_one(store: KeyStore) -> None:
    secret, key = await store.create(DRAFT, None)
    renewed, new, old = await store.regenerate(key.key_id, None, same)
    assert await store.find(hash_of(secret)) is None
    assert await store.find(hash_of(renewed)) == new
    assert (new.key_id, new.alias, old) == (key.key_id, "team", hash_of(secret))


async def test_a_deleted_key_leaves_a_note_for_a_while_and_then_nothing(store: KeyStore, table: MemoryTable) -> None:
    _, key = await store.create(DRAFT, None)
    await store.delete(key.key_id)
    assert {row.partition for row in table.all} == {key_changes.NOTES}
    await key_changes.clean(table, 1000.0 + key_changes.NOTE_S)
    assert table.all == []
    with pytest.raises(NotFound):
        await store.delete(key.key_id)


async def test_keys_are_listed_page_by_page(store: KeyStore) -> None:
    made = [(await store.create(replace(DRAFT, alias=""), None))[1].key_id for _ in range(5)]
    first = await store.page(3)
    rest = await store.page(3, first[-1].key_id)
    assert [key.key_id for key in (*first, *rest)] == sorted(made)


Work = Callable[[KeyStore], Awaitable[object]]
ID = "key_" + (1).to_bytes(12, "big").hex()
WORKS: dict[str, Work] = {
    "create": lambda store: store.create(replace(DRAFT, alias="second"), "sk-another-chosen-key"),
    "change": lambda store: store.change(ID, lambda key: replace(key, alias="changed", blocked=True)),
    "regenerate": lambda store: store.regenerate(ID, "sk-regenerated-key", same),
    "delete": lambda store: store.delete(ID),
}


def consistent(table: MemoryTable, clock: Clock) -> Awaitable[None]:
    """No key works that cannot be found."""

    async def check() -> None:
        store = of(MemoryTable(table.table), clock)
        listed = {key.key_id: key for key in await store.page(1000)}
        for row in [row for row in table.all if row.partition.startswith("hash_")]:
            works = await store.find(row.key)
            assert works is None or listed[works.key_id] == works

    return check()


@pytest.mark.parametrize("name", WORKS)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_kill_at_any_write_leaves_no_key_that_cannot_be_found(clock: Clock, name: str, when: str) -> None:
    for nth in itertools.count(1):
        table = MemoryTable(Rows())
        await of(table, clock).create(DRAFT, SECRET)
        calls = itertools.count(1)

        def kill(what: str, nth: int = nth, calls: itertools.count[int] = calls) -> None:
            if next(calls) == nth:
                raise Killed

        setattr(table, when, kill)
        try:
            await WORKS[name](of(table, clock, 100 + nth))
        except Killed:
            setattr(table, when, lambda what: None)
        else:
            assert nth > 2
            break
        await consistent(table, clock)
        clock.at += CLAIM_S
        with suppress(BadRequest, NotFound):  # it was done, and says so
            await WORKS[name](of(table, clock, 200 + nth))
        await consistent(table, clock)
        assert await outcome(table, clock, name)


async def outcome(table: MemoryTable, clock: Clock, name: str) -> bool:
    """Whether it is as it should be when the work was done."""
    store = of(MemoryTable(table.table), clock)
    first = await store.find(hash_of(SECRET))
    if name == "create":
        made = await store.find(hash_of("sk-another-chosen-key"))
        return made is not None and made.alias == "second" and first is not None
    if name == "change":
        return first is not None and first.blocked and await store.id_of_alias("changed") == ID
    renewed = await store.find(hash_of("sk-regenerated-key"))
    return first is None and (renewed is not None) == (name == "regenerate")


@pytest.mark.parametrize("name", WORKS)
async def test_a_lost_acknowledgement_is_no_second_change(clock: Clock, name: str) -> None:
    """The library repeats what was not acknowledged, and then finds its own write."""
    table = MemoryTable(Rows())
    await of(table, clock).create(DRAFT, SECRET)
    insert, swap = table.insert, table.swap

    async def insert_twice(row: object) -> str | None:
        await insert(row)  # type: ignore[arg-type]
        return await insert(row)  # type: ignore[arg-type]

    async def swap_twice(row: object, etag: str) -> str | None:
        await swap(row, etag)  # type: ignore[arg-type]
        return await swap(row, etag)  # type: ignore[arg-type]

    table.insert = insert_twice  # type: ignore[method-assign]
    clock.at += CLAIM_S
    if name != "create":
        table.insert = insert  # type: ignore[method-assign]
        calls = itertools.count(1)

        async def swap_once(row: object, etag: str) -> str | None:
            return await (swap_twice if next(calls) == 1 else swap)(row, etag)  # type: ignore[arg-type]

        table.swap = swap_once  # type: ignore[method-assign]
    await WORKS[name](of(table, clock, 100))
    assert await outcome(table, clock, name)


async def test_storage_that_is_gone_is_said_to_be(store: KeyStore, table: MemoryTable) -> None:
    table.failures = 1
    with pytest.raises(StorageFailed):
        await store.find(hash_of(SECRET))
