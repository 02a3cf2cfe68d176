"""Ids that carry where they belong, sealed: which resource made the thing, who owns it, its upstream id (DESIGN §10).

    resp_<base64url of: key version (1 byte) · AES-SIV of resource tag (8) · owner tag (8) · upstream id>

No table and no look-up: any instance opens any id. Sealing is deterministic, so the same thing has the same id in
every event of a stream and on every instance. The prefix is authenticated: a `msg_…` cannot be passed as a `resp_…`.
Keys come from `SPILLWAY_ID_SECRET` by HKDF; with several, the first seals and all open, so that a secret can be
replaced without losing ids.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_TAG_BYTES = 8
_ID_CHARS_MAX = 2048


@dataclass(frozen=True, slots=True)
class Sealed:
    """What an id says when it is opened. Tags are what `tag` makes of a resource id or a key id."""

    resource: bytes
    owner: bytes
    upstream_id: str


def tag(identity: str) -> bytes:
    """8 bytes that stand for a resource id or an owner inside a sealed id."""
    return hashlib.sha256(identity.encode()).digest()[:_TAG_BYTES]


class Sealer:
    """Seals with the first secret, opens with any."""

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets:
            raise ValueError("at least one secret is needed to seal ids")
        self._keys: dict[bytes, list[AESSIV]] = {}
        for secret in secrets:
            self._keys.setdefault(_version(secret), []).append(AESSIV(_derived(secret)))
        self._current = _version(secrets[0])

    def seal(self, upstream_id: str, resource_tag: bytes, owner_tag: bytes) -> str:
        """Our id for an upstream one such as `resp_68f…`; the prefix up to the first `_` stays readable."""
        prefix = _prefix(upstream_id)
        plain = resource_tag + owner_tag + upstream_id.encode()
        ciphertext = self._keys[self._current][0].encrypt(plain, [prefix.encode()])
        sealed = base64.urlsafe_b64encode(self._current + ciphertext).rstrip(b"=")
        return prefix + sealed.decode()

    def open(self, our_id: str) -> Sealed | None:
        """What `our_id` holds; None for an id that is not ours, was changed, or sealed with an unknown secret."""
        prefix = _prefix(our_id)
        encoded = our_id[len(prefix) :]
        if not encoded or len(our_id) > _ID_CHARS_MAX:
            return None
        try:
            raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        # One id, one spelling: base64 has several for the same bytes.
        if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != encoded:
            return None
        plain = self._decrypted(raw, prefix)
        if plain is None or len(plain) <= 2 * _TAG_BYTES:
            return None
        return Sealed(plain[:_TAG_BYTES], plain[_TAG_BYTES : 2 * _TAG_BYTES], plain[2 * _TAG_BYTES :].decode())

    def _decrypted(self, raw: bytes, prefix: str) -> bytes | None:
        for key in self._keys.get(raw[:1], ()):
            try:
                return key.decrypt(raw[1:], [prefix.encode()])
            except (InvalidTag, ValueError):
                continue
        return None


def _prefix(identifier: str) -> str:
    head, underscore, _ = identifier.partition("_")
    return f"{head}_" if underscore and len(head) <= 16 else ""


def _version(secret: str) -> bytes:
    return hashlib.sha256(b"spillway id key version" + secret.encode()).digest()[:1]


def _derived(secret: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=64, salt=None, info=b"spillway ids v1").derive(secret.encode())
