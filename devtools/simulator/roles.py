"""What Azure's roles allow an Entra identity to do at a resource."""

from __future__ import annotations

ROLES: dict[str | None, frozenset[str]] = {
    None: frozenset(),
    "Cognitive Services OpenAI User": frozenset({"inference"}),
    "Cognitive Services OpenAI Contributor": frozenset({"inference", "authoring"}),
}
"""By role: `authoring` is files, batches and fine-tuning. None is a missing role."""
INHERIT = "inherit"
"""The role setting of a resource that leaves it to the identity."""
