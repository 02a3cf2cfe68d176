"""From a file, or from the AZURE_* variables alone, to a `Config`; all problems are told at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from shared.config import document, resolve, routing, sections
from shared.config.config import Config
from shared.config.entry import Entry
from shared.config.environment import NODES_MAX, Environment, Expansion, TooLarge, expand
from shared.config.problems import Problems
from shared.config.settings import GeneralSettings, LitellmSettings, RouterSettings
from shared.config.support import complaint
from shared.errors import ConfigError

APP_ROOT = Path(__file__).resolve().parents[2]
SECTIONS = frozenset(
    {
        "model_list",
        "router_settings",
        "litellm_settings",
        "general_settings",
        "environment_variables",
        "credential_list",
    }
)
WHAT_TO_SET = (
    "SPILLWAY_CONFIG: set it to the path of a config.yaml, or set AZURE_API_BASE to the endpoint of an Azure OpenAI "
    "resource (with AZURE_API_KEY or AZURE_AD_TOKEN, or neither for DefaultAzureCredential)."
)
# Without a file, these make azure/<deployment>, azure_text/<deployment> and bare deployment names work.
ENVIRONMENT_ITEMS = (
    {"model_name": "azure/*", "litellm_params": {"model": "azure/*"}},
    {"model_name": "azure_text/*", "litellm_params": {"model": "azure_text/*"}},
    {"model_name": "*", "litellm_params": {"model": "azure/*"}},
)


def load(environ: Mapping[str, str]) -> Config:
    """SPILLWAY_CONFIG's file (relative to the working directory, else to the app), else the AZURE_* variables.

    ConfigError with every problem found. Blocking: it reads a file.
    """
    written = environ.get("SPILLWAY_CONFIG", "").strip()
    if written:
        return parse(_read(written), environ, source=Path(written).name)
    if environ.get("AZURE_API_BASE", "").strip():
        return from_environment(environ)
    raise ConfigError([WHAT_TO_SET])


def parse(text: str, environ: Mapping[str, str], source: str = "config") -> Config:
    """The configuration in YAML `text`; `environ` serves os.environ/ references and the AZURE_* fallbacks."""
    raw = document.read(text, source)
    if raw is None:
        raise ConfigError([f"{source}: is empty, expected a mapping with model_list."])
    if not isinstance(raw, dict):
        kind = "a list" if isinstance(raw, list) else "one value"
        raise ConfigError([f"{source}: found {kind}, expected a mapping with model_list."])
    expansion = Expansion()
    rest = {key: value for key, value in raw.items() if key != "environment_variables"}
    try:
        own = sections.own_variables(raw, environ, expansion)
        environment = Environment(environ, own)
        tree = expand(rest, environment, "", expansion)
    except TooLarge:
        raise ConfigError([f"{source}: nests too deep or holds more than {NODES_MAX} values."]) from None
    problems = Problems(expansion.references)
    for path, name in expansion.unset.items():
        problems.add(path, f"environment variable {name} is not set or empty.")
    sections.check_own_variables(raw, own, expansion, problems)
    return _config(tree, environment, environ, expansion, problems, source)


def from_environment(environ: Mapping[str, str]) -> Config:
    """Wildcard entries over AZURE_API_BASE and the other AZURE_* variables."""
    tree: dict[Any, Any] = {"model_list": list(ENVIRONMENT_ITEMS)}
    return _config(tree, Environment(environ), environ, Expansion(), Problems({}), "environment")


def _config(
    tree: dict[Any, Any],
    environment: Environment,
    process: Mapping[str, str],
    expansion: Expansion,
    problems: Problems,
    source: str,
) -> Config:
    for key in tree:
        text = complaint("", str(key), SECTIONS)
        if text is not None:
            problems.warn(str(key), text)
    reader = routing.Reader(expansion, problems)
    litellm_written = reader.litellm(tree.get("litellm_settings"))
    litellm = sections.section(LitellmSettings, "litellm_settings", litellm_written, problems)
    router_written = reader.router(tree.get("router_settings"), litellm)
    router = sections.section(RouterSettings, "router_settings", router_written, problems)
    general = sections.section(GeneralSettings, "general_settings", tree.get("general_settings"), problems)
    named = sections.named_credentials(tree, problems)
    context = resolve.Context(environment, expansion.references, problems, named, router, litellm, general)
    entries = _entries(tree, context, source)
    understood = not problems
    aliases, hidden = sections.aliases(router, entries, expansion, problems)
    if understood:
        reader.check(entries, router.model_group_alias, _left_out(tree["model_list"], entries))
    problems.raise_if_any()
    if not entries:
        raise ConfigError(["model_list: no entry is left, expected at least one for Azure OpenAI or OpenAI."])
    key = process.get("SPILLWAY_MASTER_KEY", "").strip() or None
    if key is None and general.master_key is not None:
        key = general.master_key.get_secret_value()
    return Config(
        entries=entries,
        aliases=MappingProxyType(aliases),
        hidden_aliases=hidden,
        router_settings=router,
        litellm_settings=litellm,
        general_settings=general,
        warnings=problems.warnings,
        source=source,
        master_key=key,
    )


def _entries(tree: dict[Any, Any], context: resolve.Context, source: str) -> tuple[Entry, ...]:
    problems = context.problems
    if tree.get("model_list") is None:
        problems.add("model_list", "is missing, expected a list of deployments.")
        return ()
    items = tree["model_list"]
    if not isinstance(items, list):
        problems.found("model_list", items, "a list of deployments")
        return ()
    if not items:
        problems.add("model_list", "is empty, expected at least one deployment.")
    paths = [source if source == "environment" else f"model_list[{i}]" for i in range(len(items))]
    found = [resolve.entry(item, path, context) for item, path in zip(items, paths, strict=True)]
    entries = tuple(entry for entry in found if entry is not None)
    first: dict[str, str] = {}
    for entry in entries:
        if entry.id is None:
            continue
        if entry.id in first:
            problems.add(
                f"{entry.path}.model_info.id",
                f"is the same as {first[entry.id]}.model_info.id, expected a different id for each entry.",
            )
        first.setdefault(entry.id, entry.path)
    return entries


def _left_out(items: list[Any], entries: tuple[Entry, ...]) -> frozenset[str]:
    """Every model_name of `items`, which were understood, that has no entry, because of its provider."""
    return frozenset(str(item["model_name"]) for item in items) - {entry.model_name for entry in entries}


def _read(written: str) -> str:
    if "://" in written:
        raise ConfigError(["SPILLWAY_CONFIG: found a URL, expected the path of a file."])
    path = Path(written)
    tried = [path] if path.is_absolute() else [Path.cwd() / path, APP_ROOT / path]
    for candidate in tried:
        if not candidate.is_file():
            continue
        try:
            return candidate.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConfigError([f"{candidate}: is not UTF-8 at byte {error.start}."]) from None
        except OSError as error:
            raise ConfigError([f"{candidate}: cannot be read: {error.strerror}."]) from None
    places = " or ".join(str(candidate) for candidate in tried)
    raise ConfigError([f"SPILLWAY_CONFIG: no such file: {places}."])
