"""The triggers: one module per OpenAI resource, each with a blueprint."""

from __future__ import annotations

import azure.functions as func


def blueprints() -> tuple[func.Blueprint, ...]:
    """Every blueprint; the host orders functions by name, not by this."""
    from handlers import (
        aliases,
        audio,
        batches,
        chat,
        completions,
        embeddings,
        files,
        fine_tuning,
        health,
        images,
        keys,
        models,
        responses,
        router,
        spend,
        timers,
    )

    modules = (
        audio,
        batches,
        chat,
        completions,
        embeddings,
        files,
        fine_tuning,
        health,
        images,
        keys,
        models,
        responses,
        router,
        spend,
        timers,
        aliases,
    )
    return tuple(module.blueprint for module in modules)
