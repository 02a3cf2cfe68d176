"""What an entry itself says of its price: LiteLLM's cost keys, and ours for the type of the deployment.

A cost key has a base (BASES), perhaps a long context, perhaps a tier: `input_cost_per_token`, then
`_above_200k_tokens` (the price when the prompt is longer than 200,000 tokens), then `_batches`, `_priority` or `_flex`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator

PICO = 10**12
"""Picodollars in a dollar: money is counted in these, as whole numbers, so that sums are exact."""
Tier = Literal["standard", "batch", "priority", "flex"]
DeploymentType = Literal["global", "data_zone", "regional", "us_gov", "global_batch", "data_zone_batch", "ptu"]
SKUS: dict[str, DeploymentType] = {
    "Standard": "regional",
    "GlobalStandard": "global",
    "DataZoneStandard": "data_zone",
    "DeveloperTier": "global",
    "GlobalBatch": "global_batch",
    "DataZoneBatch": "data_zone_batch",
    "ProvisionedManaged": "ptu",
    "GlobalProvisionedManaged": "ptu",
    "DataZoneProvisionedManaged": "ptu",
}
"""Azure's own names, `sku.name` of a deployment."""
DeploymentTypeField = Annotated[
    DeploymentType, BeforeValidator(lambda value: SKUS.get(value, value) if isinstance(value, str) else value)
]


@dataclass(frozen=True, slots=True)
class Base:
    """One cost key without its suffixes. `unit` is what it prices; only what is priced by tokens has tiers."""

    unit: str
    about: str
    tiers: bool = False


def _tokens(unit: str, about: str) -> Base:
    return Base(unit, f"USD per {about}", tiers=True)


BASES: dict[str, Base] = {
    "input_cost_per_token": _tokens("input", "token of the prompt"),
    "cache_read_input_token_cost": _tokens("cached", "token of the prompt that was read from the cache"),
    "cache_creation_input_token_cost": _tokens("cache_write", "token of the prompt that was written to the cache"),
    "output_cost_per_token": _tokens("output", "token of the answer"),
    "output_cost_per_reasoning_token": _tokens("reasoning", "token of reasoning; without it as any of the answer"),
    "input_cost_per_audio_token": _tokens("audio_input", "token of audio in the prompt"),
    "cache_read_input_audio_token_cost": _tokens("audio_cached", "token of audio that was read from the cache"),
    "output_cost_per_audio_token": _tokens("audio_output", "token of audio in the answer"),
    "input_cost_per_image_token": _tokens("image_input", "token of an image in the prompt"),
    "cache_read_input_image_token_cost": _tokens("image_cached", "token of an image that was read from the cache"),
    "output_cost_per_image_token": _tokens("image_output", "token of an image that was made"),
    "input_cost_per_second": Base("second", "USD per second of audio heard"),
    "output_cost_per_second": Base("second", "the same, and wins, as in LiteLLM"),
    "input_cost_per_character": Base("character", "USD per character spoken"),
    "input_cost_per_image": Base("image", "USD per image made, whatever its size"),
    "output_cost_per_image": Base("image", "the same, and wins"),
    "input_cost_per_pixel": Base("pixel", "USD per pixel of an image made"),
    "output_cost_per_pixel": Base("pixel", "the same; both are added"),
    "search_context_cost_per_query": Base("web_search", "USD per web search, or a mapping by context size"),
    "file_search_cost_per_1k_calls": Base("file_search", "USD per 1,000 file searches"),
    "code_interpreter_cost_per_session": Base("code_session", "USD per container of a code interpreter"),
}
_KEY = re.compile(rf"({'|'.join(BASES)})(?:_above_([1-9]\d{{0,5}})k_tokens)?(?:_(batches|priority|flex))?")
_TIERS: dict[str | None, Tier] = {None: "standard", "batches": "batch", "priority": "priority", "flex": "flex"}


@dataclass(frozen=True, slots=True)
class Override:
    """One written price in picodollars per `unit`; `long` says that it is for a prompt above `Pricing.above`."""

    unit: str
    tier: Tier
    long: bool
    pico: int


@dataclass(frozen=True, slots=True)
class Pricing:
    """What one entry says. `above` is the tokens of `_above_Nk_tokens`, None when unwritten; `ptu_hour` what its
    provisioned units cost in an hour, in picodollars, None when it does not say how many or what one costs."""

    deployment_type: DeploymentType | None = None
    ptu_hour: int | None = None
    above: int | None = None
    overrides: tuple[Override, ...] = ()


NO_PRICING = Pricing()


@dataclass(frozen=True, slots=True)
class CostKey:
    """A cost key taken apart; `above` is the tokens of `_above_Nk_tokens`."""

    base: Base
    tier: Tier
    above: int | None


def cost_key(key: str) -> CostKey | None:
    """A key of litellm_params or model_info that is a price, None for any other."""
    found = _KEY.fullmatch(key)
    if found is None or not (BASES[found[1]].tiers or found[0] == found[1]):
        return None
    return CostKey(BASES[found[1]], _TIERS[found[3]], int(found[2]) * 1000 if found[2] else None)


def picodollars(usd: Decimal) -> int:
    """The nearest whole number of picodollars."""
    return int((usd * PICO).to_integral_value(ROUND_HALF_UP))
