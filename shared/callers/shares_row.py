"""The row that keeps what is spent and held of a key's limits (shares.py)."""

from __future__ import annotations

from shared.callers.key_store import shares_place
from shared.callers.shares import Shares, packed, unpacked
from shared.errors import StorageFailed
from shared.storage.tables import Row

PROPERTY_BYTES, PROPERTIES_MAX = 60_000, 8


def read(row: Row) -> Shares:
    """What the row says."""
    parts = (row.properties.get(f"p{number}", b"") for number in range(PROPERTIES_MAX))
    return unpacked(b"".join(part for part in parts if isinstance(part, bytes)))


def written(key_id: str, shares: Shares) -> Row:
    """The row that says it. Raises StorageFailed when too many instances share the key."""
    raw = packed(shares)
    parts = [raw[start : start + PROPERTY_BYTES] for start in range(0, len(raw), PROPERTY_BYTES)]
    if len(parts) > PROPERTIES_MAX:
        raise StorageFailed("Too many instances share the limits of this key.", retry_after_ms=1000)
    return Row(shares_place(key_id), key_id, {f"p{number}": part for number, part in enumerate(parts)})
