"""What a request says of a file beside its bytes: purpose, life, model, and which page of a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from shared.errors import BadRequest, quoted
from shared.files.identity import FILE, place_of
from shared.files.listing import LIMIT_MAX, Wanted
from shared.files.stored_file import PURPOSES
from shared.operations.parsing import missing, wrong_type

EXPIRES_AFTER_S_MIN, EXPIRES_AFTER_S_MAX = 3600, 30 * 86_400
"""OpenAI's bounds."""
MODEL_HEADER = "x-litellm-model"
_ORDERS = {"asc": True, "desc": False}


def purpose_of(written: Any) -> str:
    """What the file is for. Raises BadRequest."""
    if written is None:
        raise missing("purpose")
    if not isinstance(written, str):
        raise wrong_type("purpose", "a string", written)
    if written not in PURPOSES:
        raise BadRequest(
            f"{quoted(written)} is not one of {', '.join(PURPOSES)}.", param="purpose", code="invalid_value"
        )
    return written


def expiry_of(form: Mapping[str, str]) -> Any:
    """`expires_after` of a form, as JSON would have it: bracketed as the SDKs write it, with dots as Azure's samples
    do, or as JSON."""
    spelled = {
        name: form[key]
        for name in ("anchor", "seconds")
        for key in (f"expires_after[{name}]", f"expires_after.{name}")
        if key in form
    }
    if spelled or not form.get("expires_after"):
        return spelled or None
    try:
        return orjson.loads(form["expires_after"])
    except orjson.JSONDecodeError:
        raise wrong_type("expires_after", "an object", form["expires_after"]) from None


def expires_after_s(value: Any) -> int | None:
    """Seconds until the file expires, from `{anchor: "created_at", seconds}`; None is never. Raises BadRequest."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise wrong_type("expires_after", "an object", value)
    if value.get("anchor") != "created_at":
        raise BadRequest(
            "`expires_after.anchor` must be `created_at`.", param="expires_after.anchor", code="invalid_value"
        )
    seconds = value.get("seconds")
    if isinstance(seconds, str) and seconds.isdecimal() and len(seconds) < 12:
        seconds = int(seconds)
    if type(seconds) is not int or not EXPIRES_AFTER_S_MIN <= seconds <= EXPIRES_AFTER_S_MAX:
        raise BadRequest(
            f"`expires_after.seconds` must be a whole number from {EXPIRES_AFTER_S_MIN} to {EXPIRES_AFTER_S_MAX}.",
            param="expires_after.seconds",
            code="invalid_value",
        )
    return seconds


def model_of(fields: Mapping[str, Any], query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """The model that the file is said to be for, "" for none; LiteLLM's clients write it in any of these places."""
    listed = fields.get("target_model_names")
    first = listed.split(",")[0].strip() if isinstance(listed, str) else ""
    for written in (fields.get("model"), query.get("model"), headers.get(MODEL_HEADER), first):
        if isinstance(written, str) and written:
            return written
    return ""


def wanted_of(query: Mapping[str, str]) -> Wanted:
    """The page that is asked for. Raises BadRequest."""
    limit = query.get("limit", "")
    if limit and not (limit.isdecimal() and len(limit) < 10 and 1 <= int(limit) <= LIMIT_MAX):
        raise BadRequest(f"`limit` must be from 1 to {LIMIT_MAX:,}.", param="limit", code="invalid_value")
    order = query.get("order") or "desc"
    if order not in _ORDERS:
        raise BadRequest("`order` must be asc or desc.", param="order", code="invalid_value")
    after = None
    if query.get("after"):
        after = place_of(FILE, query["after"])
        if after is None:
            raise BadRequest("`after` is not the id of a file.", param="after", code="invalid_value")
    purpose = query.get("purpose") or None
    return Wanted(int(limit) if limit else LIMIT_MAX, after, _ORDERS[order], purpose)
