"""`/spend/…`, `/global/…` and `/user/…`: what was spent, as JSON or, with `Accept: text/csv`, as a table."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping

import orjson

from shared.admin import activity, logs, totals
from shared.admin.books import Books
from shared.admin.shown import Report, csv, wants_csv
from shared.callers.virtual_key import hash_of, may_be_key
from shared.operations.context import Context
from shared.operations.reply import BufferedReply

_HASH = re.compile(r"[0-9a-f]{64}")


async def spend_logs(context: Context) -> BufferedReply:
    """The attempts of every key; whoever does not hold the master key sees its own."""
    only = None if context.caller.is_master else context.caller.key_id
    return await _shown(context, await logs.listed(context.parts.books, await _query(context), only), "spend-logs")


async def global_spend(context: Context) -> BufferedReply:
    """What was spent in all."""
    return await _report(context, totals.spend, "spend")


async def global_spend_keys(context: Context) -> BufferedReply:
    """What each key spent."""
    return await _report(context, totals.keys, "spend-by-key")


async def global_spend_models(context: Context) -> BufferedReply:
    """What was spent on each model."""
    return await _report(context, totals.models, "spend-by-model")


async def global_activity(context: Context) -> BufferedReply:
    """How much was used on each day."""
    return await _report(context, activity.activity, "activity")


async def daily_activity(context: Context) -> BufferedReply:
    """What was used and spent on each day, by model, deployment and key."""
    return await _report(context, activity.daily, "daily-activity")


async def _report(
    context: Context, make: Callable[[Books, Mapping[str, str]], Awaitable[Report]], name: str
) -> BufferedReply:
    return await _shown(context, await make(context.parts.books, await _query(context)), name)


async def _query(context: Context) -> Mapping[str, str]:
    """What is asked for; a key that is named by itself, or by its SHA-256, is meant by its id."""
    query, keys = dict(context.request.query_params), context.parts.keys
    written = query.get("api_key", "")
    hashed = hash_of(written) if may_be_key(written) else written.lower()
    if keys is not None and _HASH.fullmatch(hashed):
        found = await keys.store.find(hashed)
        if found is not None:
            query["api_key"] = found.key_id
    return query


async def _shown(context: Context, report: Report, name: str) -> BufferedReply:
    headers = {"vary": "accept", "cache-control": "no-store", **report.headers}
    if not wants_csv(context.request.headers.get("accept", "")):
        return BufferedReply(200, await asyncio.to_thread(orjson.dumps, report.json), headers)
    headers["content-disposition"] = f'attachment; filename="{name}.csv"'
    table = await asyncio.to_thread(lambda: csv(report.columns, report.rows()))
    return BufferedReply(200, table, headers, "text/csv; charset=utf-8; header=present")
