"""Where things are kept: partitions and keys of the tables `spillwayledger` and `spillwayspend`. Pure.

spillwayledger
    {day}_{instance}       000000000001…   segments of an instance's log
                           closed_…        attempts that a sweep gave up, because the instance is dead
                           late_…          attempts that somebody else settled
    batch_{day}_{shard}    000000000000…   lines of a batch shard, in chunks
    heartbeats             {instance}      who is alive, since when, with which days and open attempts
    silent                 {instance}      heartbeats that a sweep saw stand still
    fold                   {partition}|…   partitions that have something to be counted
    gone                   {instance}      instances that were closed, and may come back
    tidy                   {partition}     partitions that were counted, whose leavings can go
spillwayspend
    {month}                {day}           what of that day was folded into one
                           {day}!…         its totals
                           {day}|key|model|deployment|instance
                                           an instance's own running totals
    sources_{day}          {partition}     totals of one partition that is complete
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

from shared.storage.tables import escaped

LEDGER_TABLE = "spillwayledger"
SPEND_TABLE = "spillwayspend"
FOLD, GONE, HEARTBEATS, SILENT, TIDY = "fold", "gone", "heartbeats", "silent", "tidy"
OUTSIDE = "a"
"""Keys of rows that are no segments begin with a letter, those of segments with a digit."""
LATE = "late_"
BATCH = "batch_"
DAY_S = 86_400
_KEY_CHARS_MAX = 400
_SHARD = re.compile(r"(\d{8})_[A-Za-z0-9_-]{1,80}")
_PARTITION = re.compile(r"(?:batch_)?(\d{8})_[A-Za-z0-9_-]+")


def day_of(at: float) -> str:
    """`yyyymmdd` in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%d")


def day_ends_at(day: str) -> float:
    """When the day is over, in seconds since 1970."""
    return datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).timestamp() + DAY_S


def days_between(first: str, last: str) -> list[str]:
    """Every day from `first` to `last`, both included."""
    begin, end = day_ends_at(first) - DAY_S, day_ends_at(last) - DAY_S
    return [day_of(begin + number * DAY_S) for number in range(int((end - begin) // DAY_S) + 1)]


def is_day(text: str) -> bool:
    """Whether it is a day as `day_of` gives it."""
    try:
        return len(text) == 8 and day_of(day_ends_at(text) - DAY_S) == text
    except ValueError:
        return False


def log_partition(day: str, instance: str) -> str:
    """The partition of an instance's log of a day."""
    return f"{day}_{instance}"


def batch_partition(shard: str) -> str:
    """The partition of a batch shard, whose name begins with its day. Raises ValueError for another name."""
    if not _SHARD.fullmatch(shard):
        raise ValueError(f"a shard is named yyyymmdd_name, not {shard!r}")
    return BATCH + shard


def partition_day(partition: str) -> str:
    """The day on which what is in a log's or a shard's partition counts. Raises ValueError."""
    found = _PARTITION.fullmatch(partition)
    if found is None:
        raise ValueError(f"not a partition of the ledger: {partition!r}")
    return found[1]


def partition_instance(partition: str) -> str:
    """The instance of a log's partition, a shard's own name with `batch_`."""
    return partition if partition.startswith(BATCH) else partition[9:]


def segment_key(sequence: int) -> str:
    """The key of a segment: in order as text."""
    return f"{sequence:012d}"


def sources_partition(day: str) -> str:
    """Where the totals of a day's complete partitions are."""
    return f"sources_{day}"


def month_of(day: str) -> str:
    return day[:6]


def rollup_key(day: str, key_id: str, model: str, deployment_id: str, instance: str) -> str:
    """The key of an instance's own totals; names that are too long for a key are there as their hash."""
    names = "|".join(escaped(part).replace("|", "!7c") for part in (key_id, model, deployment_id))
    if len(names.encode()) > _KEY_CHARS_MAX:
        names = hashlib.sha256(names.encode()).hexdigest()
    return f"{day}|{names}|{instance}"
