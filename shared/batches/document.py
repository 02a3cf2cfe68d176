"""A batch as it is kept: one document under one ETag, so that every change of it happens whole or not at all. Pure.

A shard is a range of the input's lines that is, was or will be one batch at one deployment:

    queued → uploading → uploaded → submitting → in_progress → downloading → done

    uploading, submitting    what the batch's holder is about to do. Whoever takes the batch over finds them void
                             (queued again) and in doubt (doubtful): does Azure have the batch or not?
    doubtful                 is looked up at the resource: in_progress when it is there, else queued again
    in_progress              when Azure refuses it: queued again, or failed
    failed                   when other shards did better: downloading, where its lines are told why they have no result

A range is cut when it is uploaded, where its deployment has no more room; what is left is a new shard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

ShardState = Literal[
    "queued", "uploading", "uploaded", "submitting", "doubtful", "in_progress", "downloading", "failed", "done"
]
BatchState = Literal["working", "completed", "failed", "expired", "cancelled"]
CLAIMING = frozenset({"uploading", "uploaded", "submitting", "doubtful", "in_progress"})
ENDED: frozenset[str] = frozenset({"completed", "failed", "expired", "cancelled"})

CHUNK_BYTES = 4 * 1024 * 1024
SHARDS_MAX = 500
ERRORS_MAX = 100
WINDOW_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the results of a shard are read.

    `part` is the file that is read: `output`, `error`, then `rest`, the lines that are in neither. `at` is where in it,
    in bytes; of the rest `line` is which line. `seen` and `again` have a bit for each line of the shard: it has its
    result, or it is resubmitted.
    """

    part: Literal["output", "error", "rest"] = "output"
    at: int = 0
    line: int = 0
    seen: bytes = b""
    again: bytes = b""


