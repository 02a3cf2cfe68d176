"""A virtual key as the operator made it, and as its row keeps it. Pure.

Money is in picodollars (1e-12 USD), times are seconds since 1970. The key itself is nowhere: `hash` is the SHA-256 of
the only key that works for this row, `hint` what people recognise it by.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import orjson

from shared.callers import durations
from shared.callers.durations import Period

ALL_MODELS = ("*", "all-proxy-models", "all-team-models")
"""LiteLLM's words for every model; there are no teams here, so a team's models are all of them."""
NO_MODELS = "no-default-models"
KEY_PREFIX = "sk-"
KEY_CHARS_MAX = 256
_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class VirtualKey:
    """One key. `key_id` stays when the key is regenerated. None, "" and empty: no limit, nothing said.

    `aliases` are model names that mean another one for this key. A budget's periods begin at `budget_from`; `spent` is
    what the first of them begins with.
    """

    key_id: str
    hash: str
    hint: str
    created_at: float
    updated_at: float
    alias: str = ""
    models: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=lambda: _NONE)
    expires_at: float | None = None
    blocked: bool = False
    max_budget: int | None = None
    soft_budget: int | None = None
    budget_duration: str = ""
    budget_from: float = 0.0
    spent: int = 0
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    max_parallel_requests: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=lambda: _NONE)
    tags: tuple[str, ...] = ()
    user_id: str = ""
    team_id: str = ""

    def permits(self, model: str) -> bool:
        """Whether its holder may ask for the model by this name: one of its own, or an alias of its own."""
        return model in self.aliases or matches(self.models, model)

    def meant(self, model: str) -> str:
        """The model that the name means for this key."""
        return self.aliases.get(model, model)

    def expired(self, now: float) -> bool:
        return self.expires_at is not None and now >= self.expires_at

    def period(self, now: float) -> Period:
        """The period of its budget that `now` is in."""
        duration = durations.parse(self.budget_duration) if self.budget_duration else None
        return durations.period(self.budget_from, duration, now)

    @property
    def limited(self) -> bool:
        """Whether its calls are counted against anything."""
        limits = (self.max_budget, self.soft_budget, self.tpm_limit, self.rpm_limit, self.max_parallel_requests)
        return any(limit is not None for limit in limits)


def matches(models: Sequence[str], model: str) -> bool:
    """Whether the names and patterns of a key's `models` include the model; none at all are every model."""
    if not models or model in models:
        return model != NO_MODELS
    return any(one in ALL_MODELS or ("*" in one and _pattern(one).fullmatch(model)) for one in models)


def hash_of(key: str) -> str:
    """SHA-256 of the key in hex: how its row is found."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def hint_of(key: str) -> str:
    """LiteLLM's `key_name`: the last four characters."""
    return f"{KEY_PREFIX}...{key[-4:]}"


def may_be_key(text: str) -> bool:
    """Whether the text could be a virtual key at all; nobody is asked about one that could not."""
    return text.startswith(KEY_PREFIX) and len(text) <= KEY_CHARS_MAX and text.isascii() and text.isprintable()


def packed(key: VirtualKey) -> bytes:
    """As its row keeps it: what differs from nothing said."""
    values = {one.name: getattr(key, one.name) for one in fields(key)}
    return orjson.dumps({name: _plain(value) for name, value in values.items() if value not in (None, "", (), {})})


def unpacked(raw: bytes) -> VirtualKey:
    """From its row; fields of a later version are left out."""
    known = {one.name for one in fields(VirtualKey)}
    values = {name: value for name, value in orjson.loads(raw).items() if name in known}
    for name in ("models", "tags"):
        if name in values:
            values[name] = tuple(values[name])
    return VirtualKey(**values)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)
