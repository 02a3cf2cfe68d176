"""The parts of the file beside `model_list`: settings, aliases, named credentials, and its own variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from shared.config.entry import Entry
from shared.config.environment import Expansion, expand
from shared.config.fields import Section
from shared.config.params import CredentialItem, CredentialValues
from shared.config.problems import Problems
from shared.config.settings import RouterSettings

S = TypeVar("S", bound=Section)


def aliases(
    router: RouterSettings, entries: tuple[Entry, ...], expansion: Expansion, problems: Problems
) -> tuple[dict[str, str], frozenset[str]]:
    """`alias: model_name`, or `alias: {model: model_name, hidden: true}`. The model must exist; chains are refused."""
    understood = not problems  # else an entry with a problem may be the one
    targets: dict[str, str] = {}
    hidden: set[str] = set()
    for alias, value in router.model_group_alias.items():
        path = f"router_settings.model_group_alias.{alias}"
        if path in expansion.unset:
            continue
        target = value.get("model") if isinstance(value, dict) else value
        if not isinstance(target, str):
            problems.found(path, value, "a model_name, or a mapping with model and hidden")
            continue
        if not any(entry.model_name == target or entry.match(target) for entry in entries):
            if understood:
                problems.found(path, target, "a model_name of model_list")
            continue
        targets[alias] = target
        if isinstance(value, dict):
            for key in value:
                if key not in ("model", "hidden"):
                    problems.warn(f"{path}.{key}", "is not a known key and has no effect.")
            if value.get("hidden") is True:
                hidden.add(alias)
    return targets, frozenset(hidden)


def section(model: type[S], name: str, raw: object, problems: Problems) -> S:
    """The section, or its defaults when it is not written or wrong (the problem then stops the start anyway)."""
    if raw is None:
        return model()
    return problems.validated(model, name, name, raw) or model()


def named_credentials(tree: dict[Any, Any], problems: Problems) -> dict[str, CredentialValues | None]:
    raw = tree.get("credential_list")
    named: dict[str, CredentialValues | None] = {}
    if raw is None:
        return named
    if not isinstance(raw, list):
        problems.found("credential_list", raw, "a list")
        return named
    for i, one in enumerate(raw):
        path = f"credential_list[{i}]"
        item = problems.validated(CredentialItem, "credential_list", path, one)
        if item is None:
            continue
        if item.credential_name in named:
            problems.add(f"{path}.credential_name", "is written twice, expected a different name for each.")
        inside = f"{path}.credential_values"
        named[item.credential_name] = problems.validated(
            CredentialValues, "litellm_params", inside, item.credential_values
        )
    return named


def own_variables(raw: dict[Any, Any], environ: Mapping[str, str], expansion: Expansion) -> dict[str, str]:
    """The file's `environment_variables` as text; a reference there reads the process environment."""
    section = raw.get("environment_variables")
    if not isinstance(section, dict):
        return {}
    values = {key: expand(value, environ, f"environment_variables.{key}", expansion) for key, value in section.items()}
    return {key: _as_text(value) for key, value in values.items() if isinstance(value, str | int | float)}


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_own_variables(raw: dict[Any, Any], own: dict[str, str], expansion: Expansion, problems: Problems) -> None:
    """Problems for values that are no text, warnings for variables that nothing of this file refers to."""
    section = raw.get("environment_variables")
    if section is None:
        return
    if not isinstance(section, dict):
        problems.found("environment_variables", section, "a mapping")
        return
    used = set(expansion.references.values())
    for name, value in section.items():
        path = f"environment_variables.{name}"
        if path in expansion.unset or value is None:
            continue
        if name not in own:
            problems.found(path, value, "a string")
        elif name not in used and not str(name).startswith(("AZURE_", "OPENAI_")):
            problems.warn(path, f"has no effect; no value of this file is os.environ/{name}.")
