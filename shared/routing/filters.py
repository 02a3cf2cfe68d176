"""Which deployments of a group a call may go to at all: by its tags, its region, the length of its prompt.

Each rule keeps some and names those that it drops, so that `router/explain` can tell. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.errors import BadRequest
from shared.routing.estimates import Demand
from shared.upstream.deployment import Deployment

CERTAINLY_TOO_LONG = 1.5
"""Only a prompt whose estimate is so many times the context window is kept from a deployment: an estimate errs."""
DEFAULT_TAG = "default"
_EU = """westeurope northeurope swedencentral francecentral germanywestcentral italynorth polandcentral spaincentral
    norwayeast switzerlandnorth"""
_US = "eastus eastus2 westus westus3 northcentralus southcentralus centralus"
REGION_GROUPS: Mapping[str, frozenset[str]] = {"eu": frozenset(_EU.split()), "us": frozenset(_US.split())}
"""LiteLLM's `allowed_model_region: eu` means any region there."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says of its own routing; all of it is kept from the model.

    `fallbacks` None: the configuration's; `num_retries` None: the configuration's.
    """

    tags: tuple[str, ...] = ()
    region: str | None = None
    fallbacks: tuple[str, ...] | None = None
    num_retries: int | None = None


@dataclass(slots=True)
class Kept:
    """The deployments that stay, and the rule that dropped each of the others."""

    deployments: Sequence[Deployment]
    dropped: list[tuple[Deployment, str]] = field(default_factory=list)

    def keep(self, rule: Callable[[Deployment], bool], why: str) -> None:
        """Keeps those that the rule takes."""
        stay: list[Deployment] = []
        for one in self.deployments:
            if rule(one):
                stay.append(one)
            else:
                self.dropped.append((one, why))
        self.deployments = stay


def by_tags(kept: Kept, tags: Sequence[str], *, match_any: bool) -> None:
    """A tagged call goes to deployments with any (or each) of its tags, else to those tagged `default`; one without
    tags to the latter, or to all where none is tagged so (LiteLLM's tag routing). Raises BadRequest."""
    default = [one for one in kept.deployments if DEFAULT_TAG in one.tags]
    if not tags:
        if default:
            kept.keep(lambda one: DEFAULT_TAG in one.tags, "its tags are for tagged calls")
        return
    asked = set(tags)
    matching = [
        one for one in kept.deployments if (asked & set(one.tags) if match_any else asked <= set(one.tags))
    ] or default
    if not matching:
        raise BadRequest(
            f"No deployment of this model has the tags {', '.join(tags)}.", param="tags", code="no_matching_tags"
        )
    ids = {id(one) for one in matching}
    kept.keep(lambda one: id(one) in ids, f"it does not have the tags {', '.join(tags)}")


def by_region(kept: Kept, region: str) -> None:
    """A call that names a region (or `eu`, `us`) stays there. Raises BadRequest when nothing is there."""
    wanted = {_plain(region), *REGION_GROUPS.get(region.lower(), ())}
    some = bool(kept.deployments)
    kept.keep(lambda one: one.region is not None and _plain(one.region) in wanted, f"it is not known to be in {region}")
    if some and not kept.deployments:
        raise BadRequest(
            f"No deployment of this model is configured to be in {region}.", param="region", code="no_region"
        )


def by_context(kept: Kept, demand: Demand) -> None:
    """A prompt that certainly does not fit a context window goes where it may; if it fits nowhere, all stay, and Azure
    tells it how long it is."""

    def fits(one: Deployment) -> bool:
        return one.max_input_tokens is None or demand.at(one).prompt / CERTAINLY_TOO_LONG <= one.max_input_tokens

    fitting = [one for one in kept.deployments if fits(one)]
    if fitting and len(fitting) < len(kept.deployments):
        ids = {id(one) for one in fitting}
        kept.keep(lambda one: id(one) in ids, "its context window is too short")


def _plain(region: str) -> str:
    """`Sweden Central` and `swedencentral` are one region."""
    return region.lower().replace(" ", "")
