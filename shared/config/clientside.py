"""`configurable_clientside_auth_params`: what a caller may bring for an entry, instead of what the entry has.

LiteLLM's form: a list of names, where `api_base` is written as a mapping to the host or to the regular expression
that it must match, `[api_key, {api_base: east.openai.azure.com}]`. A bare `api_base` would let a caller send the
gateway anywhere, so it has no effect here, and a warning says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.config.problems import Problems

PLAIN = frozenset({"api_key", "api_version", "azure_ad_token"})
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?")
_EXPECTED = "api_key, azure_ad_token, api_version, or {api_base: a host or a regular expression}"


@dataclass(frozen=True, slots=True)
class ClientParams:
    """`names` may come from the caller. `hosts` (lower case, with a port that is not 443) and `patterns`, which a whole
    URL must match, are where `api_base` may lead; without either it may not come at all."""

    names: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    patterns: tuple[re.Pattern[str], ...] = ()

    def allows(self, name: str) -> bool:
        """Whether the caller may bring the parameter at all."""
        return bool(self.hosts or self.patterns) if name == "api_base" else name in self.names

    def leads_to(self, host: str, url: str) -> bool:
        """Whether `api_base` may be `url`, whose host (with a port that is not 443) is `host`."""
        return host in self.hosts or any(pattern.fullmatch(url) for pattern in self.patterns)


NO_CLIENT_PARAMS = ClientParams()


def parse(raw: Sequence[Any], path: str, problems: Problems) -> ClientParams:
    """The parameters of one entry; what cannot be used becomes a problem or a warning."""
    names: set[str] = set()
    hosts: set[str] = set()
    patterns: list[re.Pattern[str]] = []
    for i, item in enumerate(raw):
        at = f"{path}[{i}]"
        pairs = list(item.items()) if isinstance(item, dict) else [(item, None)]
        for name, value in pairs:
            name = "api_base" if name == "base_url" else name
            if name == "api_base":
                _base(value, at, problems, hosts, patterns)
            elif name in PLAIN:
                names.add(name)
            elif isinstance(name, str):
                problems.warn(at, f"{name} has no effect; a caller may bring {_EXPECTED}.")
            else:
                problems.found(at, item, _EXPECTED)
    return ClientParams(frozenset(names), frozenset(hosts), tuple(patterns))


def _base(value: Any, at: str, problems: Problems, hosts: set[str], patterns: list[re.Pattern[str]]) -> None:
    if value is None:
        problems.warn(at, "api_base has no effect without an allow-list; write {api_base: a host or a pattern}.")
        return
    if not isinstance(value, str) or not value:
        problems.found(f"{at}.api_base", value, "a host or a regular expression")
        return
    if _HOST.fullmatch(value):
        hosts.add(value.lower().removesuffix(":443"))
        return
    try:
        patterns.append(re.compile(value))
    except re.error as error:
        problems.add(f"{at}.api_base", f"found a regular expression that cannot be read ({error.msg}).")
