"""Kinds of values that a parameter of images and audio may have, each with its words for an error."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_WHOLE = re.compile(r"-?[0-9]{1,9}")


class Taken(Protocol):
    """What a model takes for one parameter. `has` judges a value as it came: JSON, or the text of a form's field."""

    code: str

    def has(self, value: Any) -> bool: ...

    @property
    def words(self) -> str:
        """The values that are taken, as the end of "the model takes …"."""

    def found(self, value: Any) -> Any:
        """What to show of a value that is not taken."""


class _Shown:
    code = "invalid_value"

    def found(self, value: Any) -> Any:
        return value


@dataclass(frozen=True, slots=True)
class OneOf(_Shown):
    """One of these names. `objects`: an object is not judged, as it names something of the caller's own (a voice)."""

    names: tuple[str, ...]
    objects: bool = False

    def has(self, value: Any) -> bool:
        return (self.objects and isinstance(value, dict)) or (isinstance(value, str) and value in self.names)

    @property
    def words(self) -> str:
        return _listed(self.names)


@dataclass(frozen=True, slots=True)
class Between(_Shown):
    """A number from `low` to `high`, both included; a whole one unless `fractions`."""

    low: float
    high: float
    fractions: bool = False

    def has(self, value: Any) -> bool:
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)  # a form's field
        kinds = int | float if self.fractions else int
        return isinstance(value, kinds) and not isinstance(value, bool) and self.low <= value <= self.high

    @property
    def words(self) -> str:
        return f"{'numbers' if self.fractions else 'whole numbers'} from {self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class UpTo(_Shown):
    """A text of at most `chars_max` characters; whether there has to be one is not judged here."""

    chars_max: int
    code = "string_above_max_length"

    def has(self, value: Any) -> bool:
        return not isinstance(value, str) or len(value) <= self.chars_max

    @property
    def words(self) -> str:
        return f"at most {self.chars_max} characters"

    def found(self, value: Any) -> Any:
        return f"{len(value)} characters"


@dataclass(frozen=True, slots=True)
class SizeRule:
    """Sizes by arithmetic: edges in multiples of `multiple_of` pixels up to `edge_max`, the longer at most `ratio_max`
    times the shorter, `pixels_min` to `pixels_max` in all."""

    multiple_of: int
    edge_max: int
    ratio_max: int
    pixels_min: int
    pixels_max: int

    def allows(self, width: int, height: int) -> bool:
        short, long = sorted((width, height))
        return (
            width % self.multiple_of == height % self.multiple_of == 0
            and long <= self.edge_max
            and long <= self.ratio_max * short
            and self.pixels_min <= width * height <= self.pixels_max
        )


@dataclass(frozen=True, slots=True)
class Sizes(_Shown):
    """Pictures of these sizes, `1024x1536`, and of those that the rule allows."""

    names: tuple[str, ...]
    rule: SizeRule | None = None

    def has(self, value: Any) -> bool:
        if not isinstance(value, str) or value in self.names:
            return isinstance(value, str)
        edges = _SIZE.fullmatch(value) if self.rule is not None else None
        return edges is not None and self.rule is not None and self.rule.allows(int(edges[1]), int(edges[2]))

    @property
    def words(self) -> str:
        rule = self.rule
        if rule is None:
            return _listed(self.names)
        return (
            f"{_listed(self.names)}, or WIDTHxHEIGHT in multiples of {rule.multiple_of} up to {rule.edge_max}, of "
            f"{rule.pixels_min} to {rule.pixels_max} pixels and a ratio of at most {rule.ratio_max}:1"
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