@dataclass(frozen=True, slots=True)
class Shard:
    """A range of the input: `lines` requests from the batch's `first` on, bytes `start` to `end`.

    `lines` is 0 until the range was uploaded once. In a `round` above 0 only some of the lines are meant, those that
    the row `picked` names. `deployment` has the shard, or shall have it, under its `label`; `tokens` is what it counts
    against the quota there. `file` and `job` are the input and the batch there, `asked` names the rows of its requests,
    `output` and `error` the files of results, `status` is what was last seen of them. `tries` counts submissions;
    `left` are the deployments where more than that may have been left. Nothing is done before `due`; `trouble` counts
    failures in a row, `cut` uploads in whose middle their worker was lost; `since` is when the state began. `code` and
    `message` say why lines have no result. `day` is when its lines are charged. `chunks` counts what the ledger has,
    `output_blocks` and `error_blocks` what is staged. `cost` (in picodollars) and the tokens are those of its lines.
    `stray`: a batch that was made twice; it is priced, and nothing else. `cleaned`: nothing of it is left at any
    resource.
    """

    key: str
    first: int
    start: int
    end: int
    lines: int = 0
    round: int = 0
    picked: str = ""
    state: ShardState = "queued"
    deployment: str = ""
    label: str = ""
    tokens: int = 0
    file: str = ""
    job: str = ""
    asked: str = ""
    status: str = ""
    output: str = ""
    error: str = ""
    tries: int = 0
    left: tuple[str, ...] = ()
    due: float = 0.0
    trouble: int = 0
    cut: int = 0
    since: float = 0.0
    asked_to_cancel: bool = False
    code: str = ""
    message: str = ""
    completed: int = 0
    failed: int = 0
    expired: int = 0
    day: str = ""
    mark: Mark = Mark()
    chunks: int = 0
    output_blocks: int = 0
    output_bytes: int = 0
    error_blocks: int = 0
    error_bytes: int = 0
    cost: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    stray: bool = False
    cleaned: bool = False

    @property
    def ended(self) -> bool:
        return self.state in ("done", "failed")

    @property
    def attempt(self) -> int:
        """Which attempt at its lines it is, counted from 1; batches that were made twice are counted apart."""
        return self.round + 1 + 100 * int(self.key.partition("s")[2] or 0)

    @property
    def leaves(self) -> tuple[str, ...]:
        """`left`, when what its deployment has now may be left there too."""
        return self.left if self.deployment in self.left else (*self.left, self.deployment)

    @property
    def claims(self) -> int:
        """The tokens that it counts against its deployment's quota."""
        return self.tokens if self.state in CLAIMING else 0


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch. Times are in seconds since 1970.

    `owner`, `alias` and `tags` say whom its lines are charged to. `model` is the name that was asked for, `total` the
    number of lines, 0 while unknown; `estimate` is what the upload's check estimated. `split`: it may be cut where a
    deployment has no room. `rounds`: how often lines that failed for a passing reason are resubmitted. `output_id` and
    `error_id` are the files of results, made when there are any. `avoid`: deployments that are left alone until then.
    `holder` works on it until `held_until`, and whoever finds that over takes it. `chunk_bytes`: results are read in
    such pieces, the same from beginning to end. `budgeted`: a virtual key's, whose row has the batch as a task
    (callers.tasks); `booked` is what that was told of its cost, `released`: that nothing need be held for it.
    """

    id: str
    owner: str
    endpoint: str
    input_file_id: str
    input_bytes: int
    model: str
    created_at: float
    output_id: str
    error_id: str
    alias: str = ""
    tags: tuple[str, ...] = ()
    total: int = 0
    split: bool = False
    rounds: int = 0
    metadata: Mapping[str, str] | None = None
    estimate: Mapping[str, Any] = field(default_factory=dict)
    output_expires_s: int | None = None
    state: BatchState = "working"
    times: Mapping[str, float] = field(default_factory=dict)
    errors: tuple[Mapping[str, Any], ...] = ()
    shards: tuple[Shard, ...] = ()
    avoid: Mapping[str, float] = field(default_factory=dict)
    holder: str = ""
    held_until: float = 0.0
    staged_at: float = 0.0
    chunk_bytes: int = CHUNK_BYTES
    budgeted: bool = False
    booked: int = 0
    released: bool = False
    tidy: bool = False

    @property
    def name(self) -> str:
        """The hex digits of its id: its name at resources and in keys."""
        return self.id[-32:]

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def cancelling(self) -> bool:
        return "cancelling_at" in self.times

    @property
    def broken(self) -> bool:
        """Whether its input is to blame: it will fail."""
        return "broken_at" in self.times

    @property
    def stopping(self) -> bool:
        """Whether nothing more of it is sent."""
        return self.cancelling or self.broken

    @property
    def cost(self) -> int:
        """What its lines have cost by now, in picodollars."""
        return sum(shard.cost for shard in self.shards)

    @property
    def owes(self) -> bool:
        """Whether its key has to be told of what it cost, or of its end."""
        return self.budgeted and (self.cost > self.booked or (self.ended and not self.released))

    @property
    def expires_at(self) -> float:
        return self.created_at + WINDOW_S

    def shard(self, key: str) -> Shard:
        return next(one for one in self.shards if one.key == key)

    def with_shard(self, key: str, **changes: Any) -> Batch:
        """The batch with one shard changed."""
        shards = tuple(replace(one, **changes) if one.key == key else one for one in self.shards)
        return replace(self, shards=shards)

    def at(self, name: str, now: float) -> Batch:
        """The batch with a time that is told, unless it has it already."""
        return self if name in self.times else replace(self, times={**self.times, name: now})


def key_of(first: int, round_: int = 0, stray: int = 0) -> str:
    """A shard's key: sorted, those of a batch are in the order of its lines."""
    return f"{first:08d}-{round_:02d}" + (f"s{stray}" if stray else "")


def upstream_name(batch: Batch, shard: Shard) -> str:
    """What names the shard at its resource, in the name of its input and the metadata of its batch."""
    return f"spillway-{batch.name}-{shard.key}"


def day_of(at: float) -> str:
    """`yyyymmdd` in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%d")


def claims(batch: Batch) -> dict[str, int]:
    """The tokens that the batch counts against the quota of each deployment."""
    found: dict[str, int] = {}
    for shard in batch.shards:
        if shard.claims:
            found[shard.deployment] = found.get(shard.deployment, 0) + shard.claims
    return found
