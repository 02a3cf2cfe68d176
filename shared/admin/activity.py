"""How much was used, day by day, as LiteLLM's pages read it.

`api_requests` counts attempts, as the bill does: a call that went to two deployments is there twice, once among
`failed_requests`. An attempt of which nobody knows how it ended is among those too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from shared.admin import asking
from shared.admin.books import Books
from shared.admin.shown import Cell, Report, dollars
from shared.admin.totals import FILTERS, found, grouped, summed
from shared.spend.pricing import usd
from shared.spend.totals import Group, Sums, Totals

PAGE_DAYS_DEFAULT, PAGE_DAYS_MAX = 31, 400
_METRICS = (
    *("prompt_tokens", "completion_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "total_tokens"),
    *("successful_requests", "failed_requests", "api_requests"),
)
_NO_BREAKDOWN = ("mcp_servers", "model_groups", "providers", "endpoints", "entities")
"""What LiteLLM breaks down by, too, and the totals do not."""
Groups = Iterable[tuple[Group, Totals]]


async def activity(books: Books, query: Mapping[str, str]) -> Report:
    """`{daily_data: [{date, api_requests, total_tokens}], sum_api_requests, sum_total_tokens}`, the oldest day first,
    without days of which there is nothing. Raises BadRequest and StorageFailed."""
    asked = asking.known(query, (*asking.DATES, *FILTERS))
    span = asking.span(asked, books.clock())
    days = sorted(grouped(await found(books, asked, span), lambda group: group.day).items())
    daily = [(day, totals.attempts, _tokens(totals)) for day, totals in days]
    answer = {
        "daily_data": [
            {"date": f"{_date(day):%b %d}", "day": _iso(day), "api_requests": requests, "total_tokens": tokens}
            for day, requests, tokens in daily
        ],
        "sum_api_requests": sum(requests for _, requests, _ in daily),
        "sum_total_tokens": sum(tokens for _, _, tokens in daily),
    }
    rows: list[list[Cell]] = [[_iso(day), requests, tokens] for day, requests, tokens in daily]
    return Report(answer, ("day", "api_requests", "total_tokens"), lambda: rows)


async def daily(books: Books, query: Mapping[str, str]) -> Report:
    """`{results: [{date, metrics, breakdown}], metadata}`, the newest day first, `page_size` days a page. As a table it
    is whole: a line for each day, key, model and deployment. Raises BadRequest and StorageFailed."""
    asked = asking.known(query, (*asking.DATES, *FILTERS, "page", "page_size"))
    span = asking.span(asked, books.clock())
    number = asking.number(asked, "page", 1, PAGE_DAYS_MAX)
    size = asking.number(asked, "page_size", PAGE_DAYS_DEFAULT, PAGE_DAYS_MAX)
    sums = await found(books, asked, span)
    return await asyncio.to_thread(_report, sums, number, size)


def _report(sums: Sums, number: int, size: int) -> Report:
    """Made in a thread: there may be tens of thousands of groups."""
    by_day: dict[str, list[tuple[Group, Totals]]] = {}
    for group, totals in sums:
        by_day.setdefault(group.day, []).append((group, totals))
    days = sorted(by_day, reverse=True)
    pages = max(-(-len(days) // size), 1)
    shown = days[(number - 1) * size : number * size]
    total = summed(totals for _, totals in sums)
    answer = {
        "results": [_day(day, by_day[day]) for day in shown],
        "metadata": {
            **{f"total_{name.removeprefix('total_')}": value for name, value in _metrics(total).items()},
            "page": number,
            "total_pages": pages,
            "has_more": number < pages,
        },
    }
    return Report(answer, _COLUMNS, lambda: _table(sums))


_COLUMNS = ("date", "key_id", "key_alias", "model", "deployment", "deployment_id", "spend", *_METRICS)


def _table(sums: Sums) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for group, totals in sorted(sums, key=lambda item: item[0]):
        names = [group.key_id, totals.key_alias, group.model, totals.label, group.deployment]
        metrics = _metrics(totals)
        rows.append([_iso(group.day), *names, usd(totals.cost), *(metrics[name] for name in _METRICS)])
    return rows


def _day(day: str, groups: list[tuple[Group, Totals]]) -> dict[str, Any]:
    models = _breakdown(groups, lambda group: group.model)
    deployments = grouped(groups, lambda group: group.deployment)
    return {
        "date": _iso(day),
        "metrics": _metrics(summed(totals for _, totals in groups)),
        "breakdown": {
            **{name: {} for name in _NO_BREAKDOWN},
            "models": models,
            "deployments": {one: {"metrics": _metrics(totals)} for one, totals in sorted(deployments.items())},
            "api_keys": _keys(groups),
        },
    }


def _breakdown(groups: Groups, name: Callable[[Group], str]) -> dict[str, Any]:
    parts: dict[str, list[tuple[Group, Totals]]] = {}
    for group, totals in groups:
        parts.setdefault(name(group), []).append((group, totals))
    return {
        value: {
            "metrics": _metrics(summed(totals for _, totals in some)),
            "metadata": {},
            "api_key_breakdown": _keys(some),
        }
        for value, some in sorted(parts.items())
    }


def _keys(groups: Groups) -> dict[str, Any]:
    keys = grouped(groups, lambda group: group.key_id)
    return {
        key: {"metrics": _metrics(totals), "metadata": {"key_alias": totals.key_alias or None, "team_id": None}}
        for key, totals in sorted(keys.items())
    }


def _metrics(totals: Totals) -> dict[str, Any]:
    used = totals.usage
    bad = totals.failed + totals.unknown
    return {
        "spend": dollars(totals.cost),
        "prompt_tokens": used.get("prompt", 0),
        "completion_tokens": used.get("completion", 0),
        "cache_read_input_tokens": used.get("cached", 0),
        "cache_creation_input_tokens": used.get("cache_write", 0),
        "total_tokens": _tokens(totals),
        "successful_requests": totals.attempts - bad,
        "failed_requests": bad,
        "api_requests": totals.attempts,
    }


def _tokens(totals: Totals) -> int:
    return totals.usage.get("prompt", 0) + totals.usage.get("completion", 0)


def _date(day: str) -> datetime:
    return datetime.strptime(day, "%Y%m%d")


def _iso(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"
