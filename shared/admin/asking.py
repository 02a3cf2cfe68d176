"""What a report is asked for, read from its query. A name or a value that means nothing is a 400 that says so: a
filter which is passed over gives a figure that somebody believes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from shared.errors import BadRequest, quoted
from shared.spend.report import DAYS_MAX

IGNORED = frozenset({"api-version"})
"""AzureOpenAI clients write it into every address."""
DATES = ("start_date", "end_date")
DAYS_DEFAULT = 30


@dataclass(frozen=True, slots=True)
class Span:
    """Days in UTC, both included."""

    first: date
    last: date

    @property
    def days(self) -> tuple[str, str]:
        """Both as the ledger has them: `yyyymmdd`."""
        return f"{self.first:%Y%m%d}", f"{self.last:%Y%m%d}"

    def shown(self) -> dict[str, str]:
        """As it is asked for."""
        return {"start_date": self.first.isoformat(), "end_date": self.last.isoformat()}


def known(query: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """What the query says, without what is empty. Raises BadRequest for a name that this report does not have."""
    for name in query:
        if name not in names and name not in IGNORED:
            listed = ", ".join(f"`{one}`" for one in names)
            raise BadRequest(
                f"{quoted(name)} is no parameter of this report; it has {listed}.",
                param=name[:100],
                code="unknown_parameter",
            )
    return {name: value for name, value in query.items() if value and name not in IGNORED}


def span(query: Mapping[str, str], now: float, days_default: int = DAYS_DEFAULT) -> Span:
    """The days from `start_date` to `end_date`. Today, in UTC, is the last where none is named, and the first is then
    so many days before that `days_default` are reported. Raises BadRequest."""
    today = datetime.fromtimestamp(now, UTC).date()
    first, last = (_date(name, query.get(name)) for name in DATES)
    if last is None:
        last = max(today, first or today)
    if first is None:
        first = last - timedelta(days=days_default - 1) if last > date(1970, 12, 31) else last
    if first > last:
        raise BadRequest(f"`start_date` {first} is after `end_date` {last}.", param="start_date", code="invalid_value")
    days = (last - first).days + 1
    if days > DAYS_MAX:
        raise BadRequest(
            f"{days} days are more than the {DAYS_MAX} of one report.", param="start_date", code="invalid_value"
        )
    return Span(first, last)


def number(query: Mapping[str, str], name: str, default: int, highest: int) -> int:
    """A whole number from 1 to `highest`. Raises BadRequest."""
    text = query.get(name)
    if text is None:
        return default
    value = int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0
    if not 1 <= value <= highest:
        raise BadRequest(
            f"Invalid '{name}': {quoted(text)} is not a whole number from 1 to {highest}.",
            param=name,
            code="invalid_value",
        )
    return value


def _date(name: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        found = datetime.strptime(text, "%Y-%m-%d").date()
        if found.isoformat() == text and found.year >= 1970:
            return found
    except ValueError:
        pass
    raise BadRequest(
        f"Invalid '{name}': {quoted(text)} is not a date such as 2026-07-31.", param=name, code="invalid_value"
    )
