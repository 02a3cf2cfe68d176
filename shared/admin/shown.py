"""A report as it is told: JSON, or the same as a table in CSV (RFC 4180)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.config.pricing import PICO

_FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""How a formula begins, also in full-width letters, which spreadsheets read as the others."""
_QUOTED = re.compile(r'[",\r\n]')
_PROMPT = {
    "cached": "cached_tokens",
    "cache_write": "cache_write_tokens",
    "audio_prompt": "audio_tokens",
    "image_prompt": "image_tokens",
}
_COMPLETION = {
    "reasoning": "reasoning_tokens",
    "audio_completion": "audio_tokens",
    "image_completion": "image_tokens",
}
_OTHER = {"tier": "service_tier"}
Cell = str | int | None


@dataclass(frozen=True, slots=True)
class Report:
    """`json` is the answer; `columns` and what `rows` gives are it as a table. Amounts of money in rows are texts
    without an exponent. `headers` say what a table has no place for."""

    json: Any
    columns: Sequence[str]
    rows: Callable[[], Sequence[Sequence[Cell]]]
    headers: Mapping[str, str] = field(default_factory=dict)


def wants_csv(accept: str) -> bool:
    """Whether an `Accept` header prefers `text/csv` to JSON."""
    weights = {"text/csv": 0.0, "application/json": 0.0}
    for part in accept.lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        if kind in weights:
            weights[kind] = max(weights[kind], _weight(parameters))
    return weights["text/csv"] > 0 and weights["text/csv"] >= weights["application/json"]


def csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """Lines that end in CR LF, the names of the columns first. A text that a spreadsheet would take for a formula
    stands behind an apostrophe."""
    lines = [",".join(columns), *(",".join(_cell(value) for value in row) for row in rows)]
    return "".join(f"{line}\r\n" for line in lines).encode()


def dollars(picodollars: int) -> float:
    """An amount for JSON."""
    return picodollars / PICO


def usage_shown(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A usage, or sums of it, under OpenAI's names; what has none keeps its own. Only what was used is there."""
    prompt, completion = int(fields.get("prompt", 0)), int(fields.get("completion", 0))
    told: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    for name, value in fields.items():
        if name in _PROMPT:
            told.setdefault("prompt_tokens_details", {})[_PROMPT[name]] = value
        elif name in _COMPLETION:
            told.setdefault("completion_tokens_details", {})[_COMPLETION[name]] = value
        elif name.endswith("_milli"):
            told[name.removesuffix("_milli")] = value / 1000
        elif name not in ("prompt", "completion"):
            told[_OTHER.get(name, name)] = value
    return told


def _weight(parameters: Sequence[str]) -> float:
    for one in parameters:
        name, _, value = one.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    text = f"'{value}" if _FORMULA.match(value) else value
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
