"""Checks of single request fields that operations have in common; each raises AzureError 400 as Azure would."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from devtools.simulator import errors
from devtools.simulator.surfaces import V1


def known(body: Mapping[str, Any], names: Collection[str], surface: str) -> None:
    """Every field of the body must be one of `names`."""
    unknown = [name for name in body if name not in names]
    if unknown and surface == V1:
        raise errors.unknown_parameter(unknown[0])
    if unknown:
        raise errors.unrecognized_arguments(unknown)


def integer(body: Mapping[str, Any], name: str, least: int, most: int, default: int | None = None) -> int | None:
    """The integer in a field between two bounds; `default` when it is absent or null."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise errors.invalid_request(f"Invalid type for '{name}': expected an integer.", name, "invalid_type")
    _bounds(name, value, least, most, "integer")
    return value


def number(body: Mapping[str, Any], name: str, least: float, most: float) -> None:
    """A number between two bounds, where there is one."""
    value = body.get(name)
    if value is None:
        return
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise errors.invalid_request(f"Invalid type for '{name}': expected a decimal.", name, "invalid_type")
    _bounds(name, value, least, most, "decimal")


def _bounds(name: str, value: float, least: float, most: float, kind: str) -> None:
    if value < least:
        raise errors.invalid_request(
            f"Invalid '{name}': {kind} below minimum value. Expected a value >= {least}, but got {value} instead.",
            name,
            f"{kind}_below_min_value",
        )
    if value > most:
        raise errors.invalid_request(
            f"Invalid '{name}': {kind} above maximum value. Expected a value <= {most}, but got {value} instead.",
            name,
            f"{kind}_above_max_value",
        )


def mapping(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object in a field; an empty one when it is absent or null."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise errors.invalid_request(f"Invalid type for '{name}': expected an object.", name, "invalid_type")
    return value


def listing(body: Mapping[str, Any], name: str) -> list[Any]:
    """The array in a field; an empty one when it is absent or null."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise errors.invalid_request(f"Invalid type for '{name}': expected an array.", name, "invalid_type")
    return value


def stop(body: Mapping[str, Any]) -> None:
    """`stop`: a string or an array of them."""
    value = body.get("stop")
    if value is None or isinstance(value, str) or (isinstance(value, list) and all(isinstance(v, str) for v in value)):
        return
    raise errors.invalid_request(
        "Invalid type for 'stop': expected one of a string or an array of strings.", "stop", "invalid_type"
    )


def stream_options(body: Mapping[str, Any]) -> None:
    """`stream_options`: an object, and only of a stream."""
    mapping(body, "stream_options")
    if body.get("stream_options") is not None and not body.get("stream"):
        raise errors.invalid_request(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options"
        )


def objects(body: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The array of objects in a field; an empty one when it is absent or null."""
    values = listing(body, name)
    if not all(isinstance(value, dict) for value in values):
        raise errors.invalid_request(f"Invalid type for '{name}': expected an array of objects.", name, "invalid_type")
    return values


def choice(body: Mapping[str, Any], name: str, supported: tuple[str, ...], default: str) -> str:
    """One of the supported values; `default` when the field is absent or null."""
    value = body.get(name)
    if value is None:
        return default
    if value not in supported:
        raise errors.invalid_value(value, supported, name)
    return str(value)


def text(body: Mapping[str, Any], name: str, chars_max: int) -> str:
    """A text that must be there, be a string, and not be too long."""
    value = body.get(name)
    if value is None:
        raise errors.missing_parameter(name)
    if not isinstance(value, str):
        raise errors.invalid_request(f"Invalid type for '{name}': expected a string.", name, "invalid_type")
    if len(value) > chars_max:
        raise errors.invalid_request(
            f"Invalid '{name}': string too long. Expected a string with maximum length {chars_max}, but got a string "
            f"with length {len(value)} instead.",
            name,
            "string_above_max_length",
        )
    return value
