"""What becomes of a batch by what was seen while a shard was sent to its deployment. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.batches.document import ERRORS_MAX, SHARDS_MAX, Batch, Shard, key_of
from shared.batches.placing import BYTES_PER_TOKEN, Seat
from shared.batches.seen import FULL, Seen, quota_of

POLL_MIN_S, POLL_MAX_S = 1.0, 20.0
"""A batch at Azure is asked about at most so often: a new one sooner than one that has run for long."""
PAUSE_S, PAUSE_MAX_S = 5.0, 900.0
"""After a failure a deployment is left alone so long, then twice as long, and so on."""
TRIES_MAX = 4
"""Submissions of a shard that Azure refuses for a reason that another deployment may not have."""
ELSEWHERE = frozenset({"model_not_found", "invalid_request", "input_modified", "input_no_permissions"})
"""Why a deployment may refuse what another takes; Azure says `invalid_request` also of one that takes no batches."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What was uploaded: `lines` requests in `file`, which the rows `asked` name, together `written` bytes. The next
    line, if there is one, is the input's `next_line`th and begins at byte `end`. `pending`: the resource has not looked
    at it yet."""

    file: str
    asked: str
    lines: int
    next_line: int
    end: int
    written: int
    pending: bool = False


def pause_s(trouble: int) -> float:
    """How long to leave alone what failed, having failed `trouble` times before."""
    return float(min(PAUSE_S * 2 ** min(trouble, 10), PAUSE_MAX_S))


def poll_s(age_s: float) -> float:
    """How long to wait before a batch is looked at again that has been in its state for `age_s` seconds."""
    return min(max(age_s / 4, POLL_MIN_S), POLL_MAX_S)


def uploading(batch: Batch, key: str, seat: Seat, tokens: int, now: float) -> Batch:
    """The shard is about to be uploaded to a deployment, with that many tokens at most."""
    return batch.with_shard(
        key, state="uploading", deployment=seat.deployment, label=seat.label, tokens=tokens, since=now,
        file="", job="", asked="", status="", output="", error="",
    )  # fmt: skip


def uploaded(batch: Batch, key: str, upload: Upload, now: float) -> Batch:
    """A part of the shard, or all of it, is at its resource; what is left becomes a shard of its own."""
    shard = batch.shard(key)
    batch = batch.with_shard(
        key, state="uploaded", file=upload.file, asked=upload.asked, lines=upload.lines, end=upload.end, since=now,
        due=0.0, tokens=upload.written // BYTES_PER_TOKEN, status="pending" if upload.pending else "",
    )  # fmt: skip
    if upload.end >= shard.end:
        return batch
    tail = Shard(
        key_of(upload.next_line, shard.round), upload.next_line, upload.end, shard.end, round=shard.round,
        picked=shard.picked, cut=shard.cut, since=now,
    )  # fmt: skip
    batch = replace(batch, shards=tuple(sorted((*batch.shards, tail), key=lambda one: one.key)))
    if len(batch.shards) <= SHARDS_MAX:
        return batch
    message = f"The batch needs more than {SHARDS_MAX} parts: its deployments have too little enqueued-token quota."
    return broken(batch, [{"code": FULL, "message": message, "param": None, "line": None}], now)


def nothing_left(batch: Batch, key: str, now: float) -> Batch:
    """No request is left in the shard's range, only blank lines."""
    return batch.with_shard(key, state="done", tokens=0, since=now, due=0.0, cleaned=True)


def ready(batch: Batch, key: str, is_ready: bool, now: float) -> Batch:
    """The resource has looked at the uploaded file, or not yet."""
    return batch.with_shard(key, status="" if is_ready else "pending", due=0.0 if is_ready else now + 1.0)


def submitting(batch: Batch, key: str, now: float) -> Batch:
    """The shard's batch is about to be created."""
    return batch.with_shard(key, state="submitting", tries=batch.shard(key).tries + 1, since=now)


