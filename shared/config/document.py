"""YAML text to plain values: dates stay text, a key written twice is an error, and size is bounded."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from shared.errors import ConfigError

TEXT_CHARS_MAX = 4 * 1024 * 1024

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """The safe loader, without YAML 1.1's dates: `api_version: 2024-10-21` is a string."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                identity = (key.tag, key.value)
                if identity in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} is written twice", key.start_mark
                    )
                seen.add(identity)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}


def read(text: str, source: str) -> Any:
    """The document in `text`. ConfigError names `source`, line and column; it quotes no line of the file."""
    if len(text) > TEXT_CHARS_MAX:
        raise ConfigError([f"{source}: found {len(text)} characters, expected at most {TEXT_CHARS_MAX}."])
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  # a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"{source}, line {mark.line + 1}, column {mark.column + 1}" if mark else source
        raise ConfigError([f"{at}: not valid YAML: {error.problem or error.context}."]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - (text.rfind("\n", 0, error.position) + 1) + 1
        raise ConfigError([f"{source}, line {line}, column {column}: not valid YAML: {error.reason}."]) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{source}: not valid YAML: {type(error).__name__}."]) from None
