"""`GET /v1/models` and `GET /v1/models/{id}`: what the configuration offers this caller, asked of nobody."""

from __future__ import annotations

from typing import Any

import orjson

from shared.operations.allowed import meant, names
from shared.operations.context import Context
from shared.operations.reply import BufferedReply


async def list_models(context: Context) -> BufferedReply:
    """`{"object": "list", "data": [{id, object, created, owned_by}]}`, in the order of the configuration."""
    data = [_model(name) for name in names(context.parts.router, context.caller)]
    return BufferedReply(200, orjson.dumps({"object": "list", "data": data}))


async def retrieve_model(context: Context) -> BufferedReply:
    """One model; its name may contain slashes. Raises ModelNotFound."""
    name = context.params["id"].strip("/")
    meant(context.parts.router, context.caller, name)
    return BufferedReply(200, orjson.dumps(_model(name)))


def _model(name: str) -> dict[str, Any]:
    # `created` is required by OpenAI's schema; a configured name has no such time.
    return {"id": name, "object": "model", "created": 0, "owned_by": "spillway"}
