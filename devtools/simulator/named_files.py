"""Files that a chat or a response names by their id: they must be at this resource."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from devtools.simulator import errors
from devtools.simulator.exchange import Call


def check(call: Call) -> None:
    """Raises AzureError 400 when a file of the request is not at this resource."""
    for file_id, where in _named(call.body):
        if call.world.files.get(call.resource.name, str(file_id), call.world.time()) is None:
            raise errors.invalid_request(f"File '{file_id}' was not found at this resource.", where, "file_not_found")


def _named(body: dict[str, Any]) -> Iterator[tuple[object, str]]:
    for at, message in enumerate(_objects(body.get("messages"))):
        for part in _objects(message.get("content")):
            if isinstance(part.get("file"), dict) and part["file"].get("file_id") is not None:
                yield part["file"]["file_id"], f"messages[{at}]"
    for at, item in enumerate(_objects(body.get("input"))):
        for part in (*_objects(item.get("content")), *_objects(item.get("output"))):
            if part.get("file_id") is not None:
                yield part["file_id"], f"input[{at}]"
    for at, tool in enumerate(_objects(body.get("tools"))):
        container = tool.get("container")
        if isinstance(container, dict):
            yield from ((one, f"tools[{at}].container.file_ids") for one in container.get("file_ids") or ())


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
