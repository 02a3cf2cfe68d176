"""Paths into a request's JSON, as `additional_drop_params` writes them: `user`, `a.b`, `tools[*].function.strict`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

_PATH = re.compile(r"[^.\[\]]+(?:\[(?:\*|\d{1,6})\])*(?:\.[^.\[\]]+(?:\[(?:\*|\d{1,6})\])*)*")
_STEP = re.compile(r"\[(\*|\d+)\]|([^.\[\]]+)")

Step = str | int | None
"""A key, an index, or None for every item of a list."""


def is_path(text: str) -> bool:
    """Whether `text` is a path: keys joined by `.`, each followed by any number of `[*]` or `[index]`."""
    return _PATH.fullmatch(text) is not None


def without(body: dict[str, Any], path: str) -> dict[str, Any] | None:
    """`body` without what `path` names; None when nothing is there. The input stays as it is.

    Only what lies on the path is copied. A text that is no path is taken as the name of a key.
    """
    found: dict[str, Any] | None = _without(body, _steps(path))
    return found


@lru_cache(maxsize=256)
def _steps(path: str) -> tuple[Step, ...]:
    if not is_path(path):
        return (path,)
    steps: list[Step] = []
    for index, key in _STEP.findall(path):
        steps.append(key or (None if index == "*" else int(index)))
    return tuple(steps)


def _without(value: Any, steps: tuple[Step, ...]) -> Any:
    """The changed copy of `value`, None when it has nothing at `steps`."""
    step, rest = steps[0], steps[1:]
    if step is None:
        return _without_each(value, rest) if isinstance(value, list) else None
    holds = (
        step in value
        if isinstance(value, dict) and isinstance(step, str)
        else isinstance(value, list) and isinstance(step, int) and step < len(value)
    )
    if not holds:
        return None
    copy = value.copy()
    if not rest:
        del copy[step]
        return copy
    inner = _without(value[step], rest)
    if inner is None:
        return None
    copy[step] = inner
    return copy


def _without_each(items: list[Any], rest: tuple[Step, ...]) -> list[Any] | None:
    if not rest:
        return [] if items else None
    changed = [_without(item, rest) for item in items]
    if all(item is None for item in changed):
        return None
    return [old if new is None else new for old, new in zip(items, changed, strict=True)]
