"""What becomes of a shard by what was seen of its batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.batches import watching
from shared.batches.document import Batch, Mark, Shard, key_of
from shared.batches.machine import EXPIRED, NO_RESULT
from shared.batches.seen import Seen
from shared.batches.watching import CLEAN_TRIES, GRACE_S
from tests.batches.test_machine import NOW, batch

KEY = key_of(0)


def one(**more: Any) -> Batch:
    shard = Shard(KEY, 0, 0, 100, lines=9, state="in_progress", deployment="d", label="d", file="f", job="b", since=NOW)
    return batch(replace(shard, **more))


def polled(seen: Seen | None, before: Batch | None = None, now: float = NOW) -> Shard:
    return watching.polled(before or one(), KEY, seen, now).shard(KEY)


@pytest.mark.parametrize("status", ["validating", "in_progress", "finalizing", "cancelling", "deliberating", ""])
def test_a_batch_that_goes_on_is_looked_at_again(status: str) -> None:
    found = polled(Seen("b", status, completed=3, failed=1))
    assert (found.state, found.completed, found.failed) == ("in_progress", 3, 1)
    assert found.due > NOW


@pytest.mark.parametrize(
    ("status", "code"), [("completed", NO_RESULT), ("expired", EXPIRED), ("cancelled", "batch_cancelled")]
)
def test_the_results_of_one_that_ended_are_read_and_the_rest_is_told_why(status: str, code: str) -> None:
    found = polled(Seen("b", status, output="o", error="e", completed=3))
    assert (found.state, found.output, found.error, found.code) == ("downloading", "o", "e", code)
    assert (found.mark, found.completed, found.tokens) == (Mark(seen=bytes(2), again=bytes(2)), 0, 0)


def test_an_output_that_was_announced_and_is_not_there_is_waited_for() -> None:
    seen = Seen("b", "completed", completed=3)
    waiting = watching.polled(one(), KEY, seen, NOW)
    assert waiting.shard(KEY).state == "in_progress"
    assert polled(seen, waiting, NOW + GRACE_S - 1).state == "in_progress"
    assert polled(seen, waiting, NOW + GRACE_S).state == "downloading"
    assert polled(replace(seen, output="o"), waiting, NOW + 1).state == "downloading"


def test_a_batch_without_completed_lines_needs_no_output() -> None:
    assert polled(Seen("b", "completed", error="e", failed=9)).state == "downloading"


def test_a_batch_that_is_not_there_is_believed_gone_after_a_while() -> None:
    missing = watching.polled(one(), KEY, None, NOW)
    assert (missing.shard(KEY).state, missing.shard(KEY).status) == ("in_progress", "missing")
    assert polled(None, missing, NOW + GRACE_S - 1).state == "in_progress"
    assert (polled(None, missing, NOW + GRACE_S).state, polled(None, missing, NOW + GRACE_S).code) == (
        "downloading", NO_RESULT,
    )  # fmt: skip
    assert polled(Seen("b", "in_progress"), missing, NOW + 20).status == "in_progress"


def test_a_double_that_failed_is_over() -> None:
    assert polled(Seen("b", "failed"), one(stray=True)).state == "done"


def test_lines_that_are_resubmitted_are_a_shard_of_the_next_round() -> None:
    done = watching.done(one(state="downloading"), KEY, 9, "picked", NOW)
    first, repair = done.shards
    assert (first.state, repair.state, repair.round, repair.picked) == ("done", "queued", 1, "picked")
    assert (repair.first, repair.start, repair.end, repair.key) == (0, 0, 100, key_of(0, 1))
    assert len(watching.done(one(), KEY, 9, "", NOW).shards) == 1


def test_a_batch_that_nobody_knew_of_is_watched_as_a_double_which_has_cost_nothing_yet() -> None:
    ours = one(state="done", cost=7, prompt_tokens=5, chunks=2, output_blocks=1, completed=9)
    found = watching.cleaned(ours, KEY, [("e", "label-e", Seen("other", "in_progress", "file-9"))], NOW)
    first, stray = found.shards
    assert (first.cleaned, first.cost) == (True, 7)
    assert (stray.stray, stray.state, stray.job, stray.file, stray.deployment) == (
        True, "in_progress", "other", "file-9", "e",
    )  # fmt: skip
    assert (stray.cost, stray.prompt_tokens, stray.chunks, stray.output_blocks, stray.completed) == (0, 0, 0, 0, 0)
    assert found.cost == 7


def test_what_cannot_be_removed_is_left_in_the_end() -> None:
    assert not watching.not_cleaned(one(), KEY, NOW).shard(KEY).cleaned
    assert watching.not_cleaned(one(trouble=CLEAN_TRIES), KEY, NOW).shard(KEY).cleaned
