"""What is to be done next for a batch, and what follows by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.batches import machine
from shared.batches.document import Batch, Shard
from shared.batches.machine import EXPIRED, GIVE_UP_S, LEASE_S, NO_RESULT, next_step, settled, taken

NOW = 1000.0


def batch(*shards: Shard, **more: Any) -> Batch:
    made = Batch("batch_" + "0" * 32, "ann", "/v1/embeddings", "file-1", 100, "m", NOW, "file-2", "file-3")
    return replace(made, shards=shards, **more)


def shard(key: str = "a", state: str = "queued", **more: Any) -> Shard:
    return Shard(key, 0, 0, 100, **{"lines": 8, "state": state, **more})


@pytest.mark.parametrize(
    ("state", "more", "kind"),
    [
        ("queued", {}, "place"),
        ("uploaded", {}, "submit"),
        ("uploaded", {"status": "pending"}, "ready"),
        ("doubtful", {}, "search"),
        ("in_progress", {}, "poll"),
        ("in_progress", {"stray": True}, "cancel"),
        ("in_progress", {"stray": True, "asked_to_cancel": True}, "poll"),
        ("downloading", {}, "read"),
        ("done", {"lines": 8}, "publish"),
        ("queued", {"due": NOW + 1}, "wait"),
    ],
)
def test_each_state_has_its_step(state: str, more: dict[str, Any], kind: str) -> None:
    assert next_step(batch(shard(state=state, **more)), NOW).kind == kind


def test_what_is_in_doubt_comes_first_and_what_frees_room_before_what_takes_it() -> None:
    states = ["queued", "downloading", "uploaded", "in_progress", "doubtful"]
    shards = [shard(str(number), state) for number, state in enumerate(states)]
    order = []
    while shards:
        order.append(next_step(batch(*shards), NOW).kind)
        shards = [one for one in shards if one.key != next_step(batch(*shards), NOW).key]
    assert order == ["search", "poll", "submit", "place", "read"]


def test_what_was_spent_is_told_before_anything_else() -> None:
    owing = batch(shard(state="doubtful", cost=5), budgeted=True)
    assert next_step(owing, NOW).kind == "book"
    assert next_step(replace(owing, booked=5), NOW).kind == "search"


def test_a_batch_that_waits_says_until_when() -> None:
    step = next_step(batch(shard("a", due=NOW + 9), shard("b", due=NOW + 5)), NOW)
    assert (step.kind, step.until) == ("wait", NOW + 5)


def test_a_batch_that_another_holds_is_left_to_it_until_its_lease_ends() -> None:
    held = batch(shard(), holder="other", held_until=NOW + LEASE_S)
    assert taken(held, "me", NOW) is None
    assert taken(held, "other", NOW) is not None
    mine = taken(held, "me", NOW + LEASE_S)
    assert mine is not None
    assert (mine.holder, mine.held_until) == ("me", NOW + 2 * LEASE_S)


@pytest.mark.parametrize(("state", "becomes"), [("uploading", "queued"), ("submitting", "doubtful"), ("done", "done")])
def test_what_a_dead_worker_was_about_to_do_is_void_or_in_doubt(state: str, becomes: str) -> None:
    mine = taken(batch(shard(state=state, deployment="d", tokens=5)), "me", NOW)
    assert mine is not None
    (one,) = mine.shards
    assert (one.state, one.left) == (becomes, () if state == "done" else ("d",))


def test_a_batch_with_all_shards_done_is_finalizing() -> None:
    assert "finalizing_at" in settled(batch(shard(state="done"), shard("b", "done")), NOW).times
    assert "finalizing_at" not in settled(batch(shard(state="done"), shard("b")), NOW).times
    stray = shard("as1", "in_progress", stray=True)
    assert "finalizing_at" in settled(batch(shard(state="done"), stray), NOW).times


def test_a_shard_that_was_not_sent_in_a_day_expires() -> None:
    late = settled(batch(shard()), NOW + 86_400)
    assert [(one.state, one.code) for one in late.shards] == [("downloading", EXPIRED)]
    assert settled(batch(shard()), NOW + 86_399).shards[0].state == "queued"


def test_a_shard_of_which_nothing_is_heard_is_given_up_in_the_end() -> None:
    for state in ("in_progress", "doubtful", "uploaded"):
        late = settled(batch(shard(state=state)), NOW + GIVE_UP_S)
        assert [(one.state, one.code) for one in late.shards] == [("downloading", NO_RESULT)]


def test_nothing_more_of_a_cancelled_batch_is_sent_and_what_runs_is_ended_at_once() -> None:
    running = shard("b", "in_progress", due=NOW + 20)
    ended = machine.cancelled(batch(shard(), running), NOW)
    assert [(one.state, one.due) for one in ended.shards] == [("done", 0.0), ("in_progress", NOW)]
    assert next_step(ended, NOW).kind == "cancel"


def test_where_nothing_came_of_any_shard_the_batch_fails() -> None:
    failed = settled(batch(shard(state="failed", code="x", message="y"), shard("b", "failed")), NOW)
    assert failed.broken
    assert machine.published(failed, NOW).state == "failed"


def test_where_other_shards_did_better_the_lines_of_one_that_failed_are_told_why() -> None:
    found = settled(batch(shard(state="failed", code="x", message="y"), shard("b", "done")), NOW)
    assert [(one.state, one.code) for one in found.shards] == [("downloading", "x"), ("done", "")]
    assert settled(batch(shard(state="failed"), shard("b", "in_progress")), NOW).shards[0].state == "failed"


@pytest.mark.parametrize(
    ("expired", "times", "state"),
    [
        (0, {}, "completed"),
        (1, {}, "expired"),
        (1, {"cancelling_at": 1.0}, "cancelled"),
        (0, {"cancelling_at": 1.0, "broken_at": 1.0}, "failed"),
    ],
)
def test_how_a_batch_ends(expired: int, times: dict[str, float], state: str) -> None:
    ended = machine.published(batch(shard(state="done", expired=expired), times=times), NOW)
    assert (ended.state, f"{state}_at" in ended.times) == (state, True)


def test_a_batch_is_over_when_nothing_is_left_anywhere() -> None:
    done = batch(shard(state="done"), shard("as1", "in_progress", stray=True), state="completed")
    assert not settled(done, NOW).tidy
    clean = replace(done, shards=tuple(replace(one, state="done", cleaned=True) for one in done.shards))
    assert settled(clean, NOW).tidy
    assert next_step(settled(clean, NOW), NOW).kind == "close"
    assert settled(done, NOW + GIVE_UP_S).tidy


def test_the_requests_are_counted_when_the_whole_input_was_read() -> None:
    assert settled(batch(shard(lines=0), shard("b")), NOW).total == 0
    assert settled(batch(shard(lines=3), shard("b"), shard("c", round=1), shard("ds1", stray=True)), NOW).total == 11
