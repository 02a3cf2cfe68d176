"""Reads what an entry says of its price: `Pricing` from its cost keys and its provisioned units."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from shared.config.params import ModelInfo, ModelListItem
from shared.config.pricing import Base, Override, Pricing, Tier, cost_key, picodollars
from shared.config.problems import Problems

USD_MAX = 10**6
_EXPECTED = "USD as a number from 0 to 1,000,000"


def pricing_of(item: ModelListItem, info: ModelInfo, path: str, problems: Problems) -> Pricing:
    """The entry's `Pricing`; problems are added for values that are no prices."""
    written, above = _overrides(item, path, problems)
    units, each = info.ptu_count, info.cost_per_ptu_per_hour
    hour = Decimal(str(units)) * Decimal(str(each)) if units is not None and each is not None else None
    return Pricing(
        deployment_type=info.deployment_type,
        ptu_hour=picodollars(hour) if hour is not None else None,
        above=above,
        overrides=written,
    )


def _overrides(item: ModelListItem, path: str, problems: Problems) -> tuple[tuple[Override, ...], int | None]:
    """The written prices and the one long context they name. litellm_params wins over model_info."""
    written: dict[str, tuple[str, Any]] = {}
    for section, values in (("model_info", item.model_info), ("litellm_params", item.litellm_params)):
        for key, value in values.items():
            if isinstance(key, str) and value is not None and cost_key(key) is not None:
                written[key] = (f"{path}.{section}.{key}", value)
    prices: dict[tuple[str, Tier, bool], int] = {}
    above: int | None = None
    for key in sorted(written):  # input_ before output_, which wins
        where, value = written[key]
        found = cost_key(key)
        assert found is not None
        if found.above is not None and above not in (None, found.above):
            problems.add(where, "names another long context than the entry's other prices, expected one.")
            continue
        pico = _pico(value, found.base, where, problems)
        if pico is None:
            continue
        above = found.above or above
        place = (found.base.unit, found.tier, found.above is not None)
        prices[place] = pico + (prices.get(place, 0) if found.base.unit == "pixel" else 0)
    return tuple(Override(*place, pico) for place, pico in prices.items()), above


def _pico(value: Any, base: Base, where: str, problems: Problems) -> int | None:
    """The value in picodollars, None after a problem was added. YAML reads `1e-6` as text, which is taken as well."""
    usd: Any = value
    if base.unit == "web_search" and isinstance(usd, Mapping):
        usd = usd.get("search_context_size_medium")
    try:
        amount = Decimal(str(usd).strip()) if isinstance(usd, int | float | str) and usd is not True else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or not 0 <= amount <= USD_MAX:
        problems.found(where, value, _EXPECTED)
        return None
    return picodollars(amount / 1000 if base.unit == "file_search" else amount)
