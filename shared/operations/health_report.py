"""`GET /health`, `/health/liveliness` and `/health/readiness`."""

from __future__ import annotations

import orjson

from shared.operations.context import Context
from shared.operations.reply import BufferedReply


async def report(context: Context) -> BufferedReply:
    """`{healthy_endpoints, unhealthy_endpoints, healthy_count, unhealthy_count}`; `?model=` asks for one model."""
    model = context.request.query_params.get("model") or None
    return BufferedReply(200, orjson.dumps(await context.parts.health.report(model)))


async def liveliness(context: Context) -> BufferedReply:
    """The process answers."""
    return BufferedReply(200, orjson.dumps("I'm alive!"))


async def readiness(context: Context) -> BufferedReply:
    """The configuration is loaded and another call has room; 503 otherwise. No deployment is asked."""
    ready = context.parts.health.ready()
    return BufferedReply(200 if ready else 503, orjson.dumps({"status": "healthy" if ready else "busy"}))
