"""The list of attempts, as `GET /spend/logs` tells it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from shared.admin import asking
from shared.admin.books import Books
from shared.admin.shown import Cell, Report, dollars, usage_shown
from shared.errors import BadRequest, quoted
from shared.spend import logs
from shared.spend.entry import STATUSES, Entry
from shared.spend.logs import LIMIT_MAX, Page, Place, Wanted
from shared.spend.pricing import usd
from shared.spend.report import DAYS_MAX

LIMIT_DEFAULT = 100
DAYS_DEFAULT = 7
"""An id of a call or an attempt says on which day it is; it is found however long ago that was."""
_FILTERS = ("api_key", "model", "tag", "status", "request_id")
NAMES = (*asking.DATES, *_FILTERS, "limit", "after")
_COLUMNS = (
    *("call_id", "attempt", "status", "spend", "model", "deployment", "base_model", "key_alias", "key_id", "operation"),
    *("tags", "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "usage_source"),
    *("price_source", "http_status", "code", "started_at", "duration_ms", "request_id"),
)


async def listed(books: Books, query: Mapping[str, str], only_key: str | None = None) -> Report:
    """A page of attempts, `{object: "list", data, has_more, first_id, last_id}`. `only_key`: those of this key alone.

    A page may have fewer than `limit`, or none, and others behind it: how much is read for one is bounded. Raises
    BadRequest and StorageFailed.
    """
    asked = asking.known(query, NAMES)
    span = asking.span(asked, books.clock(), _days(asked))
    limit = asking.number(asked, "limit", LIMIT_DEFAULT, LIMIT_MAX)
    page = await logs.page(
        books.log, *span.days, _wanted(asked, only_key), after=_after(asked.get("after")), limit=limit
    )
    data = [{"id": str(place), **entry_shown(entry)} for place, entry in page.items]
    last = None if page.last is None else str(page.last)
    answer = {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": last,
        "has_more": page.has_more,
    }
    return Report(answer, _COLUMNS, lambda: [_row(entry) for _, entry in page.items], _headers(page, last))


def _days(asked: Mapping[str, str]) -> int:
    """How many days are looked through where none are named."""
    return DAYS_MAX if asked.get("request_id", "").startswith("call_") else DAYS_DEFAULT


def entry_shown(entry: Entry) -> dict[str, Any]:
    """An attempt, its times in seconds since 1970. `spend` is in dollars, None while it is open and where there is no
    price; of an unknown one, which may have been billed, it is `expected_spend`: what was expected when it was sent."""
    return {
        "object": "spend.log",
        "call_id": entry.call_id or entry.entry_id,
        "attempt": entry.attempt,
        "status": entry.status,
        "spend": None if entry.is_open or entry.cost is None else dollars(entry.cost),
        "expected_spend": None if entry.reserved is None else dollars(entry.reserved),
        "operation": entry.operation,
        "model": entry.model,
        "deployment": entry.deployment,
        "deployment_id": entry.deployment_id,
        "base_model": entry.base_model,
        "key_id": entry.key_id,
        "key_alias": entry.key_alias or None,
        "tags": list(entry.tags),
        "stream": entry.stream,
        "usage": None if entry.is_open else usage_shown(entry.usage),
        "price_source": entry.price_source or None,
        "http_status": entry.http_status or None,
        "code": entry.code or None,
        "outcome": entry.outcome or None,
        "request_id": entry.request_id or None,
        "started_at": entry.started_at,
        "ended_at": None if entry.is_open else entry.ended_at,
        "duration_ms": None if entry.is_open else entry.duration_ms,
        "first_byte_ms": entry.first_byte_ms,
    }


def _wanted(asked: Mapping[str, str], only_key: str | None) -> Wanted:
    status = asked.get("status")
    if status is not None and status not in STATUSES:
        raise BadRequest(
            f"Invalid 'status': {quoted(status)} is none of {', '.join(STATUSES)}.",
            param="status",
            code="invalid_value",
        )
    return Wanted(
        key_id=only_key,
        key=asked.get("api_key"),
        model=asked.get("model"),
        tag=asked.get("tag"),
        status=status,
        request_id=asked.get("request_id"),
    )


def _after(text: str | None) -> Place | None:
    if text is None:
        return None
    place = Place.read(text)
    if place is None:
        raise BadRequest(f"Invalid 'after': {quoted(text)} is no id of this list.", param="after", code="invalid_value")
    return place


def _headers(page: Page, last: str | None) -> dict[str, str]:
    """What a table in CSV cannot say."""
    headers = {"x-spillway-has-more": "true" if page.has_more else "false"}
    return headers if last is None else {**headers, "x-spillway-last-id": last}


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _row(entry: Entry) -> list[Cell]:
    used = {} if entry.is_open else entry.usage
    counts = [used.get(name) for name in ("prompt", "completion", "cached", "reasoning", "source")]
    return [
        entry.call_id or entry.entry_id,
        entry.attempt,
        entry.status,
        None if entry.is_open or entry.cost is None else usd(entry.cost),
        entry.model,
        entry.deployment,
        entry.base_model,
        entry.key_alias,
        entry.key_id,
        entry.operation,
        " ".join(entry.tags),
        *counts,
        entry.price_source,
        entry.http_status or None,
        entry.code,
        _time(entry.started_at),
        None if entry.is_open else str(entry.duration_ms),
        entry.request_id,
    ]
