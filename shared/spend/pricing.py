"""charge: what one attempt cost, from what it used and what its deployment charges. Pure, exact, never negative.

A token is billed once, as the dearest thing that is known of it:

    prompt      = cached + cache_write + audio + image + the rest, as input
    completion  = reasoning + audio + image + the rest, as output

Audio and images that were read from the cache are billed as such where the reply tells them apart. When the parts are
more than the whole, because a cached token is also an audio token, cached text gives way: audio is the dearer.
A prompt longer than the price's `above` puts the whole request, its answer included, at the long-context prices.
The reply's `service_tier` decides between the tiers; a batch line is at batch prices whatever it says.

Audio that was heard is billed by whole seconds, a begun one as a whole one. Azure's list has a price per hour and names
no rounding: this is inferred from its other speech meters, and never bills too little. An image is billed by its tokens
where they were told, else by its size and quality. Characters are counted from the request and never estimates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from operator import attrgetter

from shared.catalog.price import Price, Rates
from shared.config.pricing import PICO, Tier
from shared.spend import estimates
from shared.usage.usage import Usage
from shared.values import statically_frozen

_TIERS: Mapping[str | None, Tier] = {"priority": "priority", "fast": "priority", "flex": "flex"}
"""`service_tier` of a reply; any other is billed as standard."""


@statically_frozen
@dataclass(frozen=True, slots=True)
class Charge:
    """`cost` in picodollars, None when a part of what was used has no price: nobody may take that for 0.

    `parts` adds up to what is known, by what was paid for. `tier` and `long` say which prices. `estimated`: it rests
    on a count of ours. `ptu`: paid by the hour already.
    """

    cost: int | None
    price_source: str
    model: str
    parts: Mapping[str, int] = field(default_factory=dict)
    tier: Tier = "standard"
    long: bool = False
    estimated: bool = False
    ptu: bool = False

    @property
    def unpriced(self) -> bool:
        """Whether a part of what was used has no price."""
        return self.cost is None


Part = tuple[str, int, int | None]
"""Name, how many, picodollars each."""
_SPECIAL = attrgetter(
    "audio_prompt",
    "image_prompt",
    "cache_write",
    "cached_audio",
    "cached_image",
    "audio_completion",
    "image_completion",
)
_TOOLS = attrgetter("web_searches", "file_searches", "containers")
"""Most attempts have none of these: they are priced without looking at each."""


def charge(usage: Usage, price: Price, *, batch: bool = False) -> Charge:
    """What `usage` costs at `price`; `batch` for a line of a batch."""
    if price.ptu:
        return Charge(0, price.source, price.model, estimated=usage.source == "estimated", ptu=True)
    tier: Tier = "batch" if batch or price.batch else _TIERS.get(usage.tier, "standard")
    rates = price.rates(tier, usage.prompt)
    main, estimated = _main(usage, price, rates)
    known: dict[str, int] = {}
    complete = True
    for name, count, each in (*main, *_tools(usage, price)):
        if not count:
            continue
        if each is None:
            complete = False
        else:
            known[name] = known.get(name, 0) + count * each
    return Charge(
        cost=sum(known.values()) if complete else None,
        price_source=price.source,
        model=price.model,
        parts=known,
        tier=tier,
        long=price.above is not None and usage.prompt > price.above,
        estimated=estimated,
    )


def usd(picodollars: int) -> str:
    """Dollars in plain decimals, exact: 2_500_000 is "0.0000025"."""
    text = format(Decimal(picodollars) / PICO, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _main(usage: Usage, price: Price, rates: Rates) -> tuple[list[Part], bool]:
    """What is billed besides tools, and whether that rests on an estimate."""
    if usage.characters and price.character is not None:
        return [("characters", usage.characters, price.character)], False
    estimated = usage.source == "estimated"
    if usage.seconds and price.second is not None:
        return [("seconds", math.ceil(round(usage.seconds, 3)), price.second)], estimated
    if usage.images:
        return _images(usage, price, rates, estimated)
    if usage.seconds and not usage.prompt:
        usage, estimated = estimates.heard(usage), True
    elif usage.characters and not usage.completion:
        usage, estimated = estimates.spoken(usage), True
    return _tokens(usage, rates), estimated


def _images(usage: Usage, price: Price, rates: Rates, estimated: bool) -> tuple[list[Part], bool]:
    if price.image is not None:
        return [("images", usage.images, price.image)], estimated
    if price.pixel is not None:
        return [("images", usage.images * estimates.pixels(usage), price.pixel)], estimated
    if usage.completion and usage.source == "upstream":
        return _tokens(usage, rates), False
    listed = estimates.image_price(price.images, usage)
    if listed is None:
        return _tokens(estimates.painted(usage), rates), True
    image, exact = listed
    text = [("input", usage.prompt, rates.input)] if rates.input is not None else []  # dall-e's is free
    return [("images", usage.images, price.images[image]), *text], estimated or not exact


def _tokens(usage: Usage, rates: Rates) -> list[Part]:
    """Every token of the prompt and of the completion, once."""
    if not any(_SPECIAL(usage)):
        cached = min(usage.cached, usage.prompt)
        return [
            ("input", usage.prompt - cached, rates.input),
            ("cached", cached, rates.cached),
            ("output", max(usage.completion - usage.reasoning, 0), rates.output),
            ("reasoning", usage.reasoning, rates.reasoning),
        ]
    heard = max(usage.audio_prompt - usage.cached_audio, 0)
    seen = max(usage.image_prompt - usage.cached_image, 0)
    other = heard + seen + usage.cached_audio + usage.cached_image + usage.cache_write
    cached = max(min(usage.cached - usage.cached_audio - usage.cached_image, usage.prompt - other), 0)
    answered = usage.reasoning + usage.audio_completion + usage.image_completion
    return [
        ("input", max(usage.prompt - other - cached, 0), rates.input),
        ("cached", cached, rates.cached),
        ("cache_write", usage.cache_write, rates.cache_write),
        ("audio_input", heard, rates.audio_input),
        ("audio_cached", usage.cached_audio, rates.audio_cached),
        ("image_input", seen, rates.image_input),
        ("image_cached", usage.cached_image, rates.image_cached),
        ("output", max(usage.completion - answered, 0), rates.output),
        ("reasoning", usage.reasoning, rates.reasoning),
        ("audio_output", usage.audio_completion, rates.audio_output),
        ("image_output", usage.image_completion, rates.image_output),
    ]


def _tools(usage: Usage, price: Price) -> list[Part]:
    if not any(_TOOLS(usage)):
        return []
    return [
        ("web_search", usage.web_searches, price.web_search),
        ("file_search", usage.file_searches, price.file_search),
        ("code_session", usage.containers, price.code_session),
    ]
