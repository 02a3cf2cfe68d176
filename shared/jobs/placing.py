"""Which resources may train a model, and in which order they are tried."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.catalog.prices import named
from shared.errors import BadRequest, ModelNotFound, quoted
from shared.jobs.job import Rates
from shared.routing.filters import Kept, by_region
from shared.routing.router import Router
from shared.upstream.deployment import Deployment

MODES = frozenset({None, "chat", "completion", "responses", "batch"})
"""What the deployment of a model does that can be trained, or that shares its resource with one."""
REINFORCEMENT = "reinforcement"
_DATE = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{4})")


@dataclass(frozen=True, slots=True)
class Place:
    """A resource, by one of its deployments, and what it calls the model."""

    deployment: Deployment
    base: str


def places(router: Router, model: str, region: str = "") -> list[Place]:
    """The resources that may train `model`, one deployment of each, the first `order` first.

    `model` is a public name, whose deployments say by their base_model what it is; or the name of a base model, with or
    without its date, that some deployment has. Raises ModelNotFound, or BadRequest where nothing of it can be trained.
    """
    group = _group(router, model)
    found = [Place(one, one.base_model or one.name) for one in group if one.mode in MODES]
    if not group:
        base = named(model).name
        found = [Place(one, model) for one in router.every_deployment() if one.mode in MODES and _is(one, base)]
        if not found:
            router.group(model)  # raises, and says what there is
    if not found:
        raise BadRequest(
            f"No deployment of {quoted(model)} is of a kind that can be fine-tuned.",
            param="model",
            code="model_not_supported",
        )
    if region:
        kept = Kept([one.deployment for one in found])
        by_region(kept, region)
        found = [one for one in found if one.deployment in kept.deployments]
    ordered = sorted(found, key=lambda one: one.deployment.tier)
    return list({one.deployment.resource_id: one for one in reversed(ordered)}.values())[::-1]


def choose(some: Sequence[Place], refused: Iterable[str], busy: Mapping[str, int]) -> Place | None:
    """The place to try next: of the first order that is left, the resource with the fewest jobs under way."""
    passed = set(refused)
    left = [one for one in some if one.deployment.resource_id not in passed]
    first = [one for one in left if one.deployment.tier == left[0].deployment.tier]
    return min(first, key=lambda one: busy.get(one.deployment.resource_id, 0), default=None)


def rates(deployment: Deployment, method: str) -> Rates:
    """What training costs: reinforcement by the hour, anything else by the token."""
    price = deployment.price
    if method == REINFORCEMENT and price.training_hour is not None:
        return Rates(None, price.training_hour, price.source)
    if price.training is None:
        return Rates()
    return Rates(price.training, None, price.source)


def of_resource(router: Router, deployment_id: str, resource: str) -> Deployment | None:
    """A deployment through which a resource is reached: the one with this id, or another; None when none is left."""
    every = router.every_deployment()
    exact = next((one for one in every if one.id == deployment_id and one.resource_id == resource), None)
    return exact or next((one for one in every if one.resource_id == resource), None)


def _group(router: Router, model: str) -> list[Deployment]:
    try:
        return router.group(model)
    except ModelNotFound:
        return []


def _is(deployment: Deployment, base: str) -> bool:
    own = named(deployment.base_model or deployment.name).name
    return base == own or _undated(base) == own or _undated(base) == _undated(own)


def _undated(name: str) -> str:
    return _DATE.sub("", name)
