"""Azure's words about its limits, sanitised: the one parser of its retry and rate-limit headers.

Every figure may be missing, `-1`, `0` or absurd: since 2025 some deployments send `-1` and `0` for all of them
(openai-dotnet#838), and `retry-after` is 86400 when one request is over the whole TPM. Nothing that cannot be true is
believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

RETRY_AFTER_MS_MAX = 60_000
"""Windows are a minute long: more is not believed."""
RESET_S_MAX = 60.0
RESET_S_DEFAULT = 1.0
"""How long `remaining` is believed where no reset was told."""
UTILIZATION_MAX = 1000.0

_ROUTE_HEADERS = tuple(
    f"x-ratelimit-{what}-{unit}" for what in ("limit", "remaining", "reset") for unit in ("requests", "tokens")
)


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer's headers say of its deployment; None where they say nothing that can be believed.

    `limit_*` per minute; one that is lower than configured is a temporary reduction (Azure's quota page).
    `remaining_*` hold for `reset_*_s` seconds at most. `utilization` of a provisioned deployment in percent, 100 and
    more when it is full.
    """

    limit_tokens: int | None = None
    limit_requests: int | None = None
    remaining_tokens: int | None = None
    remaining_requests: int | None = None
    reset_tokens_s: float = RESET_S_DEFAULT
    reset_requests_s: float = RESET_S_DEFAULT
    utilization: float | None = None


NOTHING = Told()


def told(headers: Mapping[str, str]) -> Told:
    """What the headers of a deployment's answer say of its limits."""
    utilization = _utilization(headers.get("azure-openai-deployment-utilization"))
    limit_tokens = _limit(headers.get("x-ratelimit-limit-tokens"))
    limit_requests = _limit(headers.get("x-ratelimit-limit-requests"))
    remaining_tokens = _remaining(headers.get("x-ratelimit-remaining-tokens"), limit_tokens)
    remaining_requests = _remaining(headers.get("x-ratelimit-remaining-requests"), limit_requests)
    if utilization is None and limit_tokens is None and limit_requests is None:  # without a limit nothing remains
        return NOTHING
    return Told(
        limit_tokens,
        limit_requests,
        remaining_tokens,
        remaining_requests,
        _reset_s(headers.get("x-ratelimit-reset-tokens")),
        _reset_s(headers.get("x-ratelimit-reset-requests")),
        utilization,
    )


def retry_after_ms(headers: Mapping[str, str], now: float) -> int | None:
    """Milliseconds to wait, 1 to RETRY_AFTER_MS_MAX; None when nothing usable was said.

    `retry-after-ms` is exact and wins over `retry-after` (seconds, or an HTTP date compared with `now`, Unix
    seconds). Zero, negative and unreadable values are ignored.
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


def _limit(written: str | None) -> int | None:
    number = _number(written)
    return int(number) if number is not None and number >= 1 else None


def _remaining(written: str | None, limit: int | None) -> int | None:
    """Without a limit beside it, or above it, what remains is not believed: `0` of `0` is how nothing is said."""
    number = _number(written)
    return int(number) if limit is not None and number is not None and 0 <= number <= limit else None


def _reset_s(written: str | None) -> float:
    """Azure sends plain seconds; OpenAI's `6m0s` and `20ms` are read too."""
    seconds = _number(written)
    if seconds is None and written:
        seconds = _duration_s(written)
    return min(seconds, RESET_S_MAX) if seconds is not None and seconds > 0 else RESET_S_DEFAULT


def _duration_s(written: str) -> float | None:
    units = {"ms": 0.001, "h": 3600.0, "m": 60.0, "s": 1.0}
    total, digits = 0.0, ""
    rest = written
    while rest:
        if rest[0].isdigit() or rest[0] == ".":
            digits, rest = digits + rest[0], rest[1:]
            continue
        unit = next((name for name in units if rest.startswith(name)), None)
        number = _number(digits)
        if unit is None or number is None:
            return None
        total, digits, rest = total + number * units[unit], "", rest[len(unit) :]
    return total if not digits else None


def _utilization(written: str | None) -> float | None:
    number = _number(written.strip().removesuffix("%")) if written else None
    return number if number is not None and 0 <= number <= UTILIZATION_MAX else None


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