def submitted(batch: Batch, key: str, seen: Seen, now: float) -> Batch:
    """The shard's batch exists."""
    shard = batch.shard(key)
    return batch.with_shard(
        key, state="in_progress", job=seen.job, status=seen.status, since=now, due=now + POLL_MIN_S,
        asked_to_cancel=False, tokens=seen.tokens or shard.tokens,
    )  # fmt: skip


def queued(batch: Batch, key: str, now: float, avoid_s: float | None = None) -> Batch:
    """The shard must be sent anew, elsewhere if `avoid_s` says for how long its deployment is left alone."""
    shard = batch.shard(key)
    if avoid_s is not None:
        batch = replace(batch, avoid={**batch.avoid, shard.deployment: now + avoid_s})
    return batch.with_shard(
        key, state="queued", tokens=0, file="", job="", asked="", status="", due=0.0, since=now,
        trouble=shard.trouble + 1,
        completed=0, failed=0, left=shard.leaves,
    )  # fmt: skip


def doubtful(batch: Batch, key: str, now: float) -> Batch:
    """Nobody knows whether the shard's batch was created."""
    return batch.with_shard(key, state="doubtful", left=batch.shard(key).leaves, due=0.0, since=now)


def found(batch: Batch, key: str, seen: Seen | None, now: float) -> Batch:
    """The shard's batch was looked for at its resource, after its input had been deleted there: it cannot be created
    any more, so that None is final."""
    if seen is None:
        return queued(batch, key, now)
    return submitted(batch.with_shard(key, file=""), key, seen, now)


def troubled(batch: Batch, key: str, now: float, told_s: float = 0.0) -> Batch:
    """What was tried with the shard failed for a reason that passes: it is tried again, later each time."""
    trouble = batch.shard(key).trouble
    return batch.with_shard(key, trouble=trouble + 1, due=now + max(pause_s(trouble), told_s))


def refused(batch: Batch, key: str, errors: Sequence[Mapping[str, Any]], now: float) -> Batch:
    """Azure did not take the shard, and says why: at once or when it had looked at it."""
    shard = batch.shard(key)
    codes = {str(error.get("code") or "") for error in errors}
    if FULL in codes:
        quota = quota_of(errors)
        too_large = quota is not None and shard.tokens > quota  # else others have enqueued there
        return queued(batch, key, now, None if too_large else pause_s(shard.trouble))
    if not shard.file:  # it was deleted when nobody knew whether the batch existed, which Azure may well mind
        return queued(batch, key, now)
    if codes & ELSEWHERE and shard.tries < TRIES_MAX:
        return queued(batch, key, now, PAUSE_MAX_S)
    return not_taken(batch, key, errors, now)


def not_taken(batch: Batch, key: str, errors: Sequence[Mapping[str, Any]], now: float) -> Batch:
    """No deployment takes the shard; `errors` name lines of what was uploaded."""
    shard = batch.shard(key)
    told = [_placed(error, shard) for error in errors] or [{"code": "failed", "message": "The batch failed."}]
    batch = replace(batch, errors=(*batch.errors, *told)[:ERRORS_MAX])
    return batch.with_shard(
        key, state="failed", since=now, due=0.0, tokens=0, trouble=0,
        code=str(told[0]["code"] or "failed"), message=str(told[0]["message"] or "The batch failed."),
    )  # fmt: skip


def broken(batch: Batch, errors: Iterable[Mapping[str, Any]], now: float) -> Batch:
    """Nothing more can be done for the batch: its input is to blame, or gone."""
    return replace(batch, errors=(*batch.errors, *errors)[:ERRORS_MAX]).at("broken_at", now)


def _placed(error: Mapping[str, Any], shard: Shard) -> dict[str, Any]:
    """An error with the line of the caller's file, where that can be said."""
    line = error.get("line")
    ours = shard.first + line if isinstance(line, int) and not shard.round else None
    return {"code": error.get("code"), "message": error.get("message"), "param": error.get("param"), "line": ours}
