"""Azure's words about its limits, sanitised: the one parser of its retry and rate-limit headers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

RETRY_AFTER_MS_MAX = 60_000
"""Azure says `86400` when one request is over the whole TPM, and windows are a minute long: more is not believed."""

_ROUTE_HEADERS = tuple(
    f"x-ratelimit-{what}-{unit}" for what in ("limit", "remaining", "reset") for unit in ("requests", "tokens")
)


def retry_after_ms(headers: Mapping[str, str], now: float) -> int | None:
    """Milliseconds to wait, 1 to RETRY_AFTER_MS_MAX; None when nothing usable was said.

    `retry-after-ms` is exact and wins over `retry-after` (seconds, or an HTTP date compared with `now`, Unix
    seconds). Zero, negative and unreadable values are ignored: since 2025 some deployments send `-1` and `0`.
    """
    wait_ms = _number(headers.get("retry-after-ms"))
    if wait_ms is None or wait_ms <= 0:
        written = headers.get("retry-after")
        seconds = _number(written)
        if seconds is None and written:
            seconds = _seconds_until(written, now)
        wait_ms = None if seconds is None else seconds * 1000
    if wait_ms is None or wait_ms <= 0:
        return None
    return max(1, min(round(wait_ms), RETRY_AFTER_MS_MAX))


def route_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The `x-ratelimit-*` headers that say something; `-1` and words of no number are left out."""
    route: dict[str, str] = {}
    for name in _ROUTE_HEADERS:
        value = headers.get(name)
        number = _number(value)
        if value is not None and number is not None and number >= 0:
            route[name] = value
    return route


def _number(written: str | None) -> float | None:
    try:
        number = float(written) if written is not None else None
    except ValueError:
        return None
    return number if number is not None and abs(number) < 1e12 else None


def _seconds_until(written: str, now: float) -> float | None:
    try:
        date = parsedate_to_datetime(written)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return date.timestamp() - now
