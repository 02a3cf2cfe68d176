"""A batch and its key's budget: what it may cost is set aside when it is created, or it is a 402."""

from __future__ import annotations

from typing import Any

import pytest

from shared import config
from shared.batches import budget, wired
from shared.batches.document import Batch
from shared.batches.driver import ORPHAN_S
from shared.batches.service import Asked, Batches
from shared.callers.key_store import KeyStore
from shared.callers.keys import Keys
from shared.callers.virtual_key import VirtualKey
from shared.config.pricing import PICO
from shared.errors import BudgetExceeded, Conflict, StorageFailed
from shared.files.files import Files
from shared.files.identity import Owner
from shared.files.store import FileStore, Storage
from shared.files.stored_file import StoredFile
from shared.ids import CallIds
from shared.routing.router import Router
from shared.upstream.client import UpstreamClient
from shared.upstream.credentials import api_key
from shared.upstream.deployment import deployment_of
from shared.upstream.endpoint import of_entry
from shared.upstream.transport import create_transport
from tests.batches.world import CONFIG, SEALER, Killed, World, deployments
from tests.files.resources import Resources
from tests.memory_blobs import MemoryBlobs
from tests.memory_table import MemoryTable


async def keyed_world(max_budget: int | None = 1000) -> World:
    world = World()
    store = KeyStore(MemoryTable(world.key_rows), lambda: world.now, world.random_bytes)
    _, world.key = await store.create(
        VirtualKey("", "", "", world.now, world.now, max_budget=max_budget, budget_from=world.now), None
    )
    return world


class Struck:
    """Ends or fails the n-th request to storage."""

    def __init__(self, at: int, error: type[BaseException], when: str) -> None:
        self.at, self.error, self.when = at, error, when
        self.count = 0

    def before(self, what: str) -> None:
        self.count += 1
        if self.when == "before":
            self._strike()

    def after(self, what: str) -> None:
        if self.when == "after":
            self._strike()

    def _strike(self) -> None:
        if self.count == self.at or (self.error is Killed and self.count > self.at > 0):
            raise self.error("down")


def batches(world: World, struck: Struck | None = None) -> Batches:
    """Batches as an instance has them that can only create: no resource is reached."""
    hit = struck or Struck(0, StorageFailed, "before")

    def table(rows: Any) -> MemoryTable:
        return MemoryTable(rows, hit.before, hit.after)

    parsed = config.parse(CONFIG, {})
    store = FileStore(
        Storage(table(world.rows), MemoryBlobs()), world.supervisor, lambda: world.now, world.random_bytes
    )
    keys = Keys(
        table(world.key_rows), world.supervisor, lambda: world.now, lambda: world.now, instance="i", reserve_max=1
    )
    made = wired.batches(
        table(world.rows),
        table(world.ledger_rows),
        Files(store, Resources(), deployments),
        Router(
            parsed,
            lambda match: deployment_of(match, of_entry(match.entry)[0], api_key("k", bearer=False)),
            lambda: world.now,
            lambda: 0.5,
        ),
        UpstreamClient(create_transport(1), lambda: create_transport(1)),
        CallIds("i", lambda: world.now),
        SEALER,
        parsed,
        keys,
    )
    made._start = lambda batch_id: None  # type: ignore[method-assign]
    return made


def asked(world: World, cost_usd: float | None = 600 / PICO, key: str = "", **notes: Any) -> Asked:
    assert world.key is not None
    owner = Owner(world.key.key_id)
    told = {"requests": 1, "cost_usd": cost_usd, **notes}
    file = StoredFile("file-" + "0" * 32, owner.key_id, "a.jsonl", "batch", 4000, 0, notes=told)
    return Asked(owner, file, "/v1/chat/completions", "m", split=False, key=world.key, idempotency_key=key)


def kept(world: World) -> dict[str, int]:
    return {task: one.held for task, one in world.shares().tasks.items()}


def opened(world: World) -> list[str]:
    return [key for partition, key in world.rows.kept if partition == "open"]


async def loaded(world: World, batch_id: str) -> Batch | None:
    found = await batches(world).means.store.load(batch_id)
    return None if found is None else found[0]


