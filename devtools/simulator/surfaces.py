"""Azure's URL shapes and api-versions: the classic surface, its `/extensions` variant of 2023, and v1."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from devtools.simulator import errors

GA_VERSIONS = ("2022-12-01", "2023-05-15", "2024-02-01", "2024-06-01", "2024-10-21")
PREVIEW_DATES = (
    "2022-03-01", "2022-06-01", "2023-03-15", "2023-06-01", "2023-07-01", "2023-08-01", "2023-09-01", "2023-10-01",
    "2023-11-01", "2023-12-01", "2024-02-15", "2024-03-01", "2024-04-01", "2024-05-01", "2024-07-01", "2024-08-01",
    "2024-09-01", "2024-10-01", "2024-12-01", "2025-01-01", "2025-02-01", "2025-03-01", "2025-04-01",
)  # fmt: skip
CLASSIC_VERSIONS = frozenset(GA_VERSIONS) | {f"{date}-preview" for date in PREVIEW_DATES}
EXTENSIONS_DATES = ("2023-06-01", "2023-12-01")
"""First and last date of the previews that have `/extensions/chat/completions`."""

CLASSIC = "classic"
EXTENSIONS = "extensions"
V1 = "v1"


@dataclass(frozen=True, slots=True)
class Address:
    """What a URL names: a resource, a surface, the path after it, and the deployment when the path has one."""

    resource: str
    surface: str
    tail: str
    deployment: str | None


def parse(raw_path: str) -> Address | None:
    """The address of an undecoded path such as `/east/openai/deployments/gpt-4o/chat/completions`; None if none."""
    parts = [unquote(part) for part in raw_path.split("/")[1:]]
    if len(parts) < 3 or parts[1] != "openai":
        return None
    resource, rest = parts[0], parts[2:]
    if rest[0] == "v1":
        return Address(resource, V1, "/".join(rest[1:]), None)
    if rest[0] != "deployments":
        return Address(resource, CLASSIC, "/".join(rest), None)
    if len(rest) < 3:
        return None
    if rest[2] == "extensions":
        return Address(resource, EXTENSIONS, "/".join(rest[3:]), rest[1])
    return Address(resource, CLASSIC, "/".join(rest[2:]), rest[1])


def date_of(api_version: str) -> str:
    """`2024-10-21` of `2024-10-21` or `2024-10-21-preview`; `9999` for v1, which is later than all of them."""
    return api_version[:10] if api_version[:2] == "20" else "9999"


def check_version(surface: str, api_version: str | None, since: str, *, preview: bool = False) -> str:
    """The api-version that serves a call whose operation exists since the date `since`; raises AzureError.

    `preview`: only preview api-versions have it.
    """
    if surface == V1:
        if api_version not in (None, "v1", "preview"):
            raise errors.api_version_not_supported()
        if preview and api_version != "preview":
            raise errors.resource_not_found()
        return api_version or "v1"
    if api_version is None or api_version not in CLASSIC_VERSIONS or date_of(api_version) < since:
        raise errors.resource_not_found()
    if preview and not api_version.endswith("-preview"):
        raise errors.resource_not_found()
    if surface == EXTENSIONS and not EXTENSIONS_DATES[0] <= date_of(api_version) <= EXTENSIONS_DATES[1]:
        raise errors.resource_not_found()
    return api_version
