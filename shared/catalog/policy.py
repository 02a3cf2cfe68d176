"""What an operator, or a caller for one request, wants done with parameters that a model does not take."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from shared.errors import BadRequest

PATHS_MAX = 64
"""Entries of one request's `additional_drop_params` or `allowed_openai_params`."""


@dataclass(frozen=True, slots=True)
class ParameterPolicy:
    """LiteLLM's three settings. `drop`: leave out what the model does not take, instead of a 400. `additional_drop`:
    paths that are left out always. `allowed`: names that are sent as they are, whatever the table says."""

    drop: bool = False
    additional_drop: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()

    def narrowed(
        self, drop: bool | None = None, additional_drop: Collection[str] = (), allowed: Collection[str] = ()
    ) -> ParameterPolicy:
        """This policy with a nearer one on top (global, then model, then request): `drop` wins, names add up."""
        return ParameterPolicy(
            drop=self.drop if drop is None else drop,
            additional_drop=self.additional_drop.union(additional_drop),
            allowed=self.allowed.union(allowed),
        )


def requested(body: dict[str, Any], policy: ParameterPolicy) -> tuple[dict[str, Any], ParameterPolicy]:
    """`body` without `drop_params`, `additional_drop_params` and `allowed_openai_params`, and the policy they make.

    Raises BadRequest when one of them has the wrong type. The input is not changed.
    """
    if _FIELDS.isdisjoint(body):
        return body, policy
    drop = body.get("drop_params")
    if drop is not None and not isinstance(drop, bool):
        raise _wrong("drop_params", "a boolean")
    rest = {name: value for name, value in body.items() if name not in _FIELDS}
    return rest, policy.narrowed(drop, _names(body, "additional_drop_params"), _names(body, "allowed_openai_params"))


_FIELDS = frozenset({"drop_params", "additional_drop_params", "allowed_openai_params"})


def _names(body: dict[str, Any], field: str) -> list[str]:
    names = body.get(field)
    if names is None:
        return []
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise _wrong(field, "an array of strings")
    if len(names) > PATHS_MAX:
        raise BadRequest(f"'{field}' has more than {PATHS_MAX} entries.", param=field, code="invalid_value")
    return names


def _wrong(field: str, expected: str) -> BadRequest:
    return BadRequest(f"Invalid type for '{field}': expected {expected}.", param=field, code="invalid_type")
