"""Makes the price book of its tables; every mistake in them is a ValueError that names file and line."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

TYPES = ("global", "data_zone", "data_zone_eu", "data_zone_apac", "regional", "us_gov", "openai")
TIERS = ("standard", "batch", "priority", "flex")
TOKENS = ("input", "cached", "cache_write", "output")
UNITS = frozenset(
    {
        *("reasoning", "audio_input", "audio_cached", "audio_output", "image_input", "image_cached", "image_output"),
        *("characters", "training", "audio_hour", "training_hour", "hosting_hour"),
    }
)
_ABOVE = re.compile(r"above_(\d+)k(?:_(batch|priority|flex))?")
_IMAGE = re.compile(r"image:([a-z]+/\d+x\d+)")
_DECIMALS = 6
"""More would not be whole picodollars per token."""
ABOUT = (
    "What Azure OpenAI charges, in USD. Made by `python -m devtools.prices` of devtools/prices/tables/: edit those.",
    "Read by shared/catalog/prices.py. Tokens, training tokens and characters per 1M; *_hour per hour; images each;",
    "tools per call or session. `above.tokens`: the prices beside it are for all of a request with a longer prompt.",
    "`source` is of the whole row but for `sources`; `date` is the day on which it was read. LiteLLM's prices: NOTICE.",
)
Line = tuple[str, dict[str, str]]


def book(tables: Path) -> dict[str, Any]:
    """The book as JSON values. Raises ValueError."""
    sources = {line["id"]: {k: v for k, v in line.items() if k != "id"} for _, line in _lines(tables / "sources.csv")}
    models: dict[str, dict[str, Any]] = {}
    for where, line in _lines(tables / "tokens.csv"):
        _add_tokens(_row(models, where, line, sources), where, line)
    for where, line in _lines(tables / "units.csv"):
        _add_unit(_row(models, where, line, sources), where, line)
    if lacking := sorted(name for name, rows in models.items() if "global" not in rows):
        raise ValueError(f"tokens.csv: no global row of {', '.join(lacking)}")
    return {
        "v": 1,
        "about": list(ABOUT),
        "currency": "USD",
        "sources": sources,
        "tools": _tools(tables, sources),
        "names": _names(tables, models),
        "models": {
            name: {kind: models[name][kind] for kind in TYPES if kind in models[name]} for name in sorted(models)
        },
    }


def written(content: dict[str, Any]) -> str:
    """The book as a file: one line for each row, so that a change is one line of a diff."""
    head = {key: value for key, value in content.items() if key != "models"}
    models = [f"  {json.dumps(name)}: {{\n{_rows(kinds)}\n  }}" for name, kinds in content["models"].items()]
    opened = json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}")
    return opened + ',\n "models": {\n' + ",\n".join(models) + "\n }\n}\n"


def _rows(kinds: dict[str, Any]) -> str:
    return ",\n".join(f"   {json.dumps(kind)}: {json.dumps(row)}" for kind, row in kinds.items())


def _row(models: dict[str, Any], where: str, line: dict[str, str], sources: dict[str, Any]) -> dict[str, Any]:
    kind, source = line["type"], line["source"]
    if kind not in TYPES:
        raise ValueError(f"{where}: {kind} is no deployment type")
    if source not in sources:
        raise ValueError(f"{where}: {source} is no source")
    first = {"source": source, "date": sources[source]["date"]}
    row: dict[str, Any] = models.setdefault(line["model"], {}).setdefault(kind, first)
    return row


def _add_tokens(row: dict[str, Any], where: str, line: dict[str, str]) -> None:
    tier, source = line["tier"], line["source"]
    if source != row["source"]:
        raise ValueError(f"{where}: one row of tokens has two sources")
    prices = {unit: _price(line[unit], where) for unit in TOKENS if line[unit]}
    if not prices:
        raise ValueError(f"{where}: no price")
    found = _ABOVE.fullmatch(tier)
    if found is None and tier not in TIERS:
        raise ValueError(f"{where}: {tier} is no tier")
    held = row
    if found is not None:
        held = row.setdefault("above", {"tokens": int(found[1]) * 1000})
        tier = found[2] or "standard"
        if held["tokens"] != int(found[1]) * 1000:
            raise ValueError(f"{where}: one model has two long contexts")
    held = held if tier == "standard" else held.setdefault(tier, {})
    if any(unit in held for unit in prices):
        raise ValueError(f"{where}: stands there twice")
    held.update(prices)


def _add_unit(row: dict[str, Any], where: str, line: dict[str, str]) -> None:
    unit, source = line["unit"], line["source"]
    image = _IMAGE.fullmatch(unit)
    if image is None and unit not in UNITS:
        raise ValueError(f"{where}: {unit} is no unit")
    held, name = (row.setdefault("images", {}), image[1]) if image else (row, unit)
    if name in held:
        raise ValueError(f"{where}: stands there twice")
    held[name] = _price(line["price"], where)
    if source != row["source"]:
        row.setdefault("sources", {})["images" if image else unit] = source


def _tools(tables: Path, sources: dict[str, Any]) -> dict[str, dict[str, str]]:
    tools: dict[str, dict[str, str]] = {}
    for where, line in _lines(tables / "tools.csv"):
        if line["source"] not in sources:
            raise ValueError(f"{where}: {line['source']} is no source")
        tools.setdefault(line["provider"], {})[line["tool"]] = _price(line["price"], where)
    return tools


def _names(tables: Path, models: dict[str, Any]) -> dict[str, str]:
    names: dict[str, str] = {}
    for where, line in _lines(tables / "names.csv"):
        name, model = line["name"], line["model"]
        if model not in models:
            raise ValueError(f"{where}: {model} has no price")
        if name in names or name in models:
            raise ValueError(f"{where}: {name} stands there twice")
        names[name] = model
    return dict(sorted(names.items()))


def _price(text: str, where: str) -> str:
    try:
        price = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{where}: {text} is no price") from None
    if not price.is_finite() or price <= 0:
        raise ValueError(f"{where}: {text} is no price; what costs nothing has none")
    if price != round(price, _DECIMALS):
        raise ValueError(f"{where}: {text} has more than {_DECIMALS} decimals")
    return format(price.normalize(), "f")


def _lines(path: Path) -> Iterator[Line]:
    """Every line as a mapping, with where it stands."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        for line in reader:
            where = f"{path.name}:{reader.line_num}"
            if None in line or None in line.values():
                raise ValueError(f"{where}: has not the columns of its head")
            yield where, line
