"""`batches`: create, list, retrieve, cancel."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from devtools.simulator import authoring_errors, batch_check, batch_run, files, pages
from devtools.simulator.authoring import Authoring
from devtools.simulator.batch_check import Check
from devtools.simulator.batches_store import Batch, Results
from devtools.simulator.exchange import Call, Reply
from devtools.simulator.files_store import StoredFile
from devtools.simulator.surfaces import date_of

WINDOW = "24h"
WINDOW_S = 24 * 3600
LIST_LIMIT, LIST_LIMIT_MAX = 20, 100
CHARS_PER_TOKEN = 4
"""Azure estimates the tokens of a file "based on the number of characters" (batch page)."""
UNLIMITED_TOKENS = 5_000_000_000
TOKENS_TOLD_SINCE = "2024-10-01"
UNKNOWN_STATUS = "scaling_up"
TIMES = ("in_progress_at", "finalizing_at", "completed_at", "failed_at", "expired_at", "cancelling_at", "cancelled_at")
CANCELLABLE = frozenset({"validating", "in_progress", "finalizing"})


async def serve_create(call: Call) -> Reply:
    """`POST batches`; raises AzureError."""
    body = files.body_of(call)
    endpoint = body.get("endpoint")
    if not isinstance(endpoint, str) or batch_check.normal(endpoint) not in batch_check.KINDS:
        raise authoring_errors.invalid_payload(f"Invalid endpoint: '{endpoint}'.")
    if body.get("completion_window") != WINDOW:
        raise authoring_errors.invalid_payload(f"Invalid completion_window: it must be '{WINDOW}'.")
    metadata = files.metadata_of(body)
    expiry_s = files.expiry_s(body.get("output_expires_after"))
    source = files.find(call, str(body.get("input_file_id")))
    if source.purpose != "batch":
        raise authoring_errors.invalid_payload(f"The file '{source.id}' must have the purpose 'batch'.")
    if call.world.time() < source.ready_at:
        raise authoring_errors.invalid_payload(f"The file '{source.id}' is not processed yet.")
    batch = _made(call, source, endpoint, metadata, expiry_s)
    if call.resource.authoring.batch_fails_fast:
        message = batch_run.token_limit_message(call.world, batch, call.resource)
        if message is not None:
            batch.input.unlink()
            raise authoring_errors.token_limit(message)
        batch.enqueued_tokens = batch.tokens
    call.world.batches.put(batch)
    call.world.pump.start(lambda: batch_run.run_all(call.world))
    reply = files.answer(shown(batch, call.resource.authoring))
    if date_of(call.api_version) >= TOKENS_TOLD_SINCE:
        reply.headers |= _tokens_told(call, batch)
    return reply


def _tokens_told(call: Call, batch: Batch) -> dict[str, str]:
    """How many tokens Azure takes the input for, and how many its deployment may have."""
    deployment = call.resource.deployments.get(batch.deployment)
    most = UNLIMITED_TOKENS if deployment is None or deployment.enqueued_tokens is None else deployment.enqueued_tokens
    return {"deployment-enqueued-tokens": str(batch.tokens), "deployment-maximum-enqueued-tokens": str(most)}


def _made(
    call: Call, source: StoredFile, endpoint: str, metadata: dict[str, str] | None, expiry_s: int | None
) -> Batch:
    world = call.world
    copy = world.scratch.new()
    os.link(source.path, copy)  # the file may be deleted while the batch runs
    now = world.now()
    return Batch(
        id=f"batch_{world.uuid()}",
        resource=call.resource.name,
        endpoint=endpoint,
        input_file_id=source.id,
        completion_window=WINDOW,
        metadata=metadata,
        output_expiry_s=expiry_s,
        input=copy,
        output=Results(world.scratch.new()),
        error=Results(world.scratch.new()),
        check=Check(copy, endpoint, call.resource.authoring.batch_lines_max, call.resource.deployments),
        tokens=source.bytes // CHARS_PER_TOKEN,
        deployment=batch_check.model_of(copy) or "",
        since=now,
        epoch=world.time() - now,
        times={"created_at": world.time()},
    )


async def serve_list(call: Call) -> Reply:
    """`GET batches`, with `after` and `limit`, newest first."""
    batches = call.world.batches.all(call.resource.name)
    some, more = pages.page(batches, call.request.query, limit=LIST_LIMIT, limit_max=LIST_LIMIT_MAX)
    batch_run.settle(call.world, *some)
    return files.answer(pages.listing([shown(batch, call.resource.authoring) for batch in some], more))


async def serve_one(call: Call) -> Reply:
    """`GET batches/{id}`."""
    return files.answer(shown(_find(call), call.resource.authoring))


async def serve_cancel(call: Call) -> Reply:
    """`POST batches/{id}/cancel`: what is done by then is kept."""
    batch = _find(call)
    if batch.status in CANCELLABLE:
        batch.become("cancelling", call.world.now())
    elif batch.status not in ("cancelling", "cancelled"):
        raise authoring_errors.conflict(f"Cannot cancel a batch with status '{batch.status}'.")
    return files.answer(shown(batch, call.resource.authoring))


def _find(call: Call) -> Batch:
    """The batch as it is by now; raises AzureError 404."""
    batch = call.world.batches.get(call.resource.name, call.params["id"])
    if batch is None:
        raise authoring_errors.not_found("batch", call.params["id"])
    batch_run.settle(call.world, batch)
    return batch


def shown(batch: Batch, settings: Authoring) -> dict[str, Any]:
    """The batch as it is sent, with the quirks of its resource."""
    status = batch.shown_status or batch.status
    if status == "in_progress" and settings.has("unknown_status"):
        status = UNKNOWN_STATUS
    counts: dict[str, int | None] = {"total": batch.total, "completed": batch.completed, "failed": batch.failed}
    if settings.has("null_counts") and not batch.ended:
        counts = dict.fromkeys(counts)
    no_id = "" if settings.has("empty_ids") else None
    created = batch.times["created_at"]
    times = {"created_at": created, "expires_at": created + WINDOW_S, **{name: batch.times.get(name) for name in TIMES}}
    return {
        "object": "batch",
        "id": batch.id,
        "endpoint": None if settings.has("null_endpoint") else batch.endpoint,
        "input_file_id": batch.input_file_id,
        "completion_window": batch.completion_window,
        "status": status.capitalize() if settings.has("capital_statuses") else status,
        "errors": {"object": "list", "data": batch.errors} if batch.errors else None,
        "output_file_id": batch.output_file_id or no_id,
        "error_file_id": batch.error_file_id or no_id,
        "request_counts": counts,
        "metadata": batch.metadata,
        **{name: _time(value, iso=settings.has("iso_times")) for name, value in times.items()},
    }


def _time(seconds: float | None, *, iso: bool) -> int | str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(int(seconds), UTC).isoformat() if iso else int(seconds)
