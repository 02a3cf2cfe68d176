"""The syntax of Azure's api-versions: their order, and the surface each belongs to."""

from __future__ import annotations

import datetime
import re
from typing import Literal

Surface = Literal["classic", "v1"]
Policy = Literal["upgrade", "exact"]

V1_VERSIONS = frozenset({"v1", "preview", "latest"})
# The last dated preview, a superset of every dated version before it (folders of Azure/azure-rest-api-specs,
# cognitiveservices/data-plane/AzureOpenAI/inference).
DEFAULT_API_VERSION = "2025-04-01-preview"
EXPECTED = "a date such as 2024-10-21 or 2025-04-01-preview, or v1, preview or latest"

_DATED = re.compile(r"(\d{4})-(\d{2})-(\d{2})(-preview)?")


def surface_of(api_version: str) -> Surface:
    """`v1` for v1, preview and latest, which have no deployment in their paths; `classic` for every date."""
    return "v1" if api_version in V1_VERSIONS else "classic"


def is_api_version(text: str) -> bool:
    """Whether `text` is one of the v1 words, or a real calendar day with or without `-preview`."""
    return text in V1_VERSIONS or _parts(text) is not None


def is_preview(api_version: str) -> bool:
    """Whether a dated version is a preview; the word `preview` is the v1 surface's own."""
    return api_version.endswith("preview")


def sort_key(api_version: str) -> tuple[int, int, int, int]:
    """Orders dated versions: by day, a preview before the GA version of the same day. ValueError for v1 words."""
    parts = _parts(api_version)
    if parts is None:
        raise ValueError(f"{api_version!r} is not a dated api-version")
    return parts


def _parts(text: str) -> tuple[int, int, int, int] | None:
    found = _DATED.fullmatch(text)
    if found is None or not text.isascii():
        return None
    year, month, day = (int(found[i]) for i in (1, 2, 3))
    try:
        datetime.date(year, month, day)
    except ValueError:
        return None
    return year, month, day, 0 if found[4] else 1
