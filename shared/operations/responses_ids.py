"""The ids of one call's reply, sealed for its caller (shared.sealed_ids says where they stand)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared import sealed_ids
from shared.errors import NotFound
from shared.operations.operation import Call, Incoming
from shared.seal import Sealed
from shared.shapes import Mark, Shape, replace


def sealing(call: Call) -> Callable[[str, Mark], str]:
    """What seals the strings of the reply."""
    assert call.resource is not None
    return sealed_ids.sealing(call.seal, call.resource, call.file_of)


def seal(call: Call, payload: Any, shape: Shape) -> bool:
    """Seals what stands at the marked places of `payload`, in place; whether there was anything."""
    return replace(payload, shape, sealing(call))


def scrub(call: Call, text: str) -> str:
    """An error's words with our ids in the place of the upstream's."""
    assert call.resource is not None
    return sealed_ids.scrub(text, call.seal, call.resource)


def named(incoming: Incoming) -> tuple[str, Sealed]:
    """The name of the brace in the operation's path, and what its id says. Raises NotFound."""
    [(name, our_id)] = incoming.ids.items()
    opened = incoming.seal.open_id(our_id)
    if opened is None or not our_id.startswith("resp_"):
        raise NotFound("There is no such response here.", param="response_id")
    return name, opened
