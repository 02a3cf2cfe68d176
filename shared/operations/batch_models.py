"""What a batch's lines may call a model: its public name, or the name of a configured deployment."""

from __future__ import annotations

from shared.callers.caller import Caller
from shared.errors import ModelNotFound
from shared.files.preflight import Known
from shared.operations.allowed import meant
from shared.routing.router import Router
from shared.upstream.deployment import Deployment

BATCH = "batch"


def known_model(router: Router, caller: Caller, written: str) -> Known | None:
    """The model that the caller means, None when there is none that it may use. A public name goes before the name of
    a deployment."""
    try:
        name = meant(router, caller, written)
        return Known(name, _batch_first(router.group(name)).price)
    except ModelNotFound:
        named = [one for one in router.every_deployment() if one.name == written and "*" not in one.model_name]
    if caller.key is not None:
        named = [one for one in named if caller.key.permits(one.model_name)]
    if not named:
        return None
    serving = _batch_first(named)
    return Known(serving.model_name, serving.price)


def _batch_first(deployments: list[Deployment]) -> Deployment:
    return next((one for one in deployments if one.mode == BATCH), deployments[0])
