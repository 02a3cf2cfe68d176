"""Every way a client may spell an operation's path, mapped to the operation (DESIGN §5).

/v1/X                                    OpenAI
/X                                       OpenAI with a base_url that lacks /v1
/openai/v1/X                             Azure's v1 surface
/openai/deployments/{deployment}/X       AzureOpenAI clients, deployment-scoped operations
/openai/deployments/{deployment}/extensions/chat/completions
/openai/X?api-version=                   AzureOpenAI clients, the other operations
/engines/{model}/X, /v1/engines/{model}/X

An operation outside of /v1, such as /health, has its path and its aliases only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from shared.errors import MethodNotAllowed, UnknownPath
from shared.operations.operation import Operation

_PLACEHOLDER = re.compile(r"\{(\*?)(\w+)\}")
_EXTENSIONS = re.compile(r"^extensions/", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Match:
    """The operation, its path parameters, and the model that an Azure-style path names."""

    operation: Operation
    params: dict[str, str]
    model: str | None = None


class Spellings:
    """Finds the operation of a path; built once from the table."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        table = tuple(operations)
        self._shapes = [(one, _regex(one.path)) for one in table if one.root]
        self._apart = [(one, _regex(path)) for one in table if not one.root for path in (one.path, *one.aliases)]

    def match(self, method: str, path: str) -> Match:
        """The operation that `method` on the (decoded) `path` means. Raises UnknownPath or MethodNotAllowed."""
        clean = path.strip("/")
        allowed: list[str] = []
        readings = [(self._apart, clean, None, False), *((self._shapes, *reading) for reading in _readings(clean))]
        for shapes, tail, model, scoped in readings:
            for operation, shape in shapes:
                found = shape.fullmatch(tail)
                if found is None or (scoped and not operation.deployment_scoped):
                    continue
                if operation.method == method:
                    return Match(operation, found.groupdict(), model)
                allowed.append(operation.method)
        shown = f"/{clean[:200]}"
        if allowed:
            raise MethodNotAllowed(method, shown, sorted(set(allowed)))
        raise UnknownPath(f"Unknown request URL: {method} {shown}. Please check the URL for typos.")


def _readings(path: str) -> list[tuple[str, str | None, bool]]:
    """(rest below /v1, model named by the path, deployment-scoped operations only), each way to read the path."""
    lower = path.lower()
    for prefix in ("openai/v1/", "openai/", "v1/"):
        if lower.startswith(prefix):
            path, lower = path[len(prefix) :], lower[len(prefix) :]
            break
    for prefix in ("deployments/", "engines/"):
        if lower.startswith(prefix):
            # The model may contain slashes (the host decodes %2F): every split is a reading, the shortest tail last.
            parts = path[len(prefix) :].split("/")
            readings = [("/".join(parts[:cut]), "/".join(parts[cut:])) for cut in range(1, len(parts))]
            return [(_EXTENSIONS.sub("", tail), model, True) for model, tail in readings if all(model.split("/"))]
    return [(path, None, False)]


def _regex(template: str) -> re.Pattern[str]:
    pattern, end = "", 0
    for placeholder in _PLACEHOLDER.finditer(template):
        pattern += re.escape(template[end : placeholder.start()])
        pattern += f"(?P<{placeholder[2]}>{'.+' if placeholder[1] else '[^/]+'})"
        end = placeholder.end()
    return re.compile(f"(?i:{pattern}{re.escape(template[end:])})", re.DOTALL)
