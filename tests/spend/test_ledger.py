"""What the ledger promises, one fact each; whatever may happen is in test_ledger_states."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest

from shared.errors import StorageFailed
from shared.spend import housekeeping, outside, packing, places, records, sweep, tally
from shared.spend import ledger as ledgers
from shared.spend.entry import Settlement, closed
from shared.spend.ledger import Handle
from shared.spend.outside import settle_late
from shared.spend.records import entries_of
from shared.spend.segments import GIVE_WAY_S, Batch
from shared.storage.tables import Row
from tests.memory_table import MemoryTable
from tests.spend.world import NOON, Fate, Instance, Killed, World, settled

UNKNOWN = Settlement("unknown", cost=5)
FREE = Settlement("failed", cost=0)


@pytest.fixture
def world() -> World:
    return World()


async def give_up(world: World) -> None:
    """The timer finds out that those who do not beat are dead."""
    for pause_s in (400.0, 61.0, 61.0):
        world.now += pause_s
        await world.sweep()


async def statuses(world: World) -> list[tuple[str, int | None]]:
    return [(entry.status, entry.cost) for entry in await world.listed()]


async def spent(world: World) -> tuple[int, int]:
    """Attempts and picodollars of the totals."""
    sums = await world.totals()
    return sum(one.attempts for _, one in sums), sum(one.cost for _, one in sums)


async def committed(instance: Instance, **values: Any) -> Handle:
    handle = instance.open(**values)
    await instance.run()
    assert handle.opened is not None
    assert handle.opened.committed
    return handle


async def test_what_opens_and_settles_between_two_writes_is_one_record(world: World) -> None:
    one = world.start()
    one.open().settle(settled())
    await one.run()
    [row] = [row for row in world.ledger.kept.values() if row.partition != places.HEARTBEATS]
    assert [(entry.status, entry.continued) for entry in entries_of(row)] == [("settled", False)]


async def test_the_first_settle_counts(world: World) -> None:
    one = world.start()
    handle = await committed(one)
    assert handle.settle(settled(1))
    assert not handle.settle(settled(2))
    await one.run()
    assert await statuses(world) == [("settled", 1)]


async def test_a_dead_instance_leaves_its_attempts_unknown_with_their_estimate(world: World) -> None:
    one = world.start()
    await committed(one)
    await one.die()
    await give_up(world)
    assert (await statuses(world), await spent(world)) == ([("unknown", 900)], (1, 900))


async def test_one_that_only_stood_still_settles_what_was_given_up(world: World) -> None:
    one = world.start()
    handle = await committed(one)
    await give_up(world)
    assert await statuses(world) == [("unknown", 900)]
    await one.beat()
    assert handle.settle(settled(77))
    await one.run()
    await one.die()
    await world.settle_down()
    assert (await statuses(world), await spent(world)) == ([("settled", 77)], (1, 77))


async def test_what_was_settled_elsewhere_is_closed_here_and_counted_once(world: World) -> None:
    one = world.start()
    handle = await committed(one)
    entry = closed(handle.entry, settled(42), world.now + 1)
    await settle_late(world.tables(Fate())[0], entry)
    world.now += housekeeping.ADOPT_AFTER_S + 1
    await one.rounds()
    assert await spent(world) == (1, 42)
    assert not handle.settle(settled(1))
    await one.die()
    await world.settle_down()
    assert (await statuses(world), await spent(world)) == ([("settled", 42)], (1, 42))


async def test_an_attempt_that_nobody_settles_is_given_up_in_the_end(world: World) -> None:
    one = world.start()
    await committed(one)
    day = places.day_of(world.now)
    world.now += housekeeping.GIVE_UP_S + 1
    await one.beat()
    await one.run()
    assert await statuses(world) == [("unknown", 900)]
    await one.rounds()
    await one.beat()
    assert one.ledger.house is not None
    assert day not in one.ledger.house.heartbeat.days


async def test_a_sweep_that_dies_while_it_closes_leaves_nothing_open(world: World) -> None:
    """Also what came into the log between its two tries: the second must not take its rows for those of the first."""
    one = world.start()
    await committed(one)
    late = one.entry()
    await one.die()
    world.now += 400
    await world.sweep()
    world.now += 61
    for kill_at in range(20):
        with suppress(Killed):
            await world.sweep(Fate(kill_at, after=True))
        if any(row.key.startswith(outside.CLOSED) for row in world.ledger.kept.values()):
            break
    await put_segment(world, one, 2, late)
    await world.settle_down()
    assert await statuses(world) == [("unknown", 900)] * 2
    assert await spent(world) == (2, 1800)


async def put_segment(world: World, instance: Instance, sequence: int, *entries: Any) -> None:
    """Writes a segment of an instance that died right then."""
    partition = places.log_partition(places.day_of(NOON), instance.name)
    [payload] = records.encoded(entries)
    await MemoryTable(world.ledger).put(Row(partition, places.segment_key(sequence), records.properties(payload)))


@pytest.mark.parametrize("hours", [0.005, 30])
async def test_a_segment_that_lands_after_its_instance_was_counted_is_counted_too(world: World, hours: float) -> None:
    one = world.start()
    await committed(one)
    late, end = one.entry(), settled(5)
    await one.die()
    await give_up(world)
    await put_segment(world, one, 2, late, closed(one.entry(), end, world.now))
    world.now += hours * 3600
    await world.settle_down()
    assert sorted(await statuses(world)) == [("settled", 5), ("unknown", 900), ("unknown", 900)]
    assert await spent(world) == (3, 1805)


async def test_packing_hides_nothing_from_who_counts_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tally, packing):
        monkeypatch.setattr(module, "PAGE_ROWS", 2)
    one = world.start()
    for _ in range(5):
        (await committed(one)).settle(settled())
        await one.run()
    await one.die()
    await give_up(world)
    partition = places.log_partition(places.day_of(NOON), one.name)
    table = MemoryTable(world.ledger)
    last = max(row.key for row in table.all if row.partition == partition)
    seen = [row async for row in counting(table, partition, last, world)]
    assert sum(not entry.is_open for row in seen for entry in entries_of(row)) == 5
    assert not await packing.pack(table, partition, last, world.now)
    assert await packing.pack(table, partition, last, world.now + 61)
    assert len([row for row in table.all if row.partition == partition]) == 1


async def counting(table: MemoryTable, partition: str, last: str, world: World) -> Any:
    """The segments as a reader has them who is overtaken by a packing behind the first page."""
    number = 0
    async for row in tally.segments(table, partition):
        yield row
        number += 1
        if number == 2:
            await packing.pack(table, partition, last, world.now)


async def test_an_attempt_without_a_record_of_its_own_is_listed_once_however_often_it_is_settled(world: World) -> None:
    one = world.start()
    entry = one.entry()
    await one.die()
    table, _ = world.tables(Fate())
    for settlement in (UNKNOWN, FREE, settled(9)):
        await settle_late(table, closed(entry, settlement, world.now))
        world.now += 61
        await world.sweep()
    await world.settle_down()
    assert (await statuses(world), await spent(world)) == ([("settled", 9)], (1, 9))


async def test_of_two_settlements_of_one_status_the_list_and_the_totals_say_the_same(world: World) -> None:
    one = world.start()
    handle = await committed(one)
    await settle_late(world.tables(Fate())[0], closed(handle.entry, settled(1), world.now + 1))
    world.now += 2
    handle.settle(settled(2))
    await one.run()
    await one.die()
    await world.settle_down()
    assert (await statuses(world), await spent(world)) == ([("settled", 2)], (1, 2))


async def test_no_text_of_a_caller_stops_the_log(world: World) -> None:
    one = world.start()
    size = "".join(chr(0x4E00 + number % 20_000) for number in range(2_000_000))
    usage = {"prompt": 2**70, "image_size": size, "seconds": float("nan")}
    handle = one.open(estimate=usage, key_alias=size, model=size, deployment_id=size, key_id="\ud800")
    handle.settle(Settlement("settled", usage=usage, cost=2**70))
    await one.run()
    assert handle.settled is not None
    assert handle.settled.committed
    await one.write_totals()
    assert all(len(repr(row.properties)) < 100_000 for row in world.ledger.kept.values())


async def test_a_writer_that_could_not_start_is_started_by_the_next_beat(world: World) -> None:
    one = world.start()
    await committed(one)
    one.supervisor.tasks_max = 0
    handle = one.open()
    await one.run()
    assert handle.opened is not None
    assert not handle.opened.committed
    one.supervisor.tasks_max = 100
    await one.beat()
    await one.run()
    assert handle.opened.committed


async def test_storage_that_does_not_answer_is_waited_for_a_moment_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "OUTAGE_S", 0.02)
    one = world.start()
    one.fate.hold_at, one.fate.after = 0, False
    one.open()
    await asyncio.sleep(0.03)
    started = asyncio.get_running_loop().time()
    handle = one.open()
    await handle.before_reply()
    assert asyncio.get_running_loop().time() - started < ledgers.REPLY_WAIT_S / 2
    assert (handle.buffered, one.ledger.state) == (True, "buffering")
    one.fate.go_on()


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("writing", [True, False])
async def test_a_reply_waits_for_the_records_of_others_only_while_they_are_under_way(
    world: World, answered: bool, writing: bool
) -> None:
    one = world.start(interval_s=100.0, sleep=asyncio.sleep)
    other = one.open()
    await asyncio.sleep(3 * GIVE_WAY_S)
    await one.run(5 if writing else 40)
    handle = one.open()
    await one.run(0 if writing else 40)
    if answered:
        other.settle(settled())
    handle.settle(settled())
    await handle.before_reply()
    assert handle.buffered == (not answered)


async def test_a_loop_that_stood_still_itself_waits_on_for_storage() -> None:
    batch = Batch()
    batch.left = 1
    waiting = asyncio.ensure_future(batch.wait(0.05))
    await asyncio.sleep(0)
    time.sleep(0.1)  # noqa: ASYNC251
    await asyncio.sleep(0.005)
    batch.written()
    assert await waiting
    assert batch.committed


async def test_a_batch_is_waited_for_no_longer_than_it_may_and_by_many() -> None:
    batch = Batch()
    batch.left = 2
    started = asyncio.get_running_loop().time()
    waiting = asyncio.gather(*(batch.wait(0.05) for _ in range(3)))
    given_up = asyncio.ensure_future(batch.wait(10.0))
    await asyncio.sleep(0)
    batch.written()
    given_up.cancel()
    assert await waiting == [False] * 3
    assert asyncio.get_running_loop().time() - started >= 0.05
    batch.written()
    assert await batch.wait(0.0)


async def test_a_sweep_with_nothing_to_do_asks_for_little(world: World) -> None:
    one = world.start()
    await committed(one)
    table, spend = MemoryTable(world.ledger), MemoryTable(world.spend)
    await sweep.Sweep(table, spend, world.clock, lambda: 0.0, days_kept=400).run()
    assert (table.calls, spend.calls) == ({"scan": 1}, {})


async def test_what_is_old_is_removed_once_an_hour(world: World) -> None:
    one = world.start()
    (await committed(one)).settle(settled())
    await one.run()
    await one.die()
    await world.settle_down()
    world.now = NOON + 3 * places.DAY_S
    await world.sweep(days_kept=1)
    assert len(await world.listed()) == 1
    world.now += 60 * sweep.RETENTION_MINUTE
    await world.sweep(days_kept=1)
    assert (await world.listed(), await spent(world)) == ([], (0, 0))


async def test_a_sweep_stops_in_time_and_the_next_goes_on(world: World) -> None:
    for _ in range(3):
        await committed(world.start())
    world.now += 400
    await world.sweep()
    world.now += 61
    table, spend = world.tables(Fate())
    ticks = iter(range(0, 1000, 10))
    done = 0
    for _ in range(10):
        done += (await sweep.Sweep(table, spend, world.clock, lambda: float(next(ticks)), days_kept=400).run()).dead
    assert done == 3


async def test_storage_that_fails_while_it_sweeps_is_told(world: World) -> None:
    with pytest.raises(StorageFailed):
        await world.sweep(Fate(down=True))
