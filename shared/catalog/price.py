"""Price: what one deployment charges, in whole picodollars (10^-12 USD), complete: nothing is left to look up.

A token of the cheapest model costs thousands of picodollars, so every price of the book is a whole number and sums of
millions of charges are exact, which floats are not. In Python they have no bound; in 64 bits they hold 9 million USD.

What a row does not say is derived here, once, and only here:

    a unit without a price      the unit that it is a kind of (FALLBACK): audio and images as input or output, cached
                                tokens as uncached ones, reasoning as output
    batch                       half of standard (Azure: 50 % of the global standard price)
    flex, where the row has it  half of standard, as OpenAI has it
    priority, where it has it   standard
    a long context in a tier    priority: the dearer of its own and the standard long one; batch, flex: half of it
    flex, priority, where not   standard: the row knows no other price
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from shared.config.pricing import PICO, Override, Pricing, Tier, picodollars

TOKEN_UNITS = (
    "input",
    "cached",
    "cache_write",
    "output",
    "reasoning",
    "audio_input",
    "audio_cached",
    "audio_output",
    "image_input",
    "image_cached",
    "image_output",
)
FALLBACK = {
    "cached": "input",
    "cache_write": "input",
    "reasoning": "output",
    "audio_input": "input",
    "audio_cached": "audio_input",
    "audio_output": "output",
    "image_input": "input",
    "image_cached": "image_input",
    "image_output": "output",
}
TIERS: tuple[Tier, ...] = ("standard", "batch", "priority", "flex")
_PER_MILLION = PICO // 10**6
_NONE: Mapping[Any, Any] = MappingProxyType({})
Figures = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Rates:
    """Picodollars per token of each kind; None where nothing is known."""

    input: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    output: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_cached: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    image_cached: int | None = None
    image_output: int | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """`source` is how it was found: `base_model`, `deployment`, `model_name`, `config` or `none`, or one of the first
    three with `+config` where the entry overrides a part. `model` and `deployment_type` are the row of the book.

    `short` and `long` are by tier; `long` is for the whole of a request whose prompt is longer than `above` tokens.
    `images` are per image by `quality/size`, `image` per image of any. `second` is of audio heard, `character` of text
    spoken. Tools are per call, or per container. `batch`: every call is at batch prices. `ptu`: capacity is paid by the
    hour (`ptu_hour`) and calls cost nothing more. `training` is per token, `training_hour` and `hosting_hour` per hour.
    """

    source: str
    model: str = ""
    deployment_type: str = ""
    short: Mapping[Tier, Rates] = field(default_factory=lambda: _NONE)
    long: Mapping[Tier, Rates] = field(default_factory=lambda: _NONE)
    above: int | None = None
    images: Mapping[str, int] = field(default_factory=lambda: _NONE)
    image: int | None = None
    pixel: int | None = None
    second: int | None = None
    character: int | None = None
    web_search: int | None = None
    file_search: int | None = None
    code_session: int | None = None
    batch: bool = False
    ptu: bool = False
    ptu_hour: int | None = None
    training: int | None = None
    training_hour: int | None = None
    hosting_hour: int | None = None

    @property
    def unpriced(self) -> bool:
        """Whether nothing is known of what its calls cost."""
        return self.source == "none" and not self.ptu

    def rates(self, tier: Tier, prompt: int) -> Rates:
        """What a token costs in a request with `prompt` tokens."""
        table = self.long if self.above is not None and prompt > self.above else self.short
        return table.get(tier, NO_RATES)


NO_RATES = Rates()
UNPRICED = Price("none")


def price(
    source: str,
    model: str,
    deployment_type: str,
    row: Mapping[str, Any],
    tools: Mapping[str, str],
    pricing: Pricing,
    *,
    provisioned: bool = False,
) -> Price:
    """The price of a `row` of the book ({} where there is none), overridden by what the entry says itself."""
    figures = _figures(row, long=False)
    above = row.get("above")
    long = _figures(above, long=True) if above is not None else {}
    threshold: int | None = above["tokens"] if above is not None else None
    if pricing.above is not None and pricing.above != threshold:
        long, threshold = {}, pricing.above  # the entry's long context is another one than the book's
    for one in pricing.overrides:
        if one.unit in TOKEN_UNITS:
            (long if one.long else figures).setdefault(one.tier, {})[one.unit] = one.pico
    short = {tier: _tier(figures, tier) for tier in TIERS}
    other = _other(row, tools, pricing.overrides)
    kind = pricing.deployment_type
    return Price(
        source=source,
        model=model,
        deployment_type=deployment_type,
        short={tier: _rates(short[tier]) for tier in TIERS},
        long={tier: _rates(_long(long, short, tier)) for tier in TIERS} if threshold is not None else _NONE,
        above=threshold,
        images={name: _picodollars(usd, PICO) for name, usd in row.get("images", {}).items()},
        batch=kind in ("global_batch", "data_zone_batch"),
        ptu=provisioned,
        ptu_hour=pricing.ptu_hour,
        **other,
    )


def _figures(row: Mapping[str, Any], *, long: bool) -> dict[str, dict[str, int]]:
    """The written prices of tokens by tier; `long` says that `row` is the part of one for long contexts."""
    parts: dict[str, Mapping[str, Any]] = {"standard": row}
    parts |= {tier: row[tier] for tier in TIERS[1:] if tier in row}
    return {
        tier: {unit: _picodollars(part[unit], _PER_MILLION) for unit in TOKEN_UNITS if unit in part}
        for tier, part in parts.items()
    }


def _tier(figures: Mapping[str, Figures], tier: Tier) -> dict[str, int]:
    """The prices of one tier, completed from the standard ones."""
    standard = figures["standard"]
    own = figures.get(tier, {})
    if tier == "batch" or (tier == "flex" and own):
        return {**{unit: _half(pico) for unit, pico in standard.items()}, **own}
    return {**standard, **own}


def _long(long: Mapping[str, Figures], short: Mapping[Tier, Figures], tier: Tier) -> dict[str, int]:
    """The prices of one tier in a long context."""
    standard = {**short["standard"], **long.get("standard", {})}
    own = long.get(tier, {})
    if tier == "priority":
        ruled = {unit: max(pico, short[tier].get(unit, 0)) for unit, pico in standard.items()}
    elif tier == "batch" or (tier == "flex" and (own or short["flex"] != short["standard"])):
        ruled = {unit: _half(pico) for unit, pico in standard.items()}
    else:
        ruled = standard
    return {**ruled, **own}


def _rates(figures: Figures) -> Rates:
    """Every kind of token, those without a price of their own as what they are a kind of."""
    full: dict[str, int | None] = dict(figures)
    for unit in TOKEN_UNITS:
        if unit not in full:
            full[unit] = full.get(FALLBACK[unit]) if unit in FALLBACK else None
    return Rates(**full)


def _other(row: Mapping[str, Any], tools: Mapping[str, str], overrides: tuple[Override, ...]) -> dict[str, Any]:
    """What is not priced by tokens of a request."""
    found: dict[str, Any] = {tool: _picodollars(usd, PICO) for tool, usd in tools.items()}
    for name, key, scale in (
        ("character", "characters", _PER_MILLION),
        ("training", "training", _PER_MILLION),
        ("training_hour", "training_hour", PICO),
        ("hosting_hour", "hosting_hour", PICO),
    ):
        if key in row:
            found[name] = _picodollars(row[key], scale)
    if "audio_hour" in row:
        found["second"] = picodollars(Decimal(row["audio_hour"]) / 3600)
    found |= {one.unit: one.pico for one in overrides if one.unit not in TOKEN_UNITS}
    return found


def _picodollars(usd: str, scale: int) -> int:
    return int(Decimal(usd) * scale)


def _half(pico: int) -> int:
    """Half of it; half a picodollar is rounded up."""
    return (pico + 1) // 2
