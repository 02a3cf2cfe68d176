"""The fields of a virtual key under LiteLLM's names: read from a request, and written into an answer.

A field that is not there changes nothing, null clears it. A field of LiteLLM's that has no effect here is refused,
unless it says nothing (null, false, or empty): a limit that nobody keeps would be worse than an error.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from shared.callers import durations
from shared.callers.virtual_key import KEY_CHARS_MAX, KEY_PREFIX, VirtualKey, may_be_key
from shared.config.pricing import PICO, picodollars
from shared.errors import BadRequest, quoted
from shared.operations.parsing import wrong_type

ALIAS_CHARS_MAX = 128
NAMES_MAX = 200
NAME_CHARS_MAX = 256
TAGS_MAX = 64
METADATA_BYTES_MAX = 16_384
LIMIT_MAX = 10**12
USD_MAX = 1_000_000
KEY_CHARS_MIN = 16
"""Of a key that the operator chooses: whoever guesses it has it."""
NEVER = "-1"
"""LiteLLM's duration of a key that does not expire."""

_UNSUPPORTED = (
    "allowed_cache_controls allowed_routes auto_rotate rotation_interval budget_id budget_limits config enforced_params"
    " guardrails key_type model_max_budget model_rpm_limit model_tpm_limit tpd_limit object_permission organization_id"
    " permissions policies project_id prompts router_settings rpm_limit_type send_invite_email tpm_limit_type"
    " throttle_on_budget_exceeded agent_id access_group_ids disable_global_guardrails temp_budget_increase"
    " temp_budget_expiry"
)
UNSUPPORTED = frozenset(_UNSUPPORTED.split())
_SAYS_NOTHING: tuple[Any, ...] = (None, False, "", [], {}, "default", "llm_api")


