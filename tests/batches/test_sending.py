"""What becomes of a shard by what was seen while it was sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.batches import sending
from shared.batches.document import Batch, Shard, key_of
from shared.batches.placing import Seat
from shared.batches.seen import Seen
from shared.batches.sending import ELSEWHERE, PAUSE_MAX_S, TRIES_MAX, Upload, pause_s, poll_s
from tests.batches.test_machine import NOW, batch

KEY = key_of(0)
FULL = {"code": "token_limit_exceeded", "message": "Limit: 100 enqueued tokens."}


def one(**more: Any) -> Batch:
    shard = Shard(KEY, 0, 0, 100, lines=8, state="uploaded", deployment="d", label="d", file="file-1", tries=1)
    return batch(replace(shard, **more))


def upload(end: int = 100, next_line: int = 8) -> Upload:
    return Upload("file-1", "asked", next_line, next_line, end, 400)


def test_a_range_that_was_cut_leaves_the_rest_as_a_shard_of_its_own() -> None:
    cut = sending.uploaded(one(), KEY, upload(end=40, next_line=3), NOW)
    first, rest = cut.shards
    assert (first.state, first.lines, first.start, first.end, first.tokens) == ("uploaded", 3, 0, 40, 100)
    assert (rest.state, rest.key, rest.first, rest.start, rest.end) == ("queued", key_of(3), 3, 40, 100)


def test_a_repair_that_was_cut_stays_a_repair() -> None:
    rest = sending.uploaded(one(round=1, picked="p"), KEY, upload(end=40, next_line=3), NOW).shards[1]
    assert (rest.round, rest.picked, rest.key) == (1, "p", key_of(3, 1))


def test_a_batch_of_too_many_parts_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SHARDS_MAX", 1)
    cut = sending.uploaded(one(), KEY, upload(end=40, next_line=3), NOW)
    assert (cut.broken, cut.errors[0]["code"]) == (True, "token_limit_exceeded")


def test_a_full_deployment_is_left_alone_and_the_shard_waits() -> None:
    found = sending.refused(one(tokens=50), KEY, [FULL], NOW)
    assert (found.shard(KEY).state, found.avoid) == ("queued", {"d": NOW + pause_s(0)})


def test_a_shard_over_the_quota_that_azure_tells_is_only_cut() -> None:
    found = sending.refused(one(tokens=500), KEY, [FULL], NOW)
    assert (found.shard(KEY).state, found.avoid) == ("queued", {})


@pytest.mark.parametrize("code", sorted(ELSEWHERE))
def test_what_another_deployment_may_take_is_sent_there_so_often(code: str) -> None:
    found = sending.refused(one(), KEY, [{"code": code}], NOW)
    assert (found.shard(KEY).state, found.avoid) == ("queued", {"d": NOW + PAUSE_MAX_S})
    assert sending.refused(one(tries=TRIES_MAX), KEY, [{"code": code}], NOW).shard(KEY).state == "failed"


def test_what_no_deployment_takes_fails_with_the_lines_of_the_callers_file() -> None:
    shard = Shard(key_of(10), 10, 0, 100, lines=8, state="in_progress", deployment="d", file="file-1")
    error = {"code": "invalid_json_line", "message": "no", "line": 3, "extra": 1}
    found = sending.refused(batch(shard), shard.key, [error], NOW)
    told = {"code": "invalid_json_line", "message": "no", "param": None, "line": 13}
    assert (found.shards[0].state, found.errors) == ("failed", (told,))
    assert found.shards[0].code == "invalid_json_line"


def test_a_refusal_without_words_has_some() -> None:
    found = sending.refused(one(), KEY, [], NOW)
    assert (found.shard(KEY).state, found.shard(KEY).code, len(found.errors)) == ("failed", "failed", 1)


def test_a_batch_whose_input_we_deleted_is_not_blamed_for_it() -> None:
    found = sending.refused(one(file=""), KEY, [{"code": "file_not_found"}], NOW)
    assert (found.shard(KEY).state, found.errors) == ("queued", ())


def test_what_is_sent_anew_remembers_where_something_may_be_left() -> None:
    found = sending.queued(one(tokens=9, job="b", asked="x"), KEY, NOW, 5.0).shard(KEY)
    assert (found.state, found.file, found.job, found.tokens, found.left) == ("queued", "", "", 0, ("d",))
    assert sending.queued(batch(replace(found, deployment="d")), KEY, NOW).shard(KEY).left == ("d",)


def test_a_batch_in_doubt_is_adopted_or_sent_anew() -> None:
    doubtful = sending.doubtful(one(), KEY, NOW)
    assert doubtful.shard(KEY).state == "doubtful"
    adopted = sending.found(doubtful, KEY, Seen("batch_1", "in_progress"), NOW).shard(KEY)
    assert (adopted.state, adopted.job, adopted.file) == ("in_progress", "batch_1", "")
    assert sending.found(doubtful, KEY, None, NOW).shard(KEY).state == "queued"


def test_what_azure_counts_is_believed() -> None:
    assert sending.submitted(one(tokens=5), KEY, Seen("b", "validating", tokens=70), NOW).shard(KEY).tokens == 70
    assert sending.submitted(one(tokens=5), KEY, Seen("b", "validating"), NOW).shard(KEY).tokens == 5


def test_a_seat_is_claimed_before_the_upload() -> None:
    found = sending.uploading(one(job="old"), KEY, Seat("e", "label-e"), 60, NOW).shard(KEY)
    assert (found.state, found.deployment, found.label, found.claims, found.job) == (
        "uploading",
        "e",
        "label-e",
        60,
        "",
    )


def test_pauses_double_up_to_a_quarter_of_an_hour() -> None:
    assert [pause_s(number) for number in (0, 1, 2, 10, 1000)] == [5.0, 10.0, 20.0, 900.0, 900.0]


def test_a_batch_is_looked_at_less_often_the_longer_it_runs() -> None:
    assert [poll_s(age) for age in (0, 2, 40, 86_400)] == [1.0, 1.0, 10.0, 20.0]


def test_trouble_waits_as_long_as_the_resource_says() -> None:
    assert sending.troubled(one(), KEY, NOW).shard(KEY).due == NOW + 5
    assert sending.troubled(one(), KEY, NOW, 60.0).shard(KEY).due == NOW + 60


def test_a_range_of_blank_lines_is_done() -> None:
    found = sending.nothing_left(one(), KEY, NOW).shard(KEY)
    assert (found.state, found.cleaned) == ("done", True)
