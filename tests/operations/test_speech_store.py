"""What is kept of speech: for whom, for how long, found by which request, and deleted when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import NotFound, StorageFailed, Unavailable
from shared.operations import speech_store
from shared.operations.speech_store import Kept, Recording, SpeechStore
from shared.seal import Seal, Sealer, tag
from shared.storage.blobs import About, StoredBlob
from shared.supervisor import Supervisor

SEALER = Sealer(["secret"])
ANN, BEN = Seal(SEALER, tag("ann")), Seal(SEALER, tag("ben"))
MASTER = Seal(SEALER, tag("master"), sees_all=True)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass
class Memory:
    """Blobs in memory. `down`: every call fails; `hangs`: it never ends."""

    blobs: dict[str, tuple[bytes, About]] = field(default_factory=dict)
    down: bool = False
    hangs: bool = False

    async def _ready(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.down:
            raise StorageFailed("The storage account does not answer.")

    async def put(self, name: str, data: bytes, about: About) -> None:
        await self._ready()
        self.blobs[name] = data, about

    async def stage(self, name: str, block_id: str, data: bytes) -> None:
        await self._ready()

    async def commit(self, name: str, block_ids: Sequence[str], about: About) -> None:
        await self._ready()

    async def open(self, name: str, start: int = 0, length: int | None = None) -> StoredBlob | None:
        await self._ready()
        if name not in self.blobs:
            return None
        data, about = self.blobs[name]
        start = max(0, len(data) + start) if start < 0 else start
        part = data[start:] if length is None else data[start : start + length]

        async def chunks() -> AsyncIterator[bytes]:
            yield part

        return StoredBlob(about, len(data), start, len(part), chunks)

    async def delete(self, name: str) -> None:
        await self._ready()
        self.blobs.pop(name, None)

    async def first_names(self, count: int) -> list[str]:
        await self._ready()
        return sorted(self.blobs)[:count]

    async def close(self) -> None:
        self.blobs.clear()


class World:
    """A store over blobs in memory, with a clock that a test moves."""

    def __init__(self, days: int = 7) -> None:
        self.now = NOON
        self.memory = Memory()
        self.supervisor = Supervisor()
        self.store = SpeechStore(self.memory, self.supervisor, lambda: self.now.timestamp(), days)

    async def keep(self, seal: Seal = ANN, key: str | None = None, audio: bytes = b"audio") -> str:
        """Records `audio` and gives its id."""
        recording = self.store.record(seal, key)
        assert isinstance(recording, Recording)
        recording.content_type = "audio/mpeg"
        recording.recorder.feed(audio)
        recording.recorder.finish()
        assert await recording.recorder.wait(1)
        await asyncio.sleep(0)
        return recording.id

    async def bytes_of(self, kept: Kept | None) -> bytes:
        assert kept is not None
        return b"".join([piece async for piece in self.store.chunks(kept)])


@pytest.fixture
def world() -> World:
    return World()


async def test_audio_lies_in_its_owners_folder_below_its_last_day(world: World) -> None:
    await world.keep()
    [name] = world.memory.blobs
    day, owner, _ = name.split("/")
    assert (day, owner) == ("20261130", ANN.owner.hex())
    _, about = world.memory.blobs[name]
    assert about == About("audio/mpeg", {"v": "1", "created": str(int(NOON.timestamp()))})


async def test_an_id_gives_its_audio_to_its_owner_and_to_the_master_key(world: World) -> None:
    speech_id = await world.keep(ANN)
    for seal in (ANN, MASTER):
        assert await world.bytes_of(await world.store.open(seal, speech_id)) == b"audio"
    with pytest.raises(NotFound):
        await world.store.open(BEN, speech_id)


async def test_a_sealed_id_of_another_kind_opens_nothing(world: World) -> None:
    speech_id = await world.keep()
    [name] = world.memory.blobs
    for other in (ANN.id("resp_1", tag("res_1")), ANN.id(f"speech_{name}", tag("res_1")), speech_id[:-2]):
        with pytest.raises(NotFound):
            await world.store.open(ANN, other)


async def test_a_request_finds_what_answered_it_before_and_nobody_elses(world: World) -> None:
    speech_id = await world.keep(key="k1")
    found = await world.store.find(ANN, "k1")
    assert await world.bytes_of(found) == b"audio"
    assert found is not None
    assert found.id == speech_id
    assert await world.store.find(ANN, "k2") is None
    assert await world.store.find(BEN, "k1") is None


async def test_each_id_keeps_its_own_audio_when_the_same_was_made_twice(world: World) -> None:
    first = await world.keep(key="k", audio=b"first")
    second = await world.keep(key="k", audio=b"second")
    assert await world.bytes_of(await world.store.open(ANN, first)) == b"first"
    assert await world.bytes_of(await world.store.open(ANN, second)) == b"second"
    assert await world.bytes_of(await world.store.find(ANN, "k")) == b"second"


@pytest.mark.parametrize("days", [1, 7, 30])
@pytest.mark.parametrize("start", range(0, 31, 5))
async def test_speech_is_kept_for_its_days_and_not_a_second_longer(days: int, start: int) -> None:
    world = World(days)
    world.now = made = NOON + timedelta(days=start)
    speech_id = await world.keep(key="k")
    for passed in (timedelta(0), timedelta(days=days / 2), timedelta(days=days, seconds=-1)):
        world.now = made + passed
        await world.store.sweep()
        assert await world.bytes_of(await world.store.open(ANN, speech_id)) == b"audio"
        assert await world.bytes_of(await world.store.find(ANN, "k")) == b"audio"
    world.now = made + timedelta(days=days)
    assert await world.store.find(ANN, "k") is None
    with pytest.raises(NotFound):
        await world.store.open(ANN, speech_id)


@pytest.mark.parametrize("days", [1, 7, 30])
async def test_everything_is_deleted_in_the_end(days: int) -> None:
    world = World(days)
    await world.keep(key="k")
    world.now += timedelta(days=2 * days + 1)
    assert await world.store.sweep() == 2
    assert world.memory.blobs == {}


async def test_a_sweep_deletes_a_bounded_number_and_the_oldest_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_store, "SWEEP_NAMES_MAX", 3)
    for _ in range(4):
        await world.keep()
    world.now += timedelta(days=1)
    young = await world.keep()
    world.now += timedelta(days=7)
    assert [await world.store.sweep() for _ in range(3)] == [3, 1, 0]
    assert len(world.memory.blobs) == 1
    world.now -= timedelta(hours=13)
    assert await world.bytes_of(await world.store.open(ANN, young)) == b"audio"


async def test_what_is_old_is_deleted_in_one_minute_of_every_hour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_store, "SWEEP_NAMES_MAX", 2)
    for _ in range(5):
        await world.keep()
    world.now = world.now.replace(minute=speech_store.SWEEP_MINUTE - 1) + timedelta(days=9)
    assert await world.store.sweep_hourly() == 0
    world.now += timedelta(minutes=1)
    assert await world.store.sweep_hourly() == 5
    assert world.memory.blobs == {}


async def test_less_retention_ends_what_was_promised_longer(world: World) -> None:
    speech_id = await world.keep(key="k")
    shorter = SpeechStore(world.memory, world.supervisor, lambda: world.now.timestamp(), 2)
    world.now += timedelta(days=3)
    with pytest.raises(NotFound):
        await shorter.open(ANN, speech_id)


async def test_storage_that_hangs_or_fails_has_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_store, "LOOKUP_S", 0.02)
    await world.keep(key="k")
    world.memory.down = True
    assert await world.store.find(ANN, "k") is None
    world.memory.hangs = True
    assert await world.store.find(ANN, "k") is None


async def test_an_id_is_a_503_while_storage_is_down(world: World) -> None:
    speech_id = await world.keep()
    world.memory.down = True
    with pytest.raises(StorageFailed):
        await world.store.open(ANN, speech_id)


@pytest.mark.parametrize(
    ("start", "length", "part"), [(0, None, b"audio"), (1, 2, b"ud"), (3, 9, b"io"), (-2, None, b"io"), (5, None, b"")]
)
async def test_a_part_may_be_opened(world: World, start: int, length: int | None, part: bytes) -> None:
    kept = await world.store.open(ANN, await world.keep(), start, length)
    assert await world.bytes_of(kept) == part


async def test_so_many_read_at_once_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_store, "READERS_MAX", 1)
    speech_id = await world.keep(key="k")
    reading = world.store.chunks(await world.store.open(ANN, speech_id))
    assert await anext(reading) == b"audio"
    with pytest.raises(Unavailable):
        await world.store.open(ANN, speech_id)
    assert await world.store.find(ANN, "k") is None
    assert [piece async for piece in reading] == []
    assert await world.store.find(ANN, "k") is not None


@pytest.mark.parametrize(("memory", "days"), [(None, 7), (Memory(), 0)], ids=["no account", "no retention"])
async def test_where_nothing_is_kept_nothing_is_found(memory: Memory | None, days: int) -> None:
    store = SpeechStore(memory, Supervisor(), lambda: 0.0, days)
    assert store.record(ANN) is None
    assert await store.find(ANN, "k") is None
    assert await store.sweep() == 0
    with pytest.raises(NotFound):
        await store.open(ANN, ANN.id("speech_x", tag("spillway-speech")))