def values(body: Mapping[str, Any], beside: frozenset[str]) -> dict[str, Any]:
    """The fields of VirtualKey that the body sets, checked; `beside`: names that mean something else there.

    `duration` and `spend` are left for `applied`. Raises BadRequest naming the field.
    """
    found: dict[str, Any] = {}
    for name, value in body.items():
        if name in beside:
            continue
        if name in _FIELDS:
            own, read = _FIELDS[name]
            found[own] = _CLEARED.get(own) if value is None else read(name, value)
        elif name not in UNSUPPORTED:
            near = difflib.get_close_matches(name, [*_FIELDS, *beside], n=1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            raise BadRequest(f"Unknown parameter: {quoted(name)}.{hint}", param=name[:100], code="unknown_parameter")
        elif value not in _SAYS_NOTHING:
            raise BadRequest(f"`{name}` is not supported here.", param=name, code="unsupported_parameter")
    return found


def applied(key: VirtualKey, found: Mapping[str, Any], now: float, spend: int) -> VirtualKey:
    """The key with what `values` found. `spend`: what it has spent in its budget's period.

    Another period begins now, with what was spent so far, unless the request says what was.
    """
    rest = {name: value for name, value in found.items() if name not in ("duration", "spend")}
    if "duration" in found:
        lasting = found["duration"]
        rest["expires_at"] = None if lasting is None else round(durations.after(now, lasting), 3)
    new_period = rest.get("budget_duration", key.budget_duration) != key.budget_duration
    if "spend" in found or new_period or not key.budget_from:
        rest["budget_from"] = round(now, 3)
        rest["spent"] = found.get("spend", spend)
    return replace(key, **rest)


def chosen_key(body: Mapping[str, Any], name: str) -> str | None:
    """The key that the request itself chooses, None when it leaves that to us. Raises BadRequest."""
    key = body.get(name)
    if key is None:
        return None
    if not isinstance(key, str) or not may_be_key(key) or len(key) < KEY_CHARS_MIN:
        expected = f"`{KEY_PREFIX}` and printable ASCII, {KEY_CHARS_MIN} to {KEY_CHARS_MAX} characters in all"
        raise BadRequest(f"Invalid '{name}': expected {expected}.", param=name, code="invalid_value")
    return key


def described(key: VirtualKey, now: float, spend: int) -> dict[str, Any]:
    """The key as an answer shows it; `spend` in its budget's period."""
    resets_at = key.period(now).ends_at
    return {
        "key_id": key.key_id,
        "token": key.hash,
        "key_name": key.hint,
        "key_alias": key.alias or None,
        "models": list(key.models),
        "aliases": dict(key.aliases),
        "expires": iso(key.expires_at),
        "blocked": key.blocked,
        "spend": _usd(spend),
        "max_budget": _usd(key.max_budget),
        "soft_budget": _usd(key.soft_budget),
        "budget_left": None if key.max_budget is None else _usd(max(0, key.max_budget - spend)),
        "budget_overspent": None if key.max_budget is None else _usd(max(0, spend - key.max_budget)),
        "budget_duration": key.budget_duration or None,
        "budget_reset_at": iso(resets_at),
        "tpm_limit": key.tpm_limit,
        "rpm_limit": key.rpm_limit,
        "max_parallel_requests": key.max_parallel_requests,
        "metadata": dict(key.metadata),
        "tags": list(key.tags),
        "user_id": key.user_id or None,
        "team_id": key.team_id or None,
        "created_at": iso(key.created_at),
        "updated_at": iso(key.updated_at),
    }


def iso(at: float | None) -> str | None:
    """A time as answers show it: UTC, to the millisecond."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _usd(amount: int | None) -> float | None:
    return None if amount is None else amount / PICO


def _text(name: str, value: Any, chars_max: int = NAME_CHARS_MAX) -> str:
    if not isinstance(value, str):
        raise wrong_type(name, "a string", value)
    if len(value) > chars_max or not value.isprintable():
        raise _invalid(name, f"printable characters, {chars_max} at most")
    return value


def _alias(name: str, value: Any) -> str:
    return _text(name, value, ALIAS_CHARS_MAX)


def _names(name: str, value: Any, count_max: int = NAMES_MAX) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise wrong_type(name, "an array of strings", value)
    if len(value) > count_max or not all(isinstance(one, str) and 0 < len(one) <= NAME_CHARS_MAX for one in value):
        raise _invalid(name, f"at most {count_max} names of at most {NAME_CHARS_MAX} characters")
    return tuple(dict.fromkeys(value))


def _tags(name: str, value: Any) -> tuple[str, ...]:
    return _names(name, value, TAGS_MAX)


def _aliases(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise wrong_type(name, "an object", value)
    _names(name, [*value, *value.values()])
    return value


def _metadata(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong_type(name, "an object", value)
    try:
        size = len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        size = METADATA_BYTES_MAX + 1
    if size > METADATA_BYTES_MAX:
        raise _invalid(name, f"at most {METADATA_BYTES_MAX:,} bytes of JSON, not nested deeply")
    return value


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise wrong_type(name, "a boolean", value)
    return value


def _limit(name: str, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, "an integer", value)
    if not 0 <= value <= LIMIT_MAX:
        raise _invalid(name, f"0 to {LIMIT_MAX:,}")
    return value


def _money(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(name, "a number", value)
    if not math.isfinite(value) or not 0 <= value <= USD_MAX:
        raise _invalid(name, f"0 to {USD_MAX:,} USD")
    return picodollars(Decimal(str(value)))


def _duration(name: str, value: Any) -> durations.Duration | None:
    if value == NEVER and name == "duration":
        return None
    try:
        return durations.parse(_text(name, value))
    except ValueError as error:
        raise _invalid(name, str(error)) from None


def _duration_text(name: str, value: Any) -> str:
    _duration(name, value)
    return str(value).strip().lower()


def _invalid(name: str, expected: str) -> BadRequest:
    return BadRequest(f"Invalid '{name}': expected {expected}.", param=name, code="invalid_value")


_FIELDS: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "key_alias": ("alias", _alias),
    "models": ("models", _names),
    "aliases": ("aliases", _aliases),
    "duration": ("duration", _duration),
    "max_budget": ("max_budget", _money),
    "soft_budget": ("soft_budget", _money),
    "budget_duration": ("budget_duration", _duration_text),
    "tpm_limit": ("tpm_limit", _limit),
    "rpm_limit": ("rpm_limit", _limit),
    "max_parallel_requests": ("max_parallel_requests", _limit),
    "metadata": ("metadata", _metadata),
    "tags": ("tags", _tags),
    "blocked": ("blocked", _boolean),
    "spend": ("spend", _money),
    "user_id": ("user_id", _text),
    "team_id": ("team_id", _text),
}
"""LiteLLM's name: ours, and what reads it."""
_CLEARED: dict[str, Any] = {
    "alias": "",
    "models": (),
    "aliases": {},
    "budget_duration": "",
    "metadata": {},
    "tags": (),
    "blocked": False,
    "spend": 0,
    "user_id": "",
    "team_id": "",
}
"""What null means; None where it is not said."""
