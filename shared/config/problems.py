"""Collects every problem and warning of one configuration, in words that name the YAML path and never a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.config import support
from shared.errors import ConfigError

M = TypeVar("M", bound=BaseModel)

_SECRET_KEY = re.compile(r"key|secret|password|passwd|token|credential|authorization|connection_string|sas", re.I)
_SHOWN_CHARS_MAX = 60
_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a string in quotes",
    "string_too_short": "a string that is not empty",
    "string_too_long": "a string of at most {max_length} characters",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than_equal": "a number of at most {le}",
    "literal_error": "one of {expected}",
    "dict_type": "a mapping",
    "list_type": "a list",
    "too_long": "at most {max_length} of them",
    "string_pattern_mismatch": "another form",
}


class Problems:
    """Collector for one load. `references` maps a YAML path to the environment variable its value came from."""

    def __init__(self, references: Mapping[str, str]) -> None:
        self._references = references
        self._problems: list[str] = []
        self._warnings: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._warnings)

    def __bool__(self) -> bool:
        return bool(self._problems)

    def add(self, path: str, text: str) -> None:
        self._problems.append(f"{path}: {text}")

    def once(self, path: str, text: str) -> None:
        """`add`, for what every entry of a file would say again."""
        if f"{path}: {text}" not in self._problems:
            self.add(path, text)

    def warn(self, path: str, text: str) -> None:
        self._warnings.append(f"{path}: {text}")

    def found(self, path: str, value: object, expected: str) -> None:
        """A wrong value; it is shown unless its key looks secret or it came from the environment."""
        self.add(path, f"found {self.shown(path, value)}, expected {expected}.")

    def shown(self, path: str, value: object) -> str:
        """`value` as an operator may see it in a log."""
        if path in self._references:
            return f"the value of environment variable {self._references[path]} (not shown)"
        if is_secret(path):
            return "a value that is not shown"
        if isinstance(value, Mapping):
            return "a mapping"
        if isinstance(value, list | tuple):
            return "a list"
        if value is None:
            return "nothing"
        text = repr(value)
        return text if len(text) <= _SHOWN_CHARS_MAX else f"{text[:_SHOWN_CHARS_MAX]}…"

    def raise_if_any(self) -> None:
        """ConfigError with all of them."""
        if self._problems:
            raise ConfigError(self._problems)

    def mapping(self, path: str, raw: object) -> dict[str, Any] | None:
        """`raw` with string keys and without nulls (a key without a value is as good as not written)."""
        if not isinstance(raw, Mapping):
            self.found(path, raw, "a mapping")
            return None
        for key in raw:
            if not isinstance(key, str):
                self.add(path, f"found the key {key!r}, expected a string (put it in quotes).")
        return {key: value for key, value in raw.items() if isinstance(key, str) and value is not None}

    def validated(self, model: type[M], section: str, path: str, raw: object) -> M | None:
        """`raw` as `model`, or None after its problems were added. Keys without effect become warnings."""
        mapping = self.mapping(path, raw)
        if mapping is None:
            return None
        known = support.known_keys(model)
        for key in mapping:
            text = support.complaint(section, key, known)
            if text is not None:
                self.warn(f"{path}.{key}", text)
        try:
            return model.model_validate(mapping)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                self._pydantic(model, path, detail)
            return None

    def _pydantic(self, model: type[BaseModel], path: str, detail: ErrorDetails) -> None:
        where = path + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"])
        about = _description(model, detail["loc"])
        kind = detail["type"]
        if kind == "missing":
            self.add(where, f"is missing, expected {about or 'a value'}.")
            return
        if kind in ("value_error", "string_pattern_mismatch"):
            self.found(where, detail["input"], about or "another value")
            return
        expected = _EXPECTED[kind].format(**detail.get("ctx", {})) if kind in _EXPECTED else "another value"
        self.found(where, detail["input"], f"{expected} ({about})" if about else expected)


def is_secret(path: str) -> bool:
    """Whether the last key of a YAML path names something that must not be shown."""
    key = path.rpartition(".")[2]
    if path.startswith("environment_variables"):
        return True
    return bool(_SECRET_KEY.search(key)) and not key.endswith(("_name", "_tokens")) and "cost" not in key


def _description(model: type[BaseModel], loc: tuple[int | str, ...]) -> str | None:
    for name, field in model.model_fields.items():
        if loc and loc[0] in (name, field.alias):
            return field.description
    return None
