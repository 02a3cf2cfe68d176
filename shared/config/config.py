"""The whole configuration, resolved and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from shared.config.entry import Entry, Match
from shared.config.routing import EVERY_MODEL
from shared.config.settings import GeneralSettings, LitellmSettings, RouterSettings

NUM_RETRIES_DEFAULT = 2  # openai-python's DEFAULT_MAX_RETRIES


@dataclass(frozen=True)
class Config:
    """`entries` in the file's order; `aliases` from alias to model_name; `warnings` to be logged once at start.

    `source` is the file's name or `environment`. `master_key` is SPILLWAY_MASTER_KEY, else
    general_settings.master_key; it is kept out of the repr.
    """

    entries: tuple[Entry, ...]
    aliases: Mapping[str, str]
    hidden_aliases: frozenset[str]
    router_settings: RouterSettings
    litellm_settings: LitellmSettings
    general_settings: GeneralSettings
    warnings: tuple[str, ...] = ()
    source: str = ""
    master_key: str | None = field(default=None, repr=False)

    @property
    def num_retries(self) -> int:
        """Retries after the first attempt: router_settings', else litellm_settings', else 2."""
        for value in (self.router_settings.num_retries, self.litellm_settings.num_retries):
            if value is not None:
                return value
        return NUM_RETRIES_DEFAULT

    @property
    def says_num_retries(self) -> bool:
        """Whether the file says how often a call is sent again."""
        return self.router_settings.num_retries is not None or self.litellm_settings.num_retries is not None

    @property
    def model_names(self) -> tuple[str, ...]:
        """Every model_name and every alias that is not hidden, once each, in the file's order; wildcards included."""
        shown = (alias for alias in self.aliases if alias not in self.hidden_aliases)
        return tuple(dict.fromkeys([*(entry.model_name for entry in self.entries), *shown]))

    def fallbacks_for(self, model: str) -> tuple[str, ...]:
        """The models that may take over for `model`: its `fallbacks`, else those of `*`, else `default_fallbacks`.

        Each name once, in order, none that leads back to `model` and none that nothing serves. What is written for
        an alias wins over what is written for its model_name. So for the two below, which know no default:
        LiteLLM has none there either.
        """
        chain = self._chain(self.router_settings.fallbacks, model)
        return self._others(model, self.router_settings.default_fallbacks if chain is None else chain)

    def context_window_fallbacks_for(self, model: str) -> tuple[str, ...]:
        """The models that may take over when a prompt is too long for `model`."""
        return self._others(model, self._chain(self.router_settings.context_window_fallbacks, model) or ())

    def content_policy_fallbacks_for(self, model: str) -> tuple[str, ...]:
        """The models that may take over when the content filter of `model` refused."""
        return self._others(model, self._chain(self.router_settings.content_policy_fallbacks, model) or ())

    def _chain(self, chains: Mapping[str, tuple[str, ...]], model: str) -> tuple[str, ...] | None:
        groups = (match.entry.model_name for match in self.matches(model)[:1])
        names = (model, self.aliases.get(model, model), *groups, EVERY_MODEL)
        return next((chains[name] for name in names if name in chains), None)

    def _others(self, model: str, chain: tuple[str, ...]) -> tuple[str, ...]:
        own = self.aliases.get(model, model)
        return tuple(
            name for name in dict.fromkeys(chain) if self.aliases.get(name, name) != own and self.matches(name)
        )

    def is_written(self, requested: str) -> bool:
        """Whether the file has this very name, as a model_name or an alias of one, and no wildcard makes it."""
        return self.aliases.get(requested, requested) in self._exact

    def matches(self, requested: str) -> tuple[Match, ...]:
        """The entries that serve `requested`: its alias or exact name, else the most specific wildcard that fits."""
        name = self.aliases.get(requested, requested)
        exact = self._exact.get(name)
        if exact is not None:
            return exact
        for group in self._patterns:
            found = ((entry, entry.match(name)) for entry in group)
            fitting = tuple(Match(entry, model) for entry, model in found if model is not None)
            if fitting:
                return fitting
        return ()

    @cached_property
    def _exact(self) -> Mapping[str, tuple[Match, ...]]:
        """The entries of each model_name that is no pattern: every call asks, so none looks through all of them."""
        found: dict[str, list[Match]] = {}
        for entry in self.entries:
            if "*" not in entry.model_name:
                found.setdefault(entry.model_name, []).append(Match(entry, entry.model))
        return {name: tuple(matches) for name, matches in found.items()}

    @cached_property
    def _patterns(self) -> tuple[tuple[Entry, ...], ...]:
        """The entries of each pattern, the most specific first."""
        patterns = {entry.model_name for entry in self.entries if "*" in entry.model_name}
        return tuple(
            tuple(entry for entry in self.entries if entry.model_name == pattern)
            for pattern in sorted(patterns, key=lambda text: (-len(text), text))
        )
