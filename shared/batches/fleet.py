"""The deployments that serve batches: those of `mode: batch`, any that could where no entry of the group says so."""

from __future__ import annotations

from shared.errors import ModelNotFound
from shared.routing.router import Router
from shared.upstream.deployment import Deployment

PROVIDERS = frozenset({"azure", "openai"})
COULD = frozenset({None, "chat", "embedding", "responses"})
"""Modes of entries whose deployments may take batches: their SKU decides, which nobody tells us."""
BATCH = "batch"


class RouterFleet:
    """The deployments of the configuration (shared.batches.work.Fleet)."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def of(self, model: str) -> list[Deployment]:
        """Those that take batches of a model, perhaps none."""
        try:
            group = [one for one in self._router.group(model) if one.provider in PROVIDERS]
        except ModelNotFound:
            return []
        return [one for one in group if one.mode == BATCH] or [one for one in group if one.mode in COULD]

    def known(self, model: str, deployment: str) -> Deployment | None:
        """The one with this id, None when it is no longer configured."""
        everywhere = (*self.of(model), *self._router.every_deployment())
        return next((one for one in everywhere if one.id == deployment), None)
