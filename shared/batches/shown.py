"""The batch object of OpenAI's API, with what is particular to Spillway under `spillway`. Pure."""

from __future__ import annotations

from typing import Any

from shared.batches.document import WINDOW_S, Batch, Shard
from shared.config.pricing import PICO

TIMES = ("in_progress_at", "finalizing_at", "completed_at", "failed_at", "expired_at", "cancelling_at", "cancelled_at")
STATES = {"uploading": "submitting", "uploaded": "submitting", "doubtful": "submitting"}
"""States of a shard that are told under another word."""


def status_of(batch: Batch) -> str:
    """OpenAI's word for how far the batch is."""
    if batch.ended:
        return batch.state
    if batch.cancelling:
        return "cancelling"
    for name in ("finalizing", "in_progress"):
        if f"{name}_at" in batch.times:
            return name
    return "validating"


def shown(batch: Batch) -> dict[str, Any]:
    """The batch as its caller sees it. Files of results are named once they are there."""
    ours = [shard for shard in batch.shards if not shard.stray]
    output = batch.ended and any(shard.output_blocks for shard in ours)
    error = batch.ended and any(shard.error_blocks for shard in ours)
    made = int(batch.created_at)
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "model": batch.model,
        "errors": {"object": "list", "data": list(batch.errors)} if batch.errors else None,
        "input_file_id": batch.input_file_id,
        "completion_window": "24h",
        "status": status_of(batch),
        "output_file_id": batch.output_id if output else None,
        "error_file_id": batch.error_id if error else None,
        "created_at": made,
        "expires_at": made + WINDOW_S,
        **{name: int(batch.times[name]) if name in batch.times else None for name in TIMES},
        "request_counts": {
            "total": batch.total or sum(shard.lines for shard in ours if not shard.round),
            "completed": sum(shard.completed for shard in ours),
            "failed": sum(shard.failed for shard in ours),
        },
        "usage": _usage(batch),
        "metadata": None if batch.metadata is None else dict(batch.metadata),
        "spillway": {
            "cost_usd": float(batch.cost / PICO),
            "estimate": dict(batch.estimate) or None,
            "shards": [_shard(shard) for shard in ours],
        },
    }


def deployments_of(batch: Batch) -> str:
    """The names of the deployments that have, or had, a part of the batch."""
    return ", ".join(dict.fromkeys(shard.label for shard in batch.shards if shard.label))


def _usage(batch: Batch) -> dict[str, Any]:
    prompt = sum(shard.prompt_tokens for shard in batch.shards)
    completion = sum(shard.completion_tokens for shard in batch.shards)
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": sum(shard.cached_tokens for shard in batch.shards)},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": sum(shard.reasoning_tokens for shard in batch.shards)},
        "total_tokens": prompt + completion,
    }


def _shard(shard: Shard) -> dict[str, Any]:
    """A shard: which requests, where, how far. `round` counts from 0; above it are repairs."""
    return {
        "first_request": shard.first,
        "round": shard.round,
        "status": STATES.get(shard.state, shard.state),
        "deployment": shard.label or None,
        "deployment_id": shard.deployment or None,
        "enqueued_tokens": shard.claims,
        "request_counts": {"total": shard.lines, "completed": shard.completed, "failed": shard.failed},
        "tries": shard.tries,
        "error": {"code": shard.code, "message": shard.message} if shard.state == "failed" else None,
    }
