"""The price book against LiteLLM's price map, entry by entry: two books that were written apart.

data/litellm_prices.json holds the prices of every `azure/` entry of LiteLLM 1.109.1 for a model that Spillway serves,
without the prefix (MIT License, Copyright (c) 2023 Berri AI; shared/catalog/NOTICE), in USD per token, second,
character, pixel and search. Each is looked up as its name is configured: `base_model: azure/eu/gpt-4o`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from shared.catalog.price import Price
from shared.config.pricing import Tier
from shared.spend.pricing import charge
from shared.usage.usage import Usage
from tests.catalog.pricing import price

TABLE: dict[str, dict[str, float]] = json.loads(
    (Path(__file__).parent / "data" / "litellm_prices.json").read_text(encoding="utf-8")
)
TOKENS = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cached",
    "cache_creation_input_token_cost": "cache_write",
    "output_cost_per_token": "output",
    "input_cost_per_audio_token": "audio_input",
    "output_cost_per_audio_token": "audio_output",
    "input_cost_per_image_token": "image_input",
    "output_cost_per_image_token": "image_output",
    "cache_read_input_image_token_cost": "image_cached",
}
TIERS: dict[str, Tier] = {"": "standard", "_batches": "batch", "_priority": "priority", "_flex": "flex"}
FIELD = re.compile(rf"({'|'.join(TOKENS)})(_above_272k_tokens)?(_batches|_priority|_flex)?")
IMAGE = re.compile(r"(\w+)/(\d+)-x-(\d+)/(.+)")

ACCEPTED = {
    ("*/gpt-4o", "cache_creation_input_token_cost"): "Azure has no price for writing gpt-4o's cache: it is the cached "
    "input, 1.375 rounded, once more, and the global entry has none",
    ("*/gpt-4o-2024-11-20", "cache_creation_input_token_cost"): "as gpt-4o",
    ("standard/1024-x-1024/dall-e-2", "input_cost_per_pixel"): "0 is no price; OpenAI's list has 0.02 USD",
    ("gpt-4o-mini-tts", "output_cost_per_second"): "an approximation of its price per token of audio, which we have",
    ("whisper*", "output_cost_per_second"): "the same seconds once more: audio is billed where it is heard",
}
"""Figures that are not ours, and why; the names are patterns."""
NOT_CARRIED = {
    "gpt-realtime": "no WebSockets in Functions",
    "gpt-4o-realtime-preview-2024-12-17": "no WebSockets in Functions",
    "gpt-live-1": "no WebSockets in Functions",
    "sora-2": "no operation makes videos",
    "model-router": "it lists the router's fee alone; the model that it chooses is charged on top, and is not known",
    "mistral-large-latest": "not a model of Azure OpenAI",
    "command-r-plus": "not a model of Azure OpenAI",
    "speech/azure-tts": "Azure Speech, another service",
}
"""Kinds of LiteLLM's entries that are not in the table, one name of each."""


def accepted(name: str, field: str) -> bool:
    return any(fnmatchcase(name, names) and field == one for names, one in ACCEPTED)


def figures() -> Iterator[tuple[str, str]]:
    for name, entry in TABLE.items():
        for field in entry:
            yield name, field


def theirs(name: str, field: str) -> int:
    """Picodollars in LiteLLM's book."""
    return int((Decimal(repr(TABLE[name][field])) * 10**12).to_integral_value())


def ours(name: str, field: str, found: Price) -> int | None:
    """Picodollars in ours."""
    if token := FIELD.fullmatch(field):
        rates = (found.long if token[2] else found.short)[TIERS[token[3] or ""]]
        rate: int | None = getattr(rates, TOKENS[token[1]])
        return rate
    if field == "search_context_cost_per_query":
        return found.web_search
    return {"input_cost_per_second": found.second, "input_cost_per_character": found.character}[field]


@pytest.mark.parametrize("name", TABLE)
def test_every_price_is_litellms(name: str) -> None:
    found = price(f"azure/{name}")
    image = IMAGE.fullmatch(name)
    differences = {}
    for field in TABLE[name]:
        if accepted(name, field) or theirs(name, field) == 0 or (image and field.startswith("input_cost_per_pixel")):
            continue
        mine = ours(name, field, found)
        if mine != theirs(name, field):
            differences[field] = (theirs(name, field), mine)
    assert differences == {}


@pytest.mark.parametrize("name", [name for name in TABLE if IMAGE.fullmatch(name) and "dall-e-2" not in name])
def test_an_image_costs_its_pixels_to_the_millionth_of_a_dollar(name: str) -> None:
    image = IMAGE.fullmatch(name)
    assert image is not None
    quality, width, height = image[1], int(image[2]), int(image[3])
    usage = Usage(0, 0, images=1, image_size=f"{width}x{height}", image_quality=quality)
    cost = charge(usage, price(f"azure/{name}")).cost
    assert cost is not None
    usd = Decimal(repr(TABLE[name]["input_cost_per_pixel"])) * width * height
    assert abs(Decimal(cost) / 10**12 - usd) < Decimal("0.000001")


@pytest.mark.parametrize("name", TABLE)
def test_what_costs_nothing_there_has_no_price_here_but_another_unit_has(name: str) -> None:
    found = price(f"azure/{name}")
    assert not found.unpriced
    free = [field for field in TABLE[name] if theirs(name, field) == 0 and FIELD.fullmatch(field)]
    assert [field for field in free if ours(name, field, found) == 0] == []


@pytest.mark.parametrize(("names", "field"), ACCEPTED)
def test_a_difference_is_accepted_only_while_there_is_one(names: str, field: str) -> None:
    met = [name for name in TABLE if fnmatchcase(name, names) and field in TABLE[name]]
    assert met
    for name in met:
        if FIELD.fullmatch(field):
            assert ours(name, field, price(f"azure/{name}")) != theirs(name, field)


@pytest.mark.parametrize("name", NOT_CARRIED)
def test_what_is_not_carried_is_unpriced(name: str) -> None:
    assert name not in TABLE
    assert price(f"azure/{name}").unpriced
