"""Which tools the simulated model calls, and with what: one call for each known city that the user names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

CITIES = (
    "Amsterdam", "Beijing", "Berlin", "Boston", "Cairo", "Chicago", "Delhi", "Dublin", "Lagos", "Lisbon", "London",
    "Madrid", "Mumbai", "New York", "Oslo", "Paris", "Rome", "San Francisco", "Seattle", "Seoul", "Shanghai",
    "Singapore", "Stockholm", "Sydney", "Tokyo", "Toronto", "Vienna", "Warsaw", "Zurich",
)  # fmt: skip
_CITY = re.compile(r"\b(" + "|".join(CITIES) + r")\b")
_CITY_PROPERTIES = ("location", "city", "place")
SCHEMA_DEPTH_MAX = 20


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function to call; `arguments` is JSON text."""

    name: str
    arguments: str


def calls_for(body: dict[str, Any], prompt: str, *, parallel: bool) -> list[ToolCall]:
    """The calls that answer a prompt; none means that the model answers in words.

    `tool_choice` (or the older `function_call`): `none` never calls, `auto` when the prompt names a known city,
    `required` or a named function always.
    """
    functions = [tool.get("function", {}) for tool in body.get("tools") or ()] or body.get("functions") or []
    choice = body.get("tool_choice", body.get("function_call", "auto"))
    if not functions or choice == "none":
        return []
    function = functions[0]
    named = _named(choice)
    if named:
        function = next((f for f in functions if f.get("name") == named), {"name": named})
    cities = list(dict.fromkeys(_CITY.findall(prompt)))
    if not cities and choice == "auto":
        return []
    if not parallel or body.get("parallel_tool_calls") is False or "functions" in body:
        cities = cities[:1]
    schema = {"type": "object"} | (function.get("parameters") or {})
    return [
        ToolCall(function.get("name", ""), orjson.dumps(example(schema, city=city)).decode())
        for city in cities or ["Paris"]
    ]


def _named(choice: object) -> str | None:
    if not isinstance(choice, dict):
        return None
    name = choice.get("function", choice).get("name")
    return name if isinstance(name, str) else None


def example(schema: dict[str, Any], *, city: str = "Paris", text: str = "simulated") -> Any:
    """A value that a JSON schema allows: first enum or anyOf member, every property of an object, one array item."""
    return _example(schema, schema, city, text, 0)


def _example(schema: dict[str, Any], root: dict[str, Any], city: str, text: str, depth: int) -> Any:
    if depth > SCHEMA_DEPTH_MAX:
        return None
    if "$ref" in schema:
        return _example(_resolve(schema["$ref"], root), root, city, text, depth + 1)
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _example(schema[key][0], root, city, text, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        return {
            name: city if name in _CITY_PROPERTIES else _example(part, root, city, text, depth + 1)
            for name, part in schema.get("properties", {}).items()
        }
    if kind == "array":
        count = max(1, schema.get("minItems", 1))
        return [_example(schema.get("items", {}), root, city, text, depth + 1) for _ in range(count)]
    return {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 1.5), "boolean": True,
            "null": None}.get(kind, text)  # fmt: skip


def _resolve(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    found: Any = root
    for name in reference.removeprefix("#").strip("/").split("/") if reference != "#" else ():
        found = found.get(name, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}
