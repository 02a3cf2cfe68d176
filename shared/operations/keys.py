"""`/key/...`: virtual keys under LiteLLM's routes and names; all for the master key, but for a key's look at itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from shared.callers.key_store import unknown_key
from shared.callers.keys import Keys
from shared.callers.virtual_key import VirtualKey
from shared.errors import BadRequest, NotFound, Unavailable
from shared.operations.body import read_json
from shared.operations.context import Context
from shared.operations.key_fields import applied, chosen_key, described, values
from shared.operations.parsing import missing, wrong_type
from shared.operations.reply import BufferedReply

BODY_BYTES_MAX = 1024 * 1024
KEYS_AT_ONCE = 100
PAGE_MAX = 100
PAGE_DEFAULT = 10
SCANNED_MAX = 50_000
NOBODY = VirtualKey("", "", "", 0.0, 0.0)


async def generate(context: Context) -> BufferedReply:
    """A new key: the only answer that has it."""
    keys = _keys(context)
    body = await _body(context)
    found = values(body, frozenset({"key"}))
    now = round(keys.clock(), 3)
    draft = replace(applied(NOBODY, found, now, 0), created_at=now, updated_at=now)
    secret, key = await keys.store.create(draft, chosen_key(body, "key"))
    keys.known.forget(key.hash)
    return _reply({"key": secret, **described(key, now, key.spent)})


async def update(context: Context) -> BufferedReply:
    """Changes what the request names."""
    keys = _keys(context)
    body = await _body(context)
    return await _changed(keys, await keys.store.id_of(_named(body)), values(body, frozenset({"key"})))


async def block(context: Context) -> BufferedReply:
    """The key works no more; within five seconds on every instance."""
    return await _blocked(context, blocked=True)


async def unblock(context: Context) -> BufferedReply:
    """The key works again."""
    return await _blocked(context, blocked=False)


async def regenerate(context: Context) -> BufferedReply:
    """Another key for the same id, with everything that belongs to it."""
    keys = _keys(context)
    body = await _body(context, may_be_empty=True)
    named = context.params.get("key") or _named(body)
    found = values(body, frozenset({"key", "new_key"}))
    key_id = await keys.store.id_of(named)
    spend = await keys.spent(await keys.store.get(key_id))
    change = partial(applied, found=found, now=keys.clock(), spend=spend)
    secret, key, old = await keys.store.regenerate(key_id, chosen_key(body, "new_key"), change)
    keys.known.forget(old)
    keys.known.forget(key.hash)
    return _reply({"key": secret, **described(key, keys.clock(), await keys.spent(key))})


async def delete(context: Context) -> BufferedReply:
    """Removes keys, by themselves or their aliases; those that are gone already are passed over."""
    keys = _keys(context)
    body = await _body(context)
    named, aliases = _listed(body, "keys"), _listed(body, "key_aliases")
    if not named and not aliases:
        raise missing("keys")
    deleted: list[str] = []
    for name, find in [
        *((one, keys.store.id_of) for one in named),
        *((one, keys.store.id_of_alias) for one in aliases),
    ]:
        try:
            key = await keys.store.delete(await find(name))
        except NotFound:
            continue
        keys.known.forget(key.hash)
        deleted.append(name)
    if not deleted:
        raise unknown_key()
    return _reply({"deleted_keys": deleted})


async def info(context: Context) -> BufferedReply:
    """`{key, info}` of `?key=`, or of the caller's own key."""
    keys = _keys(context)
    own = context.caller.key
    named = context.request.query_params.get("key")
    if named is None and own is None:
        raise missing("key")
    key_id = own.key_id if named is None and own is not None else await keys.store.id_of(str(named))
    if not context.caller.is_master and (own is None or key_id != own.key_id):
        raise unknown_key()
    key = await keys.store.get(key_id)
    return _reply({"key": key.hash, "info": described(key, keys.clock(), await keys.spent(key))})


async def list_keys(context: Context) -> BufferedReply:
    """`{keys, total_count, current_page, total_pages}`, the newest first; `?return_full_object=false`: hashes only."""
    keys = _keys(context)
    query = context.request.query_params
    page, size = _number(query, "page", 1, SCANNED_MAX), _number(query, "size", PAGE_DEFAULT, PAGE_MAX)
    wanted = {name: query[name] for name in ("key_alias", "user_id", "team_id") if query.get(name)}
    found: list[VirtualKey] = []
    after = ""
    while len(found) < SCANNED_MAX:
        rows = await keys.store.page(1000, after)
        found += [key for key in rows if _is(key, wanted)]
        if len(rows) < 1000:
            break
        after = rows[-1].key_id
    found.sort(key=lambda key: (-key.created_at, key.key_id))
    shown = found[(page - 1) * size : page * size]
    whole = query.get("return_full_object", "true").lower() != "false"
    return _reply(
        {
            "keys": [described(key, keys.clock(), await keys.spent(key)) if whole else key.hash for key in shown],
            "total_count": len(found),
            "current_page": page,
            "total_pages": math.ceil(len(found) / size),
        }
    )


async def _blocked(context: Context, *, blocked: bool) -> BufferedReply:
    keys = _keys(context)
    body = await _body(context)
    return await _changed(keys, await keys.store.id_of(_named(body)), {"blocked": blocked})


async def _changed(keys: Keys, key_id: str, found: Mapping[str, Any]) -> BufferedReply:
    spend = await keys.spent(await keys.store.get(key_id))
    key = await keys.store.change(key_id, partial(applied, found=found, now=keys.clock(), spend=spend))
    keys.known.forget(key.hash)
    return _reply(described(key, keys.clock(), await keys.spent(key)))


def _keys(context: Context) -> Keys:
    if context.parts.keys is None:
        raise Unavailable(
            "Virtual keys need a storage account: AzureWebJobsStorage is not set.",
            code="storage_not_configured",
            should_retry=False,
        )
    return context.parts.keys


async def _body(context: Context, *, may_be_empty: bool = False) -> dict[str, Any]:
    headers = context.request.headers
    if may_be_empty and headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return {}
    return await read_json(context.request, BODY_BYTES_MAX)


def _named(body: Mapping[str, Any]) -> str:
    key = body.get("key")
    if key is None:
        raise missing("key")
    if not isinstance(key, str):
        raise wrong_type("key", "a string", key)
    return key


def _listed(body: Mapping[str, Any], name: str) -> list[str]:
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise wrong_type(name, "an array of strings", value)
    if len(value) > KEYS_AT_ONCE:
        raise BadRequest(f"`{name}` has more than {KEYS_AT_ONCE}.", param=name, code="invalid_value")
    return value


def _number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = query.get(name) or str(default)
    if not text.isdecimal() or len(text) > 9 or not 1 <= int(text) <= most:
        raise BadRequest(f"Invalid '{name}': expected 1 to {most:,}.", param=name, code="invalid_value")
    return int(text)


def _is(key: VirtualKey, wanted: Mapping[str, str]) -> bool:
    has = {"key_alias": key.alias, "user_id": key.user_id, "team_id": key.team_id}
    return all(has[name] == value for name, value in wanted.items())


def _reply(answer: Mapping[str, Any]) -> BufferedReply:
    return BufferedReply(200, orjson.dumps(answer))
