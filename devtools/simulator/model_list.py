"""`models`: base models in Azure's own shape on the classic surface, in OpenAI's on v1. Deployments are not listed."""

from __future__ import annotations

from typing import Any

import orjson

from devtools.simulator import errors
from devtools.simulator.exchange import JSON, Call, Reply
from devtools.simulator.models import MODELS, Model
from devtools.simulator.surfaces import V1

CREATED = 1_700_000_000


async def serve_list(call: Call) -> Reply:
    """`GET models`."""
    return _json({"data": [_shown(model, call.surface) for model in MODELS.values()], "object": "list"})


async def serve_one(call: Call) -> Reply:
    """`GET models/{model}`, by the name that the list shows; raises AzureError 404."""
    for model in MODELS.values():
        if call.params["model"] in (model.name, f"{model.name}-{model.version}"):
            return _json(_shown(model, call.surface))
    raise errors.resource_not_found()


def _json(body: dict[str, Any]) -> Reply:
    return Reply(headers={"content-type": JSON}, body=orjson.dumps(body))


def _shown(model: Model, surface: str) -> dict[str, Any]:
    name = f"{model.name}-{model.version}"
    if surface == V1:
        return {"id": name, "created": CREATED, "object": "model", "owned_by": "system"}
    chat = model.kind == "chat"
    return {
        "id": name,
        "status": "succeeded",
        "capabilities": {
            "fine_tune": False,
            "inference": True,
            "completion": chat or model.kind == "completion",
            "chat_completion": chat,
            "embeddings": model.kind == "embeddings",
        },
        "lifecycle_status": "generally-available",
        "deprecation": {"fine_tune": CREATED + 100_000_000, "inference": CREATED + 100_000_000},
        "created_at": CREATED,
        "object": "model",
    }
