"""Lists in pages: `after`, `limit` and `order`, in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from devtools.simulator import authoring_errors


class Listed(Protocol):
    """What a list shows: it has an id and a time (unix seconds)."""

    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=Listed)


def page(items: Sequence[T], query: dict[str, str], *, limit: int, limit_max: int) -> tuple[list[T], bool]:
    """One page of items, which are given oldest first and shown newest first unless `order` is `asc`.

    Gives the items and whether there are more; `limit` is the default. Raises AzureError 400.
    """
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise authoring_errors.invalid_payload(f"Invalid order '{order}': it must be asc or desc.")
    given = query.get("limit", str(limit))
    if not given.isdigit() or not 1 <= int(given) <= limit_max:
        raise authoring_errors.invalid_payload(f"Invalid limit '{given}': it must be from 1 to {limit_max}.")
    ordered = list(items) if order == "asc" else list(reversed(items))
    start = 0
    after = query.get("after")
    if after:
        start = next((at + 1 for at, item in enumerate(ordered) if item.id == after), 0)
        if start == 0:
            raise authoring_errors.invalid_payload(f"Invalid after '{after}': there is no such item.")
    end = start + int(given)
    return ordered[start:end], end < len(ordered)


def listing(shown: list[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    """The list as it is sent."""
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": has_more,
    }
