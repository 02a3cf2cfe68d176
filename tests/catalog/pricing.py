"""Entries and their prices, for tests."""

from __future__ import annotations

from shared import config
from shared.catalog.price import Price
from shared.catalog.prices import price_of
from shared.config import Entry


def entry(
    *, model: str = "azure/any", name: str = "any", params: str = "", info: str = "", base_model: str | None = None
) -> Entry:
    """An entry of a file. `params` and `info` are more lines of YAML, separated by `; `."""
    lines = [f"base_model: {base_model}"] if base_model is not None else []
    model_info = "".join(f"      {line}\n" for line in (*lines, *filter(None, info.split("; "))))
    text = (
        f"model_list:\n  - model_name: {name}\n    litellm_params:\n      model: {model}\n"
        "      api_base: https://r.openai.azure.com\n      api_key: k\n"
        + "".join(f"      {line}\n" for line in params.split("; ") if line)
        + (f"    model_info:\n{model_info}" if model_info else "")
    )
    return config.parse(text, {}).entries[0]


def price(base_model: str | None = None, *, model: str = "azure/any", **more: str) -> Price:
    """The price of such an entry."""
    one = entry(model=model, base_model=base_model, **more)
    return price_of(one, one.model.deployment)
