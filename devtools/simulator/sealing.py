"""Encrypted content: opaque texts that only the resource which wrote them accepts."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import random

PREFIX = "gAAAAAB"
PADDING_BYTES = 96
DIGEST_BYTES = 16


def seal(seed: int, resource: str, item_id: str) -> str:
    """The encrypted content of an item."""
    payload = item_id.encode() + b"\0" + random.Random(item_id).randbytes(PADDING_BYTES)
    return PREFIX + base64.urlsafe_b64encode(_digest(seed, resource, payload) + payload).decode()


def is_sealed(seed: int, resource: str, text: str) -> bool:
    """Whether this resource wrote the text."""
    try:
        data = base64.urlsafe_b64decode(text.removeprefix(PREFIX).encode())
    except (binascii.Error, ValueError):
        return False
    digest, payload = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
    return text.startswith(PREFIX) and hmac.compare_digest(digest, _digest(seed, resource, payload))


def _digest(seed: int, resource: str, payload: bytes) -> bytes:
    return hmac.digest(f"seal:{seed}:{resource}".encode(), payload, hashlib.sha256)[:DIGEST_BYTES]
