"""Holds a resource against the published shape of its type.

A shape is `"string"`, `"int"`, `"bool"`, `"any"`, a list of the texts that are known, `{"array": shape}`,
`{"map": shape}`, `{"object": {name: shape}, "required": [names]}`, or `"object"`: one that no file of ours looks into.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from devtools.infra.bicep import Document, Resource, Unknown

TABLE = Path(__file__).with_name("resource_types.json")
BICEPS_OWN = frozenset({"parent", "scope", "dependsOn"})
"""What Bicep adds to every resource."""
_TYPES = {"string": str, "int": int, "bool": bool, "any": object}


def table() -> dict[str, Any]:
    """Resource type with its api-version → where its shape comes from, and the shape."""
    found: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))["types"]
    return found


def paths(document: Document, resource: Resource) -> set[tuple[str, ...]]:
    """The objects in a resource: `()` is itself, `("properties",)`, `("properties", "subnets", "[]")`."""
    found: set[tuple[str, ...]] = set()

    def look(expression: Any, path: tuple[str, ...]) -> None:
        for value in document.values(expression, resource.item):
            if isinstance(value, dict):
                found.add(path)
                for name, inner in value.items():
                    look(inner, (*path, name))
            elif isinstance(value, list):
                for inner in value:
                    look(inner, (*path, "[]"))

    look(dict(resource.body), ())
    return found


def problems(document: Document, resource: Resource, shapes: Mapping[str, Any]) -> list[str]:
    """What Azure would refuse of a resource, as far as its published type says."""
    if resource.type_name not in shapes:
        return [f"{resource.symbol}: {resource.type_name} is not in the table. Run: make infra-types"]
    body = {name: value for name, value in resource.body.items() if name not in BICEPS_OWN}
    missing = {"name"} - set(body)
    shape = shapes[resource.type_name]["body"]
    own = {"object": {"name": "string", **shape["object"]}, "required": shape.get("required", [])}
    found = [f"{resource.symbol}: has no {name}" for name in missing]
    return [*found, *_unfit(document, resource, body, own, resource.symbol)]


def _unfit(document: Document, resource: Resource, expression: Any, shape: Any, path: str) -> Iterator[str]:
    for value in document.values(expression, resource.item):
        if value is None:
            continue
        if isinstance(value, Unknown):
            yield from _unknown(value, shape, path)
        elif isinstance(value, dict):
            yield from _object(document, resource, value, shape, path)
        elif isinstance(value, list):
            if not isinstance(shape, dict) or "array" not in shape:
                yield f"{path}: a list, expected {_said(shape)}"
                continue
            for inner in value:
                yield from _unfit(document, resource, inner, shape["array"], f"{path}[]")
        elif isinstance(shape, list):
            if value not in shape:
                yield f"{path}: {value!r}, expected one of {', '.join(shape)}"
        elif not _is(value, shape):
            yield f"{path}: {value!r}, expected {_said(shape)}"


def _object(document: Document, resource: Resource, value: dict[str, Any], shape: Any, path: str) -> Iterator[str]:
    if shape == "any":
        return
    if shape == "object":
        yield f"{path}: the table does not know what is in it. Run: make infra-types"
        return
    if not isinstance(shape, dict) or "array" in shape:
        yield f"{path}: an object, expected {_said(shape)}"
        return
    if "map" in shape:
        for name, inner in value.items():
            yield from _unfit(document, resource, inner, shape["map"], f"{path}.{name}")
        return
    for name in shape.get("required", []):
        if name not in value:
            yield f"{path}: has no {name}"
    for name, inner in value.items():
        if name not in shape["object"]:
            near = [known for known in shape["object"] if known.lower() == name.lower()]
            yield f"{path}: {name} is no property" + (f", {near[0]} is" if near else "")
            continue
        yield from _unfit(document, resource, inner, shape["object"][name], f"{path}.{name}")


def _unknown(value: Unknown, shape: Any, path: str) -> Iterator[str]:
    """A parameter of another type than the property's."""
    kind = "string" if isinstance(shape, list) else shape if isinstance(shape, str) else next(iter(shape))
    kind = "object" if kind == "map" else kind
    if value.kind in ("string", "int", "bool", "array", "object") and kind not in ("any", value.kind):
        yield f"{path}: {value.kind}, expected {_said(shape)}"


def _is(value: Any, shape: Any) -> bool:
    if not isinstance(shape, str) or shape not in _TYPES:
        return False
    return isinstance(value, _TYPES[shape]) and (shape in ("bool", "any") or not isinstance(value, bool))


def _said(shape: Any) -> str:
    if isinstance(shape, list):
        return "one of " + ", ".join(shape)
    return shape if isinstance(shape, str) else next(iter(shape))
