"""Results of a shard, piece by piece: the same bytes, entries and shard, whoever reads them, however they are cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.batches.document import Mark, Shard, key_of
from shared.batches.lines import Asked
from shared.batches.machine import EXPIRED, NO_RESULT
from shared.batches.reading import Piece, Reader, Requests, Results
from shared.batches.results import Ids, id_of
from shared.seal import Seal, tag
from shared.spend.pricing import Charge
from shared.usage.usage import Usage
from tests.batches.azure import COMPLETION, PROMPT, answer
from tests.batches.test_machine import NOW, batch
from tests.batches.world import SEALER, names

FIRST = 100
ASKED = [(FIRST + number, Asked(one, 7)) for number, one in enumerate(names(9))]


def charged(usage: Usage) -> Charge:
    return Charge(usage.prompt + 100 * usage.completion, "test", "gpt")


def reader(rounds: int = 0, **more: Any) -> Reader:
    one = replace(batch(endpoint="/v1/chat/completions", rounds=rounds), **more)
    return Reader(one, Requests.of(ASKED), charged, Ids(Seal(SEALER, tag("ann")), b""))


def shard(**more: Any) -> Shard:
    made = Shard(key_of(FIRST), FIRST, 0, 1000, lines=9, state="downloading", deployment="d", label="d", job="b",
                 since=NOW, code=NO_RESULT, message="none", mark=Mark(seen=bytes(2), again=bytes(2)))  # fmt: skip
    return replace(made, **more)


def read(lines: Sequence[bytes], one: Reader | None = None, start: Shard | None = None) -> Piece:
    piece = Results(one or reader(), start or shard())
    for line in lines:
        piece.take(line)
    return piece.end(500)


def results(words: dict[str, Any] | None = None) -> list[bytes]:
    words = words or {}
    return [orjson.dumps(answer(one, words.get(one, "ok"), "dep")) for one in names(9)]


def ids(data: bytes) -> list[str]:
    return [orjson.loads(one)["custom_id"] for one in data.splitlines()]


def test_results_stand_in_the_order_of_the_requests_with_their_ids_and_prices() -> None:
    piece = read(results()[::-1])
    assert (ids(piece.output), piece.error) == (names(9), b"")
    assert [orjson.loads(one)["id"] for one in piece.output.splitlines()] == [
        id_of(batch().id, FIRST + number) for number in range(9)
    ]
    cost = PROMPT + 100 * COMPLETION
    assert [(one.status, one.cost) for one in piece.entries] == [("settled", cost)] * 9
    assert (piece.shard.completed, piece.shard.cost, piece.shard.prompt_tokens) == (9, 9 * cost, 9 * PROMPT)
    assert (piece.shard.chunks, piece.shard.output_blocks, piece.shard.error_blocks) == (1, 1, 0)
    assert piece.shard.mark.at == 500


def test_what_stands_there_twice_or_belongs_to_nobody_or_is_no_line_is_passed_over() -> None:
    foreign = orjson.dumps(answer("stranger", "ok", "dep"))
    piece = read([*results()[:2], *results()[:2], foreign, b"", b"{", b"[]"])
    assert (ids(piece.output), len(piece.entries), piece.shard.failed) == (names(2), 2, 0)
    again = read(results()[:2], start=piece.shard)
    assert (again.output, again.entries, again.shard.chunks) == (b"", [], 1)


def test_only_passing_failures_are_resubmitted_and_none_in_the_last_round() -> None:
    words = {"task-0": 429, "task-1": 500, "task-2": 400, "task-3": "expired"}
    piece = read(results(words), reader(rounds=1))
    assert (ids(piece.error), ids(piece.output)) == (["task-2"], names(9)[4:])
    picked = reader(rounds=1).picked(piece.shard)
    assert picked is not None
    assert [number for number in range(FIRST, FIRST + 20) if picked.has(number)] == [FIRST, FIRST + 1, FIRST + 3]
    last = read(results(words), reader(rounds=1), shard(round=1))
    assert (ids(last.error), last.shard.expired) == (names(4), 1)
    assert reader(rounds=1).picked(last.shard) is None


@pytest.mark.parametrize("times", [{"cancelling_at": NOW}, {"broken_at": NOW}])
def test_a_batch_that_is_to_end_resubmits_nothing(times: dict[str, float]) -> None:
    piece = read(results({"task-0": 429}), reader(rounds=1, times=times))
    assert ids(piece.error) == ["task-0"]


def test_a_double_is_priced_and_not_told() -> None:
    piece = read(results({"task-0": 429}), reader(rounds=1), shard(key=key_of(FIRST, 0, 1), stray=True))
    assert (piece.output, piece.error) == (b"", b"")
    assert [one.status for one in piece.entries] == ["failed"] + ["settled"] * 8
    assert {one.entry_id for one in piece.entries}.isdisjoint(one.entry_id for one in read(results()).entries)


def test_a_prompt_that_the_filter_refused_is_billed_with_its_estimate() -> None:
    body = {"error": {"code": "content_filter", "message": "no"}}
    line = {"custom_id": "task-0", "response": {"status_code": 400, "body": body}, "error": None}
    (entry,) = read([orjson.dumps(line)]).entries
    assert (entry.status, entry.cost, entry.usage["source"]) == ("settled", 7, "estimated")


def test_an_answer_that_tells_no_usage_is_entered_as_unknown() -> None:
    line = {"custom_id": "task-0", "response": {"status_code": 200, "body": {"model": "x"}}, "error": None}
    piece = read([orjson.dumps(line)])
    assert ([(one.status, one.cost) for one in piece.entries], piece.shard.completed) == ([("unknown", 7)], 1)


def test_requests_without_a_result_are_told_and_entered_where_they_may_have_run() -> None:
    seen = read(results()[:7]).shard
    one = reader()
    assert [asked.custom_id for _, asked in one.unseen(seen, 0, 100)] == ["task-7", "task-8"]
    assert one.unseen(seen, 0, 7) == []
    piece = one.rest(seen, one.unseen(seen, 0, 100), 0, 9)
    assert (ids(piece.error), [entry.status for entry in piece.entries]) == (["task-7", "task-8"], ["unknown"] * 2)
    expired = one.rest(replace(seen, code=EXPIRED), one.unseen(seen, 0, 100), 0, 9)
    assert (expired.entries, expired.shard.expired) == ([], 2)
    never_made = one.rest(replace(seen, job=""), one.unseen(seen, 0, 100), 0, 9)
    assert never_made.entries == []


WORDS = st.dictionaries(st.sampled_from(names(9)), st.sampled_from(["ok", 429, 400, "expired"]), max_size=6)


@given(
    words=WORDS, order=st.permutations(range(9)), cuts=st.lists(st.integers(0, 9), max_size=3), rounds=st.integers(0, 1)
)
def test_however_results_come_and_are_cut_each_is_told_and_entered_once(
    words: dict[str, Any], order: list[int], cuts: list[int], rounds: int
) -> None:
    lines = [results(words)[number] for number in order]
    whole = read(lines, reader(rounds))
    bounds = [0, *sorted(cuts), 9]
    now, told, entries = shard(), [], []
    for begin, end in pairwise(bounds):
        piece = read(lines[begin:end], reader(rounds), now)
        now = piece.shard
        told += ids(piece.output) + ids(piece.error)
        entries += piece.entries
    assert sorted(told) == sorted(ids(whole.output) + ids(whole.error))
    assert sorted(one.entry_id for one in entries) == sorted(one.entry_id for one in whole.entries)
    assert (now.cost, now.mark, now.completed, now.failed) == (
        whole.shard.cost, whole.shard.mark, whole.shard.completed, whole.shard.failed,
    )  # fmt: skip
