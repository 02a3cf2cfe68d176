"""What a request says of its own routing, as LiteLLM's clients do; it is taken out of the body, for no model to see.

fallbacks          names of models that take over, in place of the configured ones; [] for none
disable_fallbacks  true: none
num_retries        further attempts within a model's deployments
tags               with `metadata.tags` and the header `x-litellm-tags` (commas between them): tag routing
allowed_model_region   a region, `eu` or `us`
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.errors import BadRequest
from shared.operations.parsing import boolean, wrong_type
from shared.routing.filters import Asked

FIELDS = ("fallbacks", "disable_fallbacks", "num_retries", "tags", "allowed_model_region")
TAGS_HEADER = "x-litellm-tags"
RETRIES_MAX = 10
NAMES_MAX = 20
NOTHING = Asked()
_LISTS = ("fallbacks", "tags")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def from_form(body: dict[str, Any]) -> dict[str, Any]:
    """A form's fields, with what they say of routing as JSON would say it: `fallbacks` or `fallbacks[]`, once or more
    often. What cannot be read stays as it is, to be refused by its name."""
    read = dict(body)
    for name in _LISTS:
        if f"{name}[]" in read:
            read[name] = read.pop(f"{name}[]")
        elif isinstance(read.get(name), str):
            read[name] = [read[name]]
    flag, retries = read.get("disable_fallbacks"), read.get("num_retries")
    if isinstance(flag, str):
        read["disable_fallbacks"] = _TRUTH.get(flag.lower(), flag)
    if isinstance(retries, str) and retries.isascii() and retries.isdigit() and len(retries) < 10:
        read["num_retries"] = int(retries)
    return read


def taken(body: dict[str, Any], headers: Mapping[str, str]) -> tuple[dict[str, Any], Asked]:
    """`body` without what it says of routing, and what that is. Raises BadRequest naming the parameter."""
    metadata = body.get("metadata")
    tagged = isinstance(metadata, dict) and isinstance(metadata.get("tags"), list)
    header = headers.get(TAGS_HEADER)
    if not tagged and header is None and not any(name in body for name in FIELDS):
        return body, NOTHING
    tags = list(_names(body["tags"], "tags")) if body.get("tags") is not None else []
    rest = {name: value for name, value in body.items() if name not in FIELDS}
    if isinstance(metadata, dict) and tagged:
        tags += _names(metadata["tags"], "metadata.tags")
        rest["metadata"] = {name: value for name, value in metadata.items() if name != "tags"}
    tags += [tag for part in (header or "").split(",") if (tag := part.strip())]
    return rest, Asked(tuple(tags), _region(body), _fallbacks(body), _num_retries(body))


def _fallbacks(body: Mapping[str, Any]) -> tuple[str, ...] | None:
    if boolean(body, "disable_fallbacks"):
        return ()
    value = body.get("fallbacks")
    return None if value is None else _names(value, "fallbacks")


def _num_retries(body: Mapping[str, Any]) -> int | None:
    value = body.get("num_retries")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type("num_retries", "an integer", value)
    if not 0 <= value <= RETRIES_MAX:
        raise BadRequest(f"`num_retries` must be from 0 to {RETRIES_MAX}.", param="num_retries", code="invalid_value")
    return value


def _region(body: Mapping[str, Any]) -> str | None:
    value = body.get("allowed_model_region")
    if value is not None and (not isinstance(value, str) or not value):
        raise wrong_type("allowed_model_region", "a string that is not empty", value)
    return value


def _names(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > NAMES_MAX or not all(isinstance(one, str) and one for one in value):
        raise BadRequest(f"`{name}` must be a list of at most {NAMES_MAX} names.", param=name, code="invalid_type")
    return tuple(value)
