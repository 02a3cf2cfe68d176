"""Which function answers a path: the Functions host's order and templates, pure.

The host sorts functions by name (ordinal, ignoring case: upper-cased, so `_` comes after the letters) and takes the
first whose template and method match; there is no ranking by specificity and no 405. Templates are ASP.NET's:
`{x}` one segment, `{x?}` an optional last one, `{*x}` the rest, which may be empty. Source: azure-functions-host,
FunctionMetadataManager.LoadFunctionMetadata and WebScriptHostHttpRoutesManager.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

RESERVED_PREFIXES = ("admin", "runtime")
FUNCTION_NAME = re.compile(r"[a-z][a-z0-9_\-]{0,127}", re.IGNORECASE)
_PARAMETER = re.compile(r"\{(\*?)([A-Za-z_][A-Za-z0-9_]*)(\??)\}")


class LoadError(Exception):
    """The host would not load this function: it says why, drops it and goes on with the others."""


class Match(NamedTuple):
    """The name of the function that answers, and its route parameters (decoded, in the client's case)."""

    name: str
    params: dict[str, str]


@dataclass(frozen=True)
class Route:
    """One function's template (without a leading slash, prefix included) and methods; no methods means all."""

    name: str
    template: str
    methods: frozenset[str] = frozenset()
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", _compile(self.template))

    def accepts(self, method: str) -> bool:
        return not self.methods or method in self.methods

    @property
    def takes_every_path(self) -> bool:
        return self.template.startswith("{*")


class RouteTable:
    """Routes in the host's order. `rejected` holds (function name, reason) for those the host would not load."""

    def __init__(self, routes: Iterable[Route]) -> None:
        loaded: list[Route] = []
        self.rejected: list[tuple[str, str]] = []
        for route in in_host_order(routes):
            problem = _problem(route, loaded)
            if problem:
                self.rejected.append((route.name, problem))
            else:
                loaded.append(route)
        self.routes: Sequence[Route] = tuple(loaded)
        self._literal: dict[tuple[str, str], str] = dict(_literal_paths(self.routes))

    def match(self, method: str, path: str) -> Match | None:
        """The first function in the host's order that takes `method` and the decoded `path`, or None: a 404."""
        name = self._literal.get((method, path))
        if name is not None:
            return Match(name, {})
        return _first_match(self.routes, method, path)


def in_host_order(routes: Iterable[Route]) -> list[Route]:
    return sorted(routes, key=lambda route: route.name.upper())


def ambiguities(routes: Iterable[Route]) -> list[tuple[Route, Route]]:
    """Pairs that some path and method match both; one that takes every path is left out at the end of the order.

    The first of a pair wins for a reason that nobody reads in the code: the spelling of its name.
    """
    ordered = in_host_order(routes)
    while ordered and ordered[-1].takes_every_path:
        ordered.pop()
    return [(first, second) for first, second in combinations(ordered, 2) if _may_overlap(first, second)]


def join_prefix(prefix: str, route: str) -> str:
    """`routePrefix` of host.json and a function's route as one template."""
    return "/".join(part for part in (prefix.strip("/"), route.strip("/")) if part)


def _problem(route: Route, loaded: Sequence[Route]) -> str | None:
    for other in loaded:
        if other.name.upper() == route.name.upper():
            return "another function has the same name"
        if other.template.lower() == route.template.lower() and _methods_meet(route, other):
            return f"the route '{route.template}' conflicts with that of function '{other.name}'"
    return None


def is_function_name(name: str) -> bool:
    """Whether the host takes a function of this name."""
    return FUNCTION_NAME.fullmatch(name) is not None and name.lower() != "host"


def is_reserved(route: str) -> bool:
    """Whether the host keeps this route (without the prefix) for itself: it compares the beginning as plain text."""
    return route.strip("/").lower().startswith(RESERVED_PREFIXES)


def checked(name: str, route: str) -> str:
    """`route` when the host takes a function of this name on it. Raises LoadError."""
    if not is_function_name(name):
        raise LoadError(f"'{name}' is not a valid function name")
    if is_reserved(route):
        raise LoadError(f"the route '{route}' starts with a reserved word ({', '.join(RESERVED_PREFIXES)})")
    return route


def _methods_meet(one: Route, other: Route) -> bool:
    return not one.methods or not other.methods or bool(one.methods & other.methods)


def _first_match(routes: Iterable[Route], method: str, path: str) -> Match | None:
    for route in routes:
        if route.accepts(method) and (found := route.pattern.fullmatch(path)):
            return Match(route.name, {key: value or "" for key, value in found.groupdict().items()})
    return None


def _literal_paths(routes: Sequence[Route]) -> Iterator[tuple[tuple[str, str], str]]:
    """The answers for paths that a template spells out, found once by the same first-match walk."""
    for route in routes:
        if "{" in route.template:
            continue
        path = f"/{route.template}"
        for method in route.methods:
            first = _first_match(routes, method, path)
            if first is not None and not first.params:
                yield (method, path), first.name


def _compile(template: str) -> re.Pattern[str]:
    segments = template.split("/") if template else []
    pattern = ""
    for index, segment in enumerate(segments):
        parameter = _PARAMETER.fullmatch(segment)
        if parameter is None:
            if "{" in segment or "}" in segment or not segment:
                raise LoadError(f"the route '{template}' has the segment '{segment}', which is not supported here")
            pattern += f"/(?i:{re.escape(segment)})"
            continue
        star, name, optional = parameter.groups()
        if (star or optional) and index != len(segments) - 1:
            raise LoadError(f"the route '{template}' has '{segment}' before its last segment")
        if star:
            return re.compile(f"{pattern}(?:/(?P<{name}>.*))?", re.DOTALL)
        pattern += f"(?:/(?P<{name}>[^/]+))?" if optional else f"/(?P<{name}>[^/]+)"
    return re.compile(f"{pattern}/?", re.DOTALL)


def _may_overlap(one: Route, other: Route) -> bool:
    return _methods_meet(one, other) and _segments_meet(_segments(one), _segments(other))


def _segments(route: Route) -> list[str]:
    return route.template.split("/") if route.template else []


def _segments_meet(one: list[str], other: list[str]) -> bool:
    if not one or not other:
        return all(segment.startswith("{*") or segment.endswith("?}") for segment in one or other)
    if one[0].startswith("{*") or other[0].startswith("{*"):
        return True
    if one[0].endswith("?}") and _segments_meet(one[1:], other):
        return True
    if other[0].endswith("?}") and _segments_meet(one, other[1:]):
        return True
    heads_meet = "{" in one[0] or "{" in other[0] or one[0].lower() == other[0].lower()
    return heads_meet and _segments_meet(one[1:], other[1:])
