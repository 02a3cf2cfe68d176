"""What is to be done next for a batch, and what follows for it without anybody's doing. Pure: time is an argument.

The driver asks `next_step`, does it, and hands what it saw to a function of `sending` or `watching`, which gives the
new batch; `settled` then draws what follows. A worker whose change is refused, because another has taken the batch
over, forgets it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from shared.batches.document import Batch, BatchState, Mark, Shard, day_of, key_of

LEASE_S = 6.0
"""A worker that was silent for so long is taken for dead. It may be alive: then its next change is refused."""
GIVE_UP_S = 14 * 86_400.0
"""What has no end by then gets one; Azure keeps no batch running for so long."""
EXPIRED, EXPIRED_MESSAGE = "batch_expired", "This request could not be executed before the completion window expired."
NO_RESULT, NO_RESULT_MESSAGE = "no_result", "The batch ended without a result for this request."

Kind = Literal[
    "place", "ready", "submit", "search", "poll", "cancel", "read", "book", "publish", "clean", "close", "wait"
]


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done next: with the shard of that key, or with the whole batch; `wait`: nothing before `until`."""

    kind: Kind
    key: str = ""
    until: float = 0.0


def begun(batch: Batch) -> Batch:
    """A new batch: all of its input is one shard."""
    return replace(batch, shards=(Shard(key_of(0), first=0, start=0, end=batch.input_bytes, since=batch.created_at),))


def next_step(batch: Batch, now: float) -> Step:
    """What to do next: what was spent first, what is in doubt, then what frees room at a deployment, what takes it,
    and the rest."""
    if batch.owes:
        return Step("book")
    if batch.tidy:
        return Step("close")
    due = [shard for shard in batch.shards if shard.due <= now]
    first: dict[str, Shard] = {}
    for shard in due:
        first.setdefault(shard.state, shard)
    if "doubtful" in first:
        return Step("search", first["doubtful"].key)
    if "in_progress" in first:
        shard = first["in_progress"]
        end = (batch.stopping or shard.stray) and not shard.asked_to_cancel
        return Step("cancel" if end else "poll", shard.key)
    if "uploaded" in first:
        return Step("ready" if first["uploaded"].status else "submit", first["uploaded"].key)
    if "queued" in first:
        return Step("place", first["queued"].key)
    if "downloading" in first:
        return Step("read", first["downloading"].key)
    if not batch.ended and _all_done(batch):
        return Step("publish")
    for shard in due:
        if shard.state == "done" and not shard.cleaned:
            return Step("clean", shard.key)
    return Step("wait", until=min((one.due for one in batch.shards if one.due > now), default=now))


def taken(batch: Batch, worker: str, now: float) -> Batch | None:
    """The batch in the hands of a worker; None while another holds it. What that one was about to do is void, or in
    doubt."""
    if batch.holder not in ("", worker) and now < batch.held_until:
        return None
    shards: list[Shard] = []
    for shard in batch.shards:
        if shard.state == "uploading":
            shard = replace(shard, state="queued", tokens=0, left=shard.leaves, due=0.0, cut=shard.cut + 1)
        elif shard.state == "submitting":
            shard = replace(shard, state="doubtful", left=shard.leaves, due=0.0)
        shards.append(shard)
    return held(replace(batch, holder=worker, shards=tuple(shards)), now)


def held(batch: Batch, now: float) -> Batch:
    """The batch, kept by its holder."""
    return replace(batch, held_until=now + LEASE_S)


def let_go(batch: Batch) -> Batch:
    """The batch without a holder."""
    return replace(batch, holder="", held_until=0.0)


def cancelled(batch: Batch, now: float) -> Batch:
    """The caller wants no more of it: what runs is to be asked to end at once."""
    shards = [replace(one, due=min(one.due, now)) if one.state == "in_progress" else one for one in batch.shards]
    return settled(replace(batch.at("cancelling_at", now), shards=tuple(shards)), now)


def published(batch: Batch, now: float) -> Batch:
    """The files of results are there: the batch has ended."""
    state: BatchState = "completed"
    if batch.broken:
        state = "failed"
    elif batch.cancelling:
        state = "cancelled"
    elif any(shard.expired for shard in batch.shards):
        state = "expired"
    return settled(replace(batch, state=state).at(f"{state}_at", now), now)


def settled(batch: Batch, now: float) -> Batch:
    """What follows without anybody's doing: for shards that are too late or no longer wanted, for those that failed,
    and when the last of them is done."""
    if not batch.ended:
        batch = replace(batch, shards=tuple(_settled(batch, shard, now) for shard in batch.shards))
        batch = _counted(_failures(batch, now))
        if _all_done(batch):
            batch = batch.at("finalizing_at", now)
    elif now >= batch.created_at + GIVE_UP_S:
        batch = replace(batch, shards=tuple(replace(one, state="done", cleaned=True) for one in batch.shards))
    if batch.ended and all(shard.state == "done" and shard.cleaned for shard in batch.shards):
        batch = replace(batch, tidy=True)
    return batch


def without_result(shard: Shard, code: str, message: str, now: float) -> Shard:
    """The shard, whose lines are to be told that they have no result, and why."""
    bits = bytes(-(-shard.lines // 8))
    return replace(
        shard, state="downloading", since=now, due=0.0, trouble=0, tokens=0, day=day_of(now), code=code,
        message=message, completed=0, failed=0, mark=Mark("rest", seen=bits, again=bits),
    )  # fmt: skip


def _settled(batch: Batch, shard: Shard, now: float) -> Shard:
    if batch.stopping and shard.state in ("queued", "uploaded", "failed"):
        return replace(shard, state="done", due=0.0, trouble=0, tokens=0, completed=0, failed=0)
    if shard.state == "queued" and now >= batch.expires_at:
        return without_result(shard, EXPIRED, EXPIRED_MESSAGE, now)
    if shard.state in ("doubtful", "in_progress", "uploaded") and now >= batch.created_at + GIVE_UP_S:
        return without_result(shard, NO_RESULT, NO_RESULT_MESSAGE, now)
    return shard


def _failures(batch: Batch, now: float) -> Batch:
    """Once all shards have ended: where nothing came of any, the batch failed; else the lines of those that failed are
    told so."""
    ours = [shard for shard in batch.shards if not shard.stray]
    if not any(shard.state == "failed" for shard in ours) or not all(shard.ended for shard in ours):
        return batch
    if any(shard.state == "done" for shard in ours):
        shards = [
            without_result(one, one.code, one.message, now) if one.state == "failed" else one for one in batch.shards
        ]
        return replace(batch, shards=tuple(shards))
    shards = [replace(one, state="done", due=0.0, trouble=0) if one.state == "failed" else one for one in batch.shards]
    return replace(batch.at("broken_at", now), shards=tuple(shards))


def _counted(batch: Batch) -> Batch:
    """`total`, once every range of the input was read."""
    first = [shard for shard in batch.shards if not shard.round and not shard.stray]
    if batch.total or not all(shard.lines for shard in first):
        return batch
    return replace(batch, total=sum(shard.lines for shard in first))


def _all_done(batch: Batch) -> bool:
    return all(shard.state == "done" for shard in batch.shards if not shard.stray)
