"""Where ids stand in a JSON body, told by a shape that looks like the body.

    {"id": ID, "output": [{"id": NAME, "encrypted_content": CONTENT}]}

A dict names the fields to look at, a list holds the shape of each item, a tuple gives alternatives. Whatever a shape
does not name is never looked at, so that a text which happens to hold an id stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeAlias


class Mark(Enum):
    """What a string is that stands at a marked place."""

    ID = "an id that a resource made"
    NAME = "an item's id, which a client may also have made itself"
    CONTENT = "opaque content that only the resource which wrote it can read"
    FILE = "a file's id"


ID, NAME, CONTENT, FILE = Mark.ID, Mark.NAME, Mark.CONTENT, Mark.FILE

# dict[str, Shape] | list[Shape] | tuple[Shape, ...] | Mark
Shape: TypeAlias = Any
Place = tuple[Any, Any, Mark, str]
"""The object or array that holds a string, its key there, what it is, and its path, such as `input[0].id`."""


def places(value: Any, shape: Shape, path: str = "") -> list[Place]:
    """Every marked place of `value` at which there is a string, in the order of the shape. Tolerates any JSON."""
    found: list[Place] = []
    _find(value, shape, path, found)
    return found


def replace(value: Any, shape: Shape, change: Callable[[str, Mark], str]) -> bool:
    """Changes the string at every marked place of `value`, in place; whether there was any."""
    found = places(value, shape)
    for holder, key, mark, _ in found:
        holder[key] = change(holder[key], mark)
    return bool(found)


def _find(value: Any, shape: Shape, path: str, found: list[Place]) -> None:
    if isinstance(shape, tuple):
        for alternative in shape:
            _find(value, alternative, path, found)
    elif isinstance(shape, list) and isinstance(value, list):
        for index, item in enumerate(value):
            _inside(value, index, item, shape[0], f"{path}[{index}]", found)
    elif isinstance(shape, dict) and isinstance(value, dict):
        for name, inner in shape.items():
            item = value.get(name)
            if item is not None:
                _inside(value, name, item, inner, f"{path}.{name}" if path else name, found)


def _inside(holder: Any, key: str | int, item: Any, shape: Shape, path: str, found: list[Place]) -> None:
    for one in shape if isinstance(shape, tuple) else (shape,):
        if not isinstance(one, Mark):
            _find(item, one, path, found)
        elif isinstance(item, str) and item:
            found.append((holder, key, one, path))