async def test_what_the_check_of_the_file_estimated_is_set_aside() -> None:
    world = await keyed_world()
    batch = await batches(world).create(asked(world))
    assert (kept(world), batch.budgeted) == ({batch.id: 600}, True)


async def test_a_batch_that_the_budget_does_not_carry_is_a_402_and_leaves_nothing() -> None:
    world = await keyed_world()
    first = await batches(world).create(asked(world))
    with pytest.raises(BudgetExceeded) as raised:
        await batches(world).create(asked(world))
    assert (raised.value.status, raised.value.code) == (402, "insufficient_quota")
    assert (list(kept(world)), opened(world)) == ([first.id], [first.name])
    assert len([row for row in world.rows.kept.values() if row.partition.startswith("batch_")]) == 1


@pytest.mark.parametrize(
    ("notes", "amount"),
    [
        ({"cost_usd": None, "prompt_tokens": 2, "completion_tokens": 1}, 2 * 75_000 + 300_000),
        ({"cost_usd": None}, 1000 * 75_000),
        ({"cost_usd": 0.0}, 1),
    ],
)
async def test_without_an_estimate_of_its_cost_one_is_made(notes: dict[str, Any], amount: int) -> None:
    world = await keyed_world(None)
    one = asked(world, **notes)
    assert budget.estimate(batches(world).means, one.file, "m") == amount


async def test_a_batch_of_the_master_key_sets_nothing_aside() -> None:
    world = await keyed_world()
    one = asked(world)
    owner = Owner("master", sees_all=True)
    batch = await batches(world).create(Asked(owner, one.file, one.endpoint, "m", split=False))
    assert (kept(world), batch.budgeted) == ({}, False)


CUTS = [(1, "before"), (1, "after"), (2, "before"), (3, "before"), (3, "after"), (4, "before"), (4, "after")]
"""The entry of `open`, the key's row read and written, the batch."""


@pytest.mark.parametrize("error", [Killed, StorageFailed])
@pytest.mark.parametrize(("at", "when"), CUTS)
async def test_a_creation_that_is_cut_anywhere_holds_nothing_for_ever(
    at: int, when: str, error: type[BaseException]
) -> None:
    world = await keyed_world()
    with pytest.raises(error):
        await batches(world, Struck(at, error, when)).create(asked(world))
    written = [str(row.properties["id"]) for row in world.rows.kept.values() if row.partition.startswith("batch_")]
    assert bool(written) == ((at, when) == CUTS[-1])
    world.now += ORPHAN_S + 1
    for name in opened(world):
        if not written:
            await world.worker().move(f"batch_{name}", world.now + 60)
    assert list(kept(world)) == written
    assert len(opened(world)) == len(written)


async def test_a_repeated_creation_under_an_idempotency_key_sets_aside_once() -> None:
    world = await keyed_world()
    with pytest.raises(StorageFailed):
        await batches(world, Struck(6, StorageFailed, "after")).create(asked(world, key="k"))
    one = await batches(world).create(asked(world, key="k"))
    other = await batches(world).create(asked(world, key="k"))
    assert (one.id, kept(world)) == (other.id, {one.id: 600})
    with pytest.raises(Conflict):
        await batches(world).create(_other(world))


def _other(world: World) -> Asked:
    one = asked(world, key="k")
    return Asked(one.owner, one.file, one.endpoint, "m", split=False, metadata={"a": "b"}, idempotency_key="k")


async def test_a_key_whose_first_request_never_wrote_its_batch_makes_a_new_one_later() -> None:
    world = await keyed_world()
    with pytest.raises(Killed):
        await batches(world, Struck(5, Killed, "after")).create(asked(world, key="k"))
    (name,) = opened(world)
    world.now += ORPHAN_S + 1
    batch = await batches(world).create(asked(world, cost_usd=300 / PICO, key="k"))
    assert batch.name != name
    await world.worker().move(f"batch_{name}", world.now + 60)
    assert (kept(world), opened(world)) == ({batch.id: 300}, [batch.name])
    assert await loaded(world, batch.id) is not None
    again = await batches(world).create(asked(world, key="k"))
    assert again.id == batch.id
