"""Folding records, whatever comes twice, in another order or in other segments."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ids import call_id, entry_id
from shared.spend import places, records, tally
from shared.spend.entry import RANK, STATUSES, Entry, Settlement, closed, fold, given_up, greater
from shared.spend.packing import merged
from shared.storage.tables import Row
from tests.memory_table import MemoryTable, Rows

DAY, INSTANCE = "20260701", "000000000001"
MONEY = st.none() | st.integers(0, 10**15)
USAGE = st.dictionaries(st.sampled_from(["prompt", "completion", "seconds", "image_size"]), st.integers(0, 10**9))


def opened(number: int) -> Entry:
    return Entry(entry_id(call_id(DAY, INSTANCE, number), 1), "chat_completions", "key_1", "m", 1_782_907_200.0)


@st.composite
def record(draw: st.DrawFn) -> Entry:
    """A record of one of three attempts: open, or closed in any way at one of three moments."""
    entry = opened(draw(st.integers(1, 3)))
    status = draw(st.sampled_from(STATUSES))
    if status == "open":
        return entry
    end = Settlement(status, usage=draw(USAGE), cost=draw(MONEY), code=draw(st.sampled_from(["", "a", "b"])))
    return closed(entry, end, entry.started_at + draw(st.integers(1, 3)))


@given(st.data(), st.lists(record(), max_size=12))
def test_no_order_and_no_repetition_changes_what_is_folded(data: st.DataObject, entries: list[Entry]) -> None:
    again = entries + data.draw(st.lists(st.sampled_from(entries)) if entries else st.just([]))
    assert fold(data.draw(st.permutations(again))) == fold(entries)


@given(st.data(), st.lists(record(), max_size=12))
def test_segments_are_folded_as_their_records_are(data: st.DataObject, entries: list[Entry]) -> None:
    cut = data.draw(st.integers(0, len(entries)))
    segments = [fold(entries[:cut]).values(), fold(entries[cut:]).values()]
    assert fold(entry for segment in data.draw(st.permutations(segments)) for entry in segment) == fold(entries)


@given(st.lists(record(), min_size=1, max_size=12))
def test_what_counts_has_the_greatest_status_that_any_record_has(entries: list[Entry]) -> None:
    for attempt, entry in fold(entries).items():
        ranks = [RANK[one.status] for one in entries if one.entry_id == attempt]
        assert RANK[entry.status] == max(ranks)
        assert entry in entries


@given(st.lists(record(), max_size=12))
def test_records_come_back_from_a_row_as_they_were(entries: list[Entry]) -> None:
    row = Row("p", "k", records.properties(b"".join(records.encoded(entries))))
    assert records.entries_of(row) == entries


@given(st.lists(record(), max_size=12))
def test_packing_keeps_what_is_folded(entries: list[Entry]) -> None:
    assert fold(merged(entries)) == fold(entries)


def test_what_an_older_version_wrote_has_the_defaults_and_what_a_newer_one_added_is_passed_over() -> None:
    array = records.unpacked(records.encoded([opened(1)])[0])[0]
    short, long = records.packed([array[:13]])[0], records.packed([[*array, "new"]])[0]
    assert records.decoded(short) == records.decoded(long) == [opened(1)]


@pytest.mark.parametrize("status", STATUSES)
def test_a_late_settle_wins_over_everything(status: Any) -> None:
    late = closed(opened(1), Settlement("settled", cost=7), 1_782_907_300.0)
    other = opened(1) if status == "open" else closed(opened(1), Settlement(status, cost=9), 1_782_907_200.0)
    assert greater(late, other) == greater(other, late) == late


def test_what_was_given_up_costs_what_was_expected_and_never_nothing() -> None:
    entry = Entry(opened(1).entry_id, "images", "k", "m", 5.0, estimate={"images": 2}, reserved=80)
    found = given_up(entry, 400.0)
    assert (found.status, found.cost, found.usage, found.code) == ("unknown", 80, {"images": 2}, "instance_lost")


async def _tally(writes: list[tuple[int, Entry]]) -> Any:
    """The tally of a log whose segments are written so, by their numbers."""
    table = MemoryTable(Rows())
    for sequence, entry in writes:
        properties = records.properties(records.encoded([entry])[0])
        await table.put(Row(places.log_partition(DAY, INSTANCE), places.segment_key(sequence), properties))
    return await tally.tally(table, places.log_partition(DAY, INSTANCE))


@given(st.data(), st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=8))
def test_segments_that_arrive_twice_or_late_are_counted_once(
    data: st.DataObject, attempts: list[tuple[int, bool]]
) -> None:
    log = [opened(number + 10 * at) for at, (number, _) in enumerate(attempts)]
    log += [
        closed(entry, Settlement("settled", cost=3), 1.8e9)
        for entry, (_, ends) in zip(log, attempts, strict=True)
        if ends
    ]
    writes = list(enumerate(log, start=1))
    again = data.draw(st.permutations(writes + data.draw(st.lists(st.sampled_from(writes)) if writes else st.just([]))))
    straight, other = asyncio.run(_tally(writes)), asyncio.run(_tally(list(again)))
    assert other == straight
    assert sum(one.attempts for _, one in straight.sums) == sum(ends for _, ends in attempts)
    assert len(straight.open) == sum(not ends for _, ends in attempts)
