"""Which fields a request carries that not every api-version has (FIELDS of shared.catalog.api_versions)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

NOTHING: frozenset[str] = frozenset()


def _own(*names: str) -> dict[str, str]:
    return {name: name for name in names}


# Names at the top of a body, with the field of the table that each one is. What is null was written all the same.
_NAMES: Mapping[str, Mapping[str, str]] = {
    "chat_completions": _own(
        "max_completion_tokens",
        "parallel_tool_calls",
        "reasoning_effort",
        "store",
        "metadata",
        "user_security_context",
        "prediction",
        "modalities",
        "audio",
        "data_sources",
        "service_tier",
        "verbosity",
        "prompt_cache_key",
        "safety_identifier",
    ),
    "embeddings": _own("dimensions"),
    "audio_transcriptions": {
        "timestamp_granularities": "timestamp_granularities",
        "timestamp_granularities[]": "timestamp_granularities",
    },
}


def _inside(body: Mapping[str, Any], name: str, key: str) -> Any:
    value = body.get(name)
    return value.get(key) if isinstance(value, dict) else None


# Fields that are a value, or lie deeper.
_VALUES: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], bool]]] = {
    "chat_completions": (
        "response_format.json_schema",
        lambda body: _inside(body, "response_format", "type") == "json_schema",
    ),
    "audio_speech": ("response_format.wav", lambda body: body.get("response_format") in ("wav", "pcm")),
    "responses": ("reasoning.summary", lambda body: _inside(body, "reasoning", "summary") is not None),
}


def carried(operation: str, body: Mapping[str, Any]) -> frozenset[str]:
    """The fields of `body`, keys of FIELDS, that decide which version can take it; most requests have none."""
    found = NOTHING
    names = _NAMES.get(operation)
    if names is not None and (common := names.keys() & body.keys()):
        found = frozenset(names[name] for name in common)
    value = _VALUES.get(operation)
    return found | {value[0]} if value is not None and value[1](body) else found


def fields() -> frozenset[str]:
    """Every field that is looked for."""
    return frozenset(field for names in _NAMES.values() for field in names.values()) | {
        field for field, _ in _VALUES.values()
    }
