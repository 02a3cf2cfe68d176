"""What a batch's lines may call a model: its public name, or the name of a configured deployment."""

from __future__ import annotations

from shared.errors import ModelNotFound
from shared.files.preflight import Known
from shared.routing.router import Router
from shared.upstream.deployment import Deployment

BATCH = "batch"


def known_model(router: Router, written: str) -> Known | None:
    """The model that a word means, None when it is not configured. A public name goes before a deployment's."""
    try:
        group = router.group(written)
    except ModelNotFound:
        group = []
    if group:
        return Known(group[0].model_name if "*" not in group[0].model_name else written, _batch_first(group).price)
    deployments = [one for one in router.every_deployment() if one.name == written and "*" not in one.model_name]
    if not deployments:
        return None
    serving = _batch_first(deployments)
    return Known(serving.model_name, serving.price)


def _batch_first(deployments: list[Deployment]) -> Deployment:
    return next((one for one in deployments if one.mode == BATCH), deployments[0])
