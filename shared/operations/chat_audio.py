"""The ids of spoken answers: they live at the resource that spoke, so they are sealed (DESIGN §10).

A client sends `{"role": "assistant", "audio": {"id": …}}` for an answer that it was given earlier; the call then goes
to the resource that has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared.operations.operation import Call
from shared.operations.responses_ids import seal
from shared.seal import Seal
from shared.sealed_ids import unseal
from shared.shapes import ID, Shape

_REQUEST: Shape = {"messages": [{"audio": {"id": ID}}]}
_REPLY: Shape = {"choices": [{"message": {"audio": {"id": ID}}}]}
_CHUNK: Shape = {"choices": [{"delta": {"audio": {"id": ID}}}]}


def resource_of(body: dict[str, Any], ids: Seal) -> bytes | None:
    """Opens the ids in the messages, in place; the tag of their resource, None without any. Raises SpillwayError."""
    return unseal(body, _REQUEST, ids)


def seal_reply(call: Call, payload: dict[str, Any]) -> bool:
    """Seals the ids of a whole answer, in place; whether there were any."""
    return seal(call, payload, _REPLY)


def seal_chunks(call: Call) -> Callable[[dict[str, Any]], bool]:
    """What seals the ids of one stream's chunks, in place, and says whether there were any."""
    return lambda chunk: seal(call, chunk, _CHUNK)
