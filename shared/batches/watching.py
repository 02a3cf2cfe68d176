"""What becomes of a batch by what was seen of a shard that its resource has: until its results are read and all that it
left there is removed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.batches import sending
from shared.batches.document import Batch, Mark, Shard, day_of, key_of
from shared.batches.machine import EXPIRED, EXPIRED_MESSAGE, NO_RESULT, NO_RESULT_MESSAGE
from shared.batches.seen import Seen
from shared.batches.sending import POLL_MAX_S, poll_s

GRACE_S = 120.0
"""How long a batch, or results that it announced, may be missing before that is believed."""
CLEAN_TRIES = 12
"""After so many failures to remove what a shard left behind, it is left to expire by itself."""
MISSING = "missing"
WITHOUT = {
    "expired": (EXPIRED, EXPIRED_MESSAGE),
    "cancelled": ("batch_cancelled", "The batch was cancelled before this request was executed."),
}
"""Why a batch that ended in another way than `completed` has no result for a line."""


def asked_to_cancel(batch: Batch, key: str, now: float) -> Batch:
    """Azure was asked to cancel the shard's batch."""
    return batch.with_shard(key, asked_to_cancel=True, due=now)


def polled(batch: Batch, key: str, seen: Seen | None, now: float) -> Batch:
    """The shard's batch was looked at; None: its resource does not have it."""
    shard = batch.shard(key)
    if seen is None:
        return _missing(batch, shard, now)
    if seen.status == "failed":
        if shard.stray:
            return batch.with_shard(key, state="done", due=0.0, tokens=0)
        return sending.refused(batch, key, seen.errors, now)
    batch = batch.with_shard(
        key, status=seen.status, due=now + poll_s(now - shard.since), completed=seen.completed, failed=seen.failed,
        trouble=0 if seen.status != "validating" else shard.trouble,
    )  # fmt: skip
    if not seen.ended:
        return batch if seen.status == "validating" else batch.at("in_progress_at", now)
    batch = batch.at("in_progress_at", now)
    if shard.status != seen.status:
        batch = batch.with_shard(key, since=now)
    if seen.completed and not seen.output and now - batch.shard(key).since < GRACE_S:
        return batch
    return _to_be_read(batch, key, seen, now)


def _missing(batch: Batch, shard: Shard, now: float) -> Batch:
    if shard.status != MISSING:
        return batch.with_shard(shard.key, status=MISSING, since=now, due=now + POLL_MAX_S)
    if now - shard.since < GRACE_S:
        return batch.with_shard(shard.key, due=now + POLL_MAX_S)
    return _to_be_read(batch, shard.key, Seen(shard.job, "completed"), now)


def _to_be_read(batch: Batch, key: str, seen: Seen, now: float) -> Batch:
    code, message = WITHOUT.get(seen.status, (NO_RESULT, NO_RESULT_MESSAGE))
    bits = bytes(-(-batch.shard(key).lines // 8))
    return batch.with_shard(
        key, state="downloading", status=seen.status, output=seen.output, error=seen.error, since=now, due=0.0,
        trouble=0, tokens=0, completed=0, failed=0, expired=0, day=day_of(now), code=code, message=message,
        mark=Mark(seen=bits, again=bits),
    )  # fmt: skip


def advanced(batch: Batch, changed: Shard) -> Batch:
    """A piece of a shard's results was read: it is `changed` now."""
    return replace(batch, shards=tuple(changed if one.key == changed.key else one for one in batch.shards))


def done(batch: Batch, key: str, lines: int, picked: str, now: float) -> Batch:
    """All results of the shard are read, of `lines` requests; those that row `picked` names are to be resubmitted."""
    shard = batch.shard(key)
    batch = batch.with_shard(key, state="done", lines=lines, since=now, due=0.0, trouble=0, mark=Mark())
    if not picked:
        return batch
    repair = Shard(
        key_of(shard.first, shard.round + 1), shard.first, shard.start, shard.end, round=shard.round + 1,
        picked=picked, since=now,
    )  # fmt: skip
    return replace(batch, shards=tuple(sorted((*batch.shards, repair), key=lambda one: one.key)))


def cleaned(batch: Batch, key: str, strays: Sequence[tuple[str, str, Seen]], now: float) -> Batch:
    """What the shard had at its resources is removed; `strays` are batches of it that nobody knew of, each with the id
    and the label of its deployment."""
    shard = batch.shard(key)
    count = sum(one.stray for one in batch.shards)
    more = [
        replace(
            shard, key=key_of(shard.first, shard.round, count + number), state="in_progress", stray=True, job=seen.job,
            file=seen.input_file, output="", error="", status=seen.status, asked_to_cancel=False, tokens=0, left=(),
            deployment=deployment, label=label,
            cost=0, prompt_tokens=0, completion_tokens=0, cached_tokens=0, reasoning_tokens=0,
            chunks=0, output_blocks=0, output_bytes=0, error_blocks=0, error_bytes=0, completed=0, failed=0, expired=0,
            since=now, due=now,
        )
        for number, (deployment, label, seen) in enumerate(strays, 1)
    ]  # fmt: skip
    batch = batch.with_shard(key, cleaned=True)
    return replace(batch, shards=tuple(sorted((*batch.shards, *more), key=lambda one: one.key)))


def not_cleaned(batch: Batch, key: str, now: float) -> Batch:
    """Something of the shard may be left at its resource."""
    if batch.shard(key).trouble >= CLEAN_TRIES:
        return batch.with_shard(key, cleaned=True)
    return sending.troubled(batch, key, now)
