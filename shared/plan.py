"""What the environment and the configuration say, read and checked at the start, and again when the latter changed."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared import config as configuration
from shared.catalog import prices
from shared.catalog.api_versions import upgrades
from shared.config import Config
from shared.errors import ConfigError
from shared.settings import Settings
from shared.storage.account import Account
from shared.storage.document import SETTING, Document
from shared.telemetry.opentelemetry import wanted
from shared.upstream.endpoint import of_entries

log = logging.getLogger("spillway")

UNSEALED = "SPILLWAY_ID_SECRET: not set, and there is no master key: anybody could seal ids as this app does."


@dataclass(frozen=True, slots=True)
class Plan:
    """What the environment and the configuration say. `opentelemetry`: somebody exports what it is told.

    `again` reads the configuration once more where it may change: the plan of what was found, None when it is the same.
    It blocks, and raises ConfigError and StorageFailed.
    """

    config: Config
    settings: Settings
    warnings: tuple[str, ...] = ()
    storage: Account | None = None
    opentelemetry: bool = False
    again: Callable[[], Plan | None] | None = field(default=None, compare=False)


_in_use: list[Plan] = []


def check() -> Plan:
    """The plan of this process, read from its environment on the first call. Raises ConfigError."""
    if not _in_use:
        use(read_plan(os.environ))
    return _in_use[-1]


def use(plan: Plan) -> None:
    """Makes `plan` the one that event loops to come are served by, and says what an operator should know of it."""
    _in_use[:] = [plan]
    for warning in plan.warnings:
        log.warning("%s", warning)


def read_plan(environ: Mapping[str, str]) -> Plan:
    """Reads and checks everything. Raises ConfigError with every problem found."""
    url = environ.get(SETTING, "").strip()
    if "://" not in url:
        return _plan(configuration.load(environ), environ)
    document = Document(url, Account.read(environ), environ)

    def plan(text: str) -> Plan:
        return _plan(configuration.parse(text, environ, document.name.rpartition("/")[2]), environ, again)

    def again() -> Plan | None:
        text = document.read()
        return None if text is None else plan(text)

    return plan(document.first())


def _plan(config: Config, environ: Mapping[str, str], again: Callable[[], Plan | None] | None = None) -> Plan:
    settings = Settings.read(environ)
    if config.master_key is None and not settings.allow_anonymous:
        raise ConfigError(
            [
                "SPILLWAY_MASTER_KEY: not set, expected the key that callers send "
                "(or SPILLWAY_ALLOW_ANONYMOUS=true to serve anybody)"
            ]
        )
    endpoints, warnings = of_entries(config.entries)
    versions = [(entry, endpoint.api_version) for entry, endpoint in zip(config.entries, endpoints, strict=True)]
    warnings += () if settings.id_secret or config.master_key else (UNSEALED,)
    fixed = [pair for pair in zip(config.entries, endpoints, strict=True) if not pair[0].is_wildcard]
    priced = [(entry, endpoint.deployment_for(entry.model.deployment)) for entry, endpoint in fixed]
    warnings = (*config.warnings, *warnings, *upgrades(versions), *prices.warnings(priced))
    return Plan(config, settings, warnings, Account.read(environ), wanted(environ), again)
