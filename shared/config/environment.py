"""`os.environ/NAME`: a value that is exactly this text is replaced by the environment variable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

PREFIX = "os.environ/"
DEPTH_MAX = 32
NODES_MAX = 200_000


class TooLarge(ValueError):
    """The document nests deeper than DEPTH_MAX or, its YAML aliases written out, holds more than NODES_MAX values."""


@dataclass(slots=True)
class Expansion:
    """What `expand` learned: YAML path to variable name for every value it replaced, and for every one it could not."""

    references: dict[str, str] = field(default_factory=dict)
    unset: dict[str, str] = field(default_factory=dict)
    nodes: int = 0


class Environment(Mapping[str, str]):
    """The process environment under the file's own `environment_variables`, which win as they do in LiteLLM.

    The file's variables are visible to this configuration only; they are not exported to the process.
    """

    def __init__(self, process: Mapping[str, str], own: Mapping[str, str] | None = None) -> None:
        self._process = process
        self._own = dict(own or {})

    def __getitem__(self, name: str) -> str:
        return self._own[name] if name in self._own else self._process[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._process, **self._own})

    def __len__(self) -> int:
        return len({**self._process, **self._own})

    def __repr__(self) -> str:
        return f"Environment({len(self)} variables)"

    def first(self, *names: str) -> str | None:
        """The first of `names` that is set to more than white space, stripped."""
        for name in names:
            value = self.get(name, "").strip()
            if value:
                return value
        return None


def expand(value: Any, environ: Mapping[str, str], path: str, seen: Expansion, depth: int = 0) -> Any:
    """`value` with every reference replaced, at any depth. A variable that is unset or empty lands in `seen.unset`."""
    seen.nodes += 1
    if depth > DEPTH_MAX or seen.nodes > NODES_MAX:
        raise TooLarge(path)
    if isinstance(value, str):
        return _reference(value, environ, path, seen) if value.startswith(PREFIX) else value
    if isinstance(value, Mapping):
        base = f"{path}." if path else ""
        return {key: expand(item, environ, f"{base}{key}", seen, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [expand(item, environ, f"{path}[{i}]", seen, depth + 1) for i, item in enumerate(value)]
    return value


def _reference(value: str, environ: Mapping[str, str], path: str, seen: Expansion) -> str | None:
    name = value.removeprefix(PREFIX).strip()
    found = environ.get(name, "").strip()
    if not found:
        seen.unset[path] = name
        return None
    seen.references[path] = name
    return found
