"""The JSON that an operation sends to one deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from shared.errors import BadRequest
from shared.operations.operation import Call
from shared.upstream.deployment import Deployment

INCLUDE_USAGE = "stream_options.include_usage"


def encode(call: Call, deployment: Deployment) -> bytes:
    """The client's own JSON, with the deployment's own name as `model`. Raises BadRequest as `dumped` does."""
    return dumped({**call.body, "model": deployment.name})


def asking_usage(body: Mapping[str, Any], operation: str, deployment: Deployment) -> dict[str, Any]:
    """The body of a stream with its usage asked for, where the deployment's api-version can tell it."""
    if not deployment.supports(operation, INCLUDE_USAGE):
        return dict(body)
    return {**body, "stream_options": {**(body.get("stream_options") or {}), "include_usage": True}}


def dumped(body: Mapping[str, Any]) -> bytes:
    """The JSON to send. Raises BadRequest for nesting of more than 254 levels, which orjson reads and cannot write."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        raise BadRequest("The request's body is nested too deeply.", code="invalid_json") from None
