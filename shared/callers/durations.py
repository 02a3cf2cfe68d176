"""Durations as LiteLLM writes them (`30s`, `5m`, `24h`, `7d`, `2w`, `1mo`), and the periods that they make. Pure.

A month is a calendar month in UTC, from a day to the same day of the next month, or its last.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

EXPECTED = "a duration such as 30s, 5m, 24h, 7d, 2w or 1mo"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MONTH = "mo"
_WRITTEN = re.compile(r"([1-9]\d{0,8})(s|m|h|d|w|mo)")
_SECONDS_MAX = 100 * 366 * 86_400
_MONTHS_MAX = 1200


@dataclass(frozen=True, slots=True)
class Duration:
    """So many seconds, or so many calendar months; one of them is 0."""

    seconds: int = 0
    months: int = 0


@dataclass(frozen=True, slots=True)
class Period:
    """From `starts_at` until just before `ends_at`, in seconds since 1970; None: for ever."""

    starts_at: float
    ends_at: float | None


@lru_cache(maxsize=256)
def parse(text: str) -> Duration:
    """The duration that is written. Raises ValueError."""
    found = _WRITTEN.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(EXPECTED)
    count, unit = int(found[1]), found[2]
    duration = Duration(months=count) if unit == _MONTH else Duration(seconds=count * _SECONDS[unit])
    if duration.seconds > _SECONDS_MAX or duration.months > _MONTHS_MAX:
        raise ValueError(f"{EXPECTED}, of at most a hundred years")
    return duration


def after(start: float, duration: Duration, times: int = 1) -> float:
    """When `times` such durations from `start` on are over, in seconds since 1970, to the millisecond."""
    if not duration.months:
        return (_ms(start) + times * duration.seconds * 1000) / 1000
    begin = datetime.fromtimestamp(start, UTC)
    month = begin.year * 12 + begin.month - 1 + times * duration.months
    year, month = month // 12, month % 12 + 1
    day = min(begin.day, calendar.monthrange(year, month)[1])
    return round(begin.replace(year=year, month=month, day=day).timestamp(), 3)


def period(anchor: float, duration: Duration | None, now: float) -> Period:
    """The period that `now` is in; the first one begins at `anchor`, and every other where one ends."""
    if duration is None:
        return Period(anchor, None)
    now = _ms(now) / 1000
    if now < anchor:
        return Period(anchor, after(anchor, duration))
    if duration.months:
        begin, today = datetime.fromtimestamp(anchor, UTC), datetime.fromtimestamp(now, UTC)
        passed = (today.year - begin.year) * 12 + today.month - begin.month
        times = max(0, passed // duration.months)
        if after(anchor, duration, times) > now:  # later in its month than today
            times -= 1
    else:
        times = (_ms(now) - _ms(anchor)) // (duration.seconds * 1000)
    return Period(after(anchor, duration, times), after(anchor, duration, times + 1))


def _ms(at: float) -> int:
    """Whole milliseconds, in which sums are exact."""
    return round(at * 1000)
