"""When Azure retires a model, from retirements.json."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from shared.catalog import prices

_FILE = Path(__file__).with_name("retirements.json")


def retires_on(model: str) -> date | None:
    """The day on which deployments of `model` stop to answer; None when none is known. `model` is a base_model or the
    name of a deployment, with or without `azure/` before it; never guessed from a part of a name."""
    name = prices.named(model).name
    models: dict[str, dict[str, str]] = _table()["models"]
    found = models.get(name) or models.get(prices.known_as(name) or "")
    return None if found is None else date.fromisoformat(found["date"])


@cache
def _table() -> dict[str, Any]:
    """The file, read on first use."""
    table: dict[str, Any] = orjson.loads(_FILE.read_bytes())
    return table
