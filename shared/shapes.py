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


def places(value: Any, shape: Shape) -> list[Place]:
    """Every marked place of `value` at which there is a string, in the order of the shape. Tolerates any JSON."""
    found: list[_Found] = []
    _find(value, shape, None, found)
    return [(holder, key, mark, _path(way)) for holder, key, mark, way in found] if found else []


def replace(value: Any, shape: Shape, change: Callable[[str, Mark], str]) -> bool:
    """Changes the string at every marked place of `value`, in place; whether there was any."""
    found: list[_Found] = []
    _find(value, shape, None, found)
    for holder, key, mark, _ in found:
        holder[key] = change(holder[key], mark)
    return bool(found)


# The keys that lead to a place, the last one first. Most bodies have no marked place, so paths are written when asked.
_Way: TypeAlias = "tuple[_Way, str | int] | None"
_Found = tuple[Any, Any, Mark, _Way]


def _find(value: Any, shape: Shape, way: _Way, found: list[_Found]) -> None:
    if type(shape) is dict:
        if isinstance(value, dict):
            for name, inner in shape.items():
                item = value.get(name)
                if item is not None:
                    _inside(value, name, item, inner, (way, name), found)
    elif type(shape) is list:
        if isinstance(value, list):
            inner = shape[0]
            for index, item in enumerate(value):
                _inside(value, index, item, inner, (way, index), found)
    else:
        for alternative in shape:
            _find(value, alternative, way, found)


def _inside(holder: Any, key: str | int, item: Any, shape: Shape, way: _Way, found: list[_Found]) -> None:
    if type(shape) is tuple:
        for alternative in shape:
            _inside(holder, key, item, alternative, way, found)
    elif type(shape) is Mark:
        if isinstance(item, str) and item:
            found.append((holder, key, shape, way))
    elif isinstance(item, dict | list):
        _find(item, shape, way, found)


def _path(way: _Way) -> str:
    parts: list[str] = []
    while way is not None:
        way, key = way
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key}" if way is not None else key)
    return "".join(reversed(parts))
