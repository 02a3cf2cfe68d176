"""The nested parts of `router_settings` and `litellm_settings`: read with exact paths, names checked at the end."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.config.entry import Entry
from shared.config.environment import Expansion
from shared.config.fields import Section
from shared.config.policies import AllowedFailsPolicy, RetryPolicy, StrategyArgs
from shared.config.problems import Problems
from shared.config.settings import LitellmSettings

EVERY_MODEL = "*"
FALLBACKS_MAX = 64
"""Models that may take over for one."""
CHAINS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
INHERITED = (*CHAINS, "default_fallbacks", "allowed_fails", "cooldown_time")
"""What router_settings takes from litellm_settings when it does not say it, as LiteLLM does."""
_POLICIES: dict[str, type[Section]] = {
    "routing_strategy_args": StrategyArgs,
    "retry_policy": RetryPolicy,
    "allowed_fails_policy": AllowedFailsPolicy,
}
_A_CHAIN = "a list of model names"


@dataclass(slots=True)
class Reader:
    """One load's. `targets` and `sources` map YAML paths to the models that take over, and that are spoken of."""

    expansion: Expansion
    problems: Problems
    targets: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def litellm(self, raw: object) -> object:
        """`litellm_settings` with its fallbacks as `{model: (model, ...)}`; what is wrong is told and left out."""
        return self._with_fallbacks("litellm_settings", raw)

    def router(self, raw: object, litellm: LitellmSettings) -> object:
        """`router_settings` in the same way, its policies checked, and completed by `litellm`."""
        done = self._with_fallbacks("router_settings", {} if raw is None else raw)
        if not isinstance(done, dict):
            return done
        for key, model in _POLICIES.items():
            if done.get(key) is not None:
                done[key] = self._policy(model, key, f"router_settings.{key}", done[key])
        if done.get("model_group_retry_policy") is not None:
            done["model_group_retry_policy"] = self._group_policies(done["model_group_retry_policy"])
        for key in INHERITED:
            if key in litellm.model_fields_set and done.get(key) is not None:
                self.problems.warn(f"litellm_settings.{key}", f"has no effect; router_settings.{key} is used.")
            elif key in litellm.model_fields_set:
                done[key] = getattr(litellm, key)
        return done

    def check(self, entries: tuple[Entry, ...], aliases: Collection[str], left_out: Collection[str]) -> None:
        """Every model that takes over must be one of `entries` or `aliases`; what belongs to none has no effect.

        To be called when the whole model_list was understood; `left_out` are the names of other providers.
        """
        groups = {EVERY_MODEL, *aliases, *(entry.model_name for entry in entries)}
        for path, name in self.targets.items():
            if name in aliases or any(entry.match(name) for entry in entries):
                continue
            if name in left_out:
                self.problems.warn(path, f"has no effect; {name} is left out, as its provider is not served.")
            else:
                self.problems.found(path, name, "a model_name of model_list, or an alias of model_group_alias")
        for path, name in self.sources.items():
            if name not in groups and not any(entry.match(name) for entry in entries):
                self.problems.warn(path, f"has no effect; {name} is no model_name of model_list.")

    def _with_fallbacks(self, section: str, raw: object) -> object:
        if not isinstance(raw, Mapping):
            return raw
        done = dict(raw)
        for key in CHAINS:
            if done.get(key) is not None:
                done[key] = self._chains(f"{section}.{key}", done[key])
        if done.get("default_fallbacks") is not None:
            done["default_fallbacks"] = self._chain(f"{section}.default_fallbacks", done["default_fallbacks"])
        return done

    def _chains(self, path: str, raw: object) -> dict[str, tuple[str, ...]]:
        """`[{a: [b]}, {c: [d]}]` or `{a: [b], c: [d]}`; of a model that is written twice, the first counts."""
        items = [(path, raw)]
        if isinstance(raw, list):
            items = [(f"{path}[{i}]", item) for i, item in enumerate(raw) if item is not None]
        chains: dict[str, tuple[str, ...]] = {}
        first: dict[str, str] = {}
        for place, item in items:
            if not isinstance(item, Mapping):
                expected = "a mapping such as {gpt-4o: [gpt-4o-mini]}"
                self.problems.found(place, item, expected if isinstance(raw, list) else f"a list, or {expected}")
                continue
            for model, targets in (self.problems.mapping(place, item) or {}).items():
                at = f"{place}.{model}"
                if model in first:
                    self.problems.warn(at, f"has no effect; {first[model]} is used.")
                    continue
                first[model] = at
                self.sources[at] = model
                chain = self._chain(at, targets)
                if chain is not None:
                    chains[model] = chain
        return chains

    def _chain(self, path: str, raw: object) -> tuple[str, ...] | None:
        if not isinstance(raw, list):
            self.problems.found(path, raw, _A_CHAIN)
            return None
        if len(raw) > FALLBACKS_MAX:
            self.problems.add(path, f"found {len(raw)} models, expected at most {FALLBACKS_MAX}.")
            return None
        names = []
        for i, name in enumerate(raw):
            at = f"{path}[{i}]"
            if isinstance(name, str):
                names.append(name)
                self.targets[at] = name
            elif at not in self.expansion.unset:
                self.problems.found(at, name, "the name of a model")
        return tuple(names)

    def _policy(self, model: type[Section], section: str, path: str, raw: object) -> dict[str, Any] | None:
        read = self.problems.validated(model, section, path, raw)
        return None if read is None else read.model_dump(exclude_none=True)

    def _group_policies(self, raw: object) -> dict[str, dict[str, Any]]:
        path = "router_settings.model_group_retry_policy"
        policies = {}
        for group, policy in (self.problems.mapping(path, raw) or {}).items():
            self.sources[f"{path}.{group}"] = group
            policies[group] = self._policy(RetryPolicy, "retry_policy", f"{path}.{group}", policy) or {}
        return policies
