"""What the environment and the configuration file say, read and checked once per process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared import config as configuration
from shared.catalog import prices
from shared.catalog.api_versions import upgrades
from shared.config import Config
from shared.errors import ConfigError
from shared.settings import Settings
from shared.storage.account import Account
from shared.telemetry.opentelemetry import wanted
from shared.upstream.endpoint import of_entries

UNSEALED = "SPILLWAY_ID_SECRET: not set, and there is no master key: anybody could seal ids as this app does."


@dataclass(frozen=True, slots=True)
class Plan:
    """What the environment and the configuration file say; made once per process. `opentelemetry`: somebody exports
    what it is told."""

    config: Config
    settings: Settings
    warnings: tuple[str, ...] = ()
    storage: Account | None = None
    opentelemetry: bool = False


def read_plan(environ: Mapping[str, str]) -> Plan:
    """Reads and checks everything. Raises ConfigError with every problem found."""
    settings = Settings.read(environ)
    config = configuration.load(environ)
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
    return Plan(config, settings, warnings, Account.read(environ), wanted(environ))
