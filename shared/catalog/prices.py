"""The price book, prices.json, and which of its rows prices a deployment.

A row is found by the configured base_model, else by the exact name of the deployment, else by the exact public
model_name; never by the `model` of a reply, which at Azure names another model than the one that is charged. A
base_model that is not in the book is not second-guessed by the other names. No name is found by a part of it: a dated
name is in the book or it has no price.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from shared.catalog import zones
from shared.catalog.price import UNPRICED, Price, price
from shared.config.entry import Entry

_FILE = Path(__file__).with_name("prices.json")
_PROVIDER = re.compile(r"(?:azure|azure_text|openai)/(?:(?:o_series|gpt5_series|responses)/)?")
_PLACE = re.compile(r"(us|eu|apac|us-gov|global|global-standard|regional)/")
_IMAGE = re.compile(r"(?:standard|hd|low|medium|high)/\d+-x-\d+/")
_TUNED = (re.compile(r"ft:([^:]+)(?::.*)?"), re.compile(r"(.+)\.ft-[a-z0-9-]+"))
_PLACES = {
    "us": ("data_zone", "us"),
    "eu": ("data_zone", "eu"),
    "apac": ("data_zone", "apac"),
    "us-gov": ("us_gov", None),
    "global": ("global", None),
    "global-standard": ("global", None),
    "regional": ("regional", None),
}
_ORDER = {
    "global": ("global", "regional", "data_zone"),
    "data_zone": ("data_zone", "regional", "global"),
    "regional": ("regional", "data_zone", "global"),
    "us_gov": ("us_gov", "regional", "data_zone", "global"),
    "openai": ("openai", "global", "regional"),
}
"""The rows that price a type of deployment, the first that a model has. Azure sells most models in a region at the
price of its data zone, and a few at one price everywhere."""

_TUNING = frozenset({"training", "training_hour", "hosting_hour"})
_DEARER = frozenset({"data_zone", "us_gov"})
"""Types whose price is another one: where the book lacks it, a start says so."""


@dataclass(frozen=True, slots=True)
class Named:
    """A name as written, taken apart. `place` is the deployment type and zone of `azure/eu/…`."""

    name: str
    place: tuple[str, str | None] | None = None


def named(text: str) -> Named:
    """The model that a base_model or a name means, without provider, place, image size and fine-tuning."""
    name = text.strip().lower()
    if found := _PROVIDER.match(name):
        name = name[found.end() :]
    place = None
    if found := _PLACE.match(name):
        place, name = _PLACES[found[1]], name[found.end() :]
    if found := _IMAGE.match(name):
        name = name[found.end() :]
    for pattern in _TUNED:
        if found := pattern.fullmatch(name):
            name = found[1]
    return Named(name, place)


def price_of(entry: Entry, deployment: str) -> Price:
    """What calls to `deployment` cost, as `entry` configures it."""
    tries = (("deployment", deployment), ("model_name", entry.model_name))
    for source, text in (("base_model", entry.base_model),) if entry.base_model is not None else tries:
        found = named(text or "")
        model = known_as(found.name)
        if model is not None:
            return _priced(source, model, found.place, entry)
    if entry.pricing.overrides or entry.provisioned:
        return _made("config" if entry.pricing.overrides else "none", "", "", {}, entry)
    return UNPRICED


def warnings(entries: Iterable[tuple[Entry, str]]) -> list[str]:
    """What a start says of (entry, deployment): who has no price, and who has not that of its own type."""
    said = []
    for entry, deployment in entries:
        found = price_of(entry, deployment)
        kind, _ = _asked(entry, named(entry.base_model or "").place)
        if found.unpriced:
            said.append(f"{entry.label}: {unpriced(entry, deployment)}")
        elif kind in _DEARER and found.model and not found.ptu and not found.deployment_type.startswith(kind):
            said.append(
                f"{entry.label}: the price book has no {kind} price of {found.model}; "
                f"that of {found.deployment_type} is used."
            )
    return said


def unpriced(entry: Entry, deployment: str) -> str:
    """Why a deployment has no price and what to do."""
    if entry.base_model is not None:
        return (
            f"the price book has no {entry.base_model}; what is spent on {deployment} is not known. Set "
            "model_info.base_model to a model that it has, or input_cost_per_token and output_cost_per_token."
        )
    return f"what is spent on {deployment} is not known: set model_info.base_model to its model."


def models() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """The rows of the book as they are written, by model and deployment type."""
    rows: Mapping[str, Mapping[str, Mapping[str, Any]]] = _book()["models"]
    return rows


def _priced(source: str, model: str, place: tuple[str, str | None] | None, entry: Entry) -> Price:
    rows = models()[model]
    kind, zone = _asked(entry, place)
    order = (f"data_zone_{zone}", *_ORDER[kind]) if kind in ("data_zone", "regional") and zone else _ORDER[kind]
    found = next(one for one in order if one in rows)  # every model has a global row
    tuning = {unit: usd for unit, usd in rows["global"].items() if unit in _TUNING}
    if entry.pricing.overrides:
        source = f"{source}+config"
    return _made(source, model, found, {**tuning, **rows[found]}, entry)


def _made(source: str, model: str, kind: str, row: Mapping[str, Any], entry: Entry) -> Price:
    tools = _book()["tools"]["openai" if entry.model.provider == "openai" else "azure"]
    return price(source, model, kind, row, tools, entry.pricing, provisioned=entry.provisioned)


def _asked(entry: Entry, place: tuple[str, str | None] | None) -> tuple[str, str | None]:
    """The type and the zone of an entry's deployment: as it says itself, else as its base_model does, else global."""
    written, zone = entry.pricing.deployment_type, zones.zone_of(entry.region)
    kind = "us_gov" if zone == "us_gov" else "global"
    if place is not None:
        kind, zone = place[0], place[1] or zone
    if entry.model.provider == "openai":
        kind = "openai"
    elif written is not None and written != "ptu":
        kind = written.removesuffix("_batch")
    return kind, zone


def known_as(name: str) -> str | None:
    """The name that the book has for a model, None when it has none."""
    book = _book()
    known: str | None = name if name in book["models"] else book["names"].get(name)
    return known


@cache
def _book() -> dict[str, Any]:
    """The file, read on first use."""
    book: dict[str, Any] = orjson.loads(_FILE.read_bytes())
    return book
