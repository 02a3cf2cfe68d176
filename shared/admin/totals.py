"""What was spent, in all, by key and by model: from the totals of days, never from the list of attempts.

LiteLLM's shapes, with what it does not tell beside them: attempts without a price, and those of which nobody knows
whether they were billed. `attempts` counts each send of a call that went to several deployments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from shared.admin import asking
from shared.admin.asking import Span
from shared.admin.books import Books
from shared.admin.shown import Cell, Report, dollars
from shared.spend import report
from shared.spend.pricing import usd
from shared.spend.totals import Group, Sums, Totals

FILTERS = ("api_key", "model")
LIMIT_DEFAULT, LIMIT_MAX = 100, 10_000
COUNTS = ("calls", "attempts", "failed", "unknown", "unpriced")


async def found(books: Books, asked: Mapping[str, str], span: Span) -> Sums:
    """The totals of the span, of one key (its id or alias) and one model where they are asked for."""
    sums = await report.totals(books.totals, *span.days)
    key, model = asked.get("api_key"), asked.get("model")
    if key is None and model is None:
        return sums
    some = Sums(None)
    for group, totals in sums:
        if key in (None, group.key_id, totals.key_alias or None) and model in (None, group.model):
            some.take_one(group, totals)
    return some


async def spend(books: Books, query: Mapping[str, str]) -> Report:
    """`{spend, start_date, end_date, calls, attempts, failed, unknown, unpriced}`. Raises BadRequest, StorageFailed."""
    asked = asking.known(query, (*asking.DATES, *FILTERS))
    span = asking.span(asked, books.clock())
    total = summed(totals for _, totals in await found(books, asked, span))
    answer = {"spend": dollars(total.cost), **span.shown(), **counts(total)}
    row: list[Cell] = [usd(total.cost), *span.shown().values(), *counts(total).values()]
    return Report(answer, ("spend", *asking.DATES, *COUNTS), lambda: [row])


async def keys(books: Books, query: Mapping[str, str]) -> Report:
    """`[{api_key, key_alias, total_spend, …}]`, who spent most first; `api_key` is the key's id. Raises as `spend`."""
    return await _ranked(books, query, "api_key", lambda group: group.key_id)


async def models(books: Books, query: Mapping[str, str]) -> Report:
    """`[{model, total_spend, …}]`, what cost most first, by public name. Raises as `spend`."""
    return await _ranked(books, query, "model", lambda group: group.model)


def summed(some: Iterable[Totals]) -> Totals:
    """What several come to."""
    total = Totals()
    for one in some:
        total.add(one)
    return total


def grouped(sums: Iterable[tuple[Group, Totals]], name: Callable[[Group], str]) -> dict[str, Totals]:
    """Totals by what `name` gives."""
    groups: dict[str, Totals] = {}
    for group, totals in sums:
        groups.setdefault(name(group), Totals()).add(totals)
    return groups


def counts(totals: Totals) -> dict[str, int]:
    return {name: getattr(totals, name) for name in COUNTS}


async def _ranked(books: Books, query: Mapping[str, str], what: str, name: Callable[[Group], str]) -> Report:
    asked = asking.known(query, (*asking.DATES, *FILTERS, "limit"))
    span = asking.span(asked, books.clock())
    limit = asking.number(asked, "limit", LIMIT_DEFAULT, LIMIT_MAX)
    groups = grouped(await found(books, asked, span), name)
    ranked = sorted(groups.items(), key=lambda item: (-item[1].cost, -item[1].attempts, item[0]))[:limit]
    alias = what == "api_key"
    answer: list[dict[str, Any]] = []
    rows: list[list[Cell]] = []
    for value, totals in ranked:
        named = {"key_alias": totals.key_alias or None} if alias else {}
        answer.append({what: value, **named, "total_spend": dollars(totals.cost), **counts(totals)})
        rows.append([value, *named.values(), usd(totals.cost), *counts(totals).values()])
    columns = (what, *(("key_alias",) if alias else ()), "total_spend", *COUNTS)
    return Report(answer, columns, lambda: rows)
