"""`GET /v1/models` and `GET /v1/models/{id}`: what the configuration offers this caller, asked of nobody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from shared.callers.caller import Caller
from shared.operations.reply import BufferedReply
from shared.routing.router import Router


def list_models(router: Router, caller: Caller, params: Mapping[str, str]) -> BufferedReply:
    """`{"object": "list", "data": [{id, object, created, owned_by}]}`, in the order of the configuration."""
    data = [_model(name) for name in router.model_names]
    return BufferedReply(200, orjson.dumps({"object": "list", "data": data}))


def retrieve_model(router: Router, caller: Caller, params: Mapping[str, str]) -> BufferedReply:
    """One model; its name may contain slashes. Raises ModelNotFound."""
    name = params["id"].strip("/")
    router.group(name)
    return BufferedReply(200, orjson.dumps(_model(name)))


def _model(name: str) -> dict[str, Any]:
    # `created` is required by OpenAI's schema; a configured name has no such time.
    return {"id": name, "object": "model", "created": 0, "owned_by": "spillway"}
