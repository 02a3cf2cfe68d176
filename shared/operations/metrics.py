"""`GET /metrics`: what this instance has counted, and its gauges."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shared.operations.context import Context
from shared.operations.reply import BufferedReply
from shared.routing.router import Router
from shared.spend.ledger import Ledger
from shared.telemetry.prometheus import exposition
from shared.telemetry.readings import Reading


async def metrics(context: Context) -> BufferedReply:
    """The text that Prometheus scrapes, or OpenMetrics where the request accepts it."""
    telemetry = context.parts.telemetry
    accept = context.request.headers.get("accept", "")
    readings = list(telemetry.readings())
    body, media_type = await asyncio.to_thread(exposition, telemetry.counters, readings, telemetry.worker, accept)
    return BufferedReply(200, body, {"cache-control": "no-store"}, media_type)


def readings(router: Router, ledger: Ledger, under_way: Callable[[], int]) -> list[Reading]:
    """The gauges of a gateway; those of the ledger only where there is one."""
    segments = ledger.segments
    of_ledger = (
        []
        if segments is None
        else [
            Reading("spillway_ledger_waiting_records", segments.waiting),
            Reading("spillway_ledger_lag_seconds", max(segments.failing_s, segments.writing_s)),
            Reading("spillway_storage_degraded", int(ledger.state != "ok")),
        ]
    )
    return [
        Reading("spillway_calls_under_way", under_way()),
        *(Reading("spillway_in_flight", one.in_flight, {"model_id": id}) for id, one in list(router.states.items())),
        Reading("spillway_usage_sharing_degraded", int(router.blind())),
        *of_ledger,
    ]
