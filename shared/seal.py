"""Ids that carry where they belong, sealed: which resource made the thing, who owns it, its upstream id (DESIGN §10).

    resp_<base64url of: key version (1 byte) · AES-SIV of resource tag (8) · owner tag (8) · upstream id>

and opaque content that only the resource which wrote it can read:

    spillway.<base64url of: key version · AES-SIV of resource tag · owner tag>.<the content as it came>

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
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

_TAG_BYTES = 8
_ID_CHARS_MAX = 2048
_CONTENT_PREFIX = "spillway."


@dataclass(frozen=True, slots=True)
class Sealed:
    """What an id or a content says when it is opened. Tags are what `tag` makes of a resource id or a key id."""

    resource: bytes
    owner: bytes
    upstream: str


@lru_cache(maxsize=4096)
def tag(identity: str) -> bytes:
    """8 bytes that stand for a resource id or an owner inside a sealed id."""
    return hashlib.sha256(identity.encode()).digest()[:_TAG_BYTES]


class Sealer:
    """Seals with the first secret, opens with any."""

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets:
            raise ValueError("at least one secret is needed to seal ids")
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        self._keys: dict[bytes, list[AESSIV]] = {}
        for secret in secrets:
            self._keys.setdefault(_version(secret), []).append(AESSIV(_derived(secret)))
        self._current = _version(secrets[0])

    def seal(self, upstream_id: str, resource_tag: bytes, owner_tag: bytes) -> str:
        """Our id for an upstream one such as `resp_68f…`; the prefix up to the first `_` stays readable."""
        prefix = _prefix(upstream_id)
        plain = resource_tag + owner_tag + upstream_id.encode()
        ciphertext = self._keys[self._current][0].encrypt(plain, [prefix.encode()])
        return prefix + _encoded(self._current + ciphertext)

    def open(self, our_id: str) -> Sealed | None:
        """What `our_id` holds; None for an id that is not ours, was changed, or sealed with an unknown secret."""
        if len(our_id) > _ID_CHARS_MAX:
            return None
        # What looks like a prefix may be the beginning of a sealed id that has none: base64url has `_` as well.
        for prefix in dict.fromkeys((_prefix(our_id), "")):
            opened = _sealed(self._decrypted(our_id[len(prefix) :], prefix.encode("utf-8", "surrogatepass")))
            if opened is not None:
                return opened
        return None

    def wrap(self, content: str, resource_tag: bytes, owner_tag: bytes) -> str:
        """Opaque content, marked with where it belongs; the content itself stays as it is, behind the mark."""
        tied = b"content:" + content.encode()
        ciphertext = self._keys[self._current][0].encrypt(resource_tag + owner_tag, [tied])
        return f"{_CONTENT_PREFIX}{_encoded(self._current + ciphertext)}.{content}"

    def unwrap(self, text: str) -> Sealed | None:
        """What `wrap` was given; None when the text was changed, or marked with an unknown secret."""
        mark, dot, content = text.removeprefix(_CONTENT_PREFIX).partition(".")
        if not self.is_wrapped(text) or not dot:
            return None
        plain = self._decrypted(mark, b"content:" + content.encode())
        return None if plain is None else _sealed(plain + content.encode())

    @staticmethod
    def is_wrapped(text: str) -> bool:
        """Whether the text claims to come from `wrap`."""
        return text.startswith(_CONTENT_PREFIX)

    def _decrypted(self, encoded: str, tied: bytes) -> bytes | None:
        try:
            raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        # One id, one spelling: base64 has several for the same bytes.
        if _encoded(raw) != encoded:
            return None
        from cryptography.exceptions import InvalidTag

        for key in self._keys.get(raw[:1], ()):
            try:
                return key.decrypt(raw[1:], [tied])
            except (InvalidTag, ValueError):
                continue
        return None


@dataclass(frozen=True, slots=True)
class Seal:
    """A Sealer in one caller's hands: what it seals is this owner's, and it opens nothing of anybody else's, unless
    it `sees_all`."""

    sealer: Sealer
    owner: bytes
    sees_all: bool = False

    def id(self, upstream_id: str, resource: bytes) -> str:
        """Our id for an upstream one."""
        return self.sealer.seal(upstream_id, resource, self.owner)

    def content(self, content: str, resource: bytes) -> str:
        """Opaque content, marked with where it belongs."""
        return self.sealer.wrap(content, resource, self.owner)

    def open_id(self, our_id: str) -> Sealed | None:
        """What `our_id` holds; None when it is not ours, was changed, or is somebody else's."""
        return self._seen(self.sealer.open(our_id))

    def open_content(self, text: str) -> Sealed | None:
        """What was wrapped; None when it was changed or is somebody else's."""
        return self._seen(self.sealer.unwrap(text))

    def _seen(self, opened: Sealed | None) -> Sealed | None:
        return opened if opened is not None and (self.sees_all or opened.owner == self.owner) else None


def _sealed(plain: bytes | None) -> Sealed | None:
    if plain is None or len(plain) <= 2 * _TAG_BYTES:
        return None
    return Sealed(plain[:_TAG_BYTES], plain[_TAG_BYTES : 2 * _TAG_BYTES], plain[2 * _TAG_BYTES :].decode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _prefix(identifier: str) -> str:
    head, underscore, _ = identifier.partition("_")
    return f"{head}_" if underscore and len(head) <= 16 else ""


def _version(secret: str) -> bytes:
    return hashlib.sha256(b"spillway id key version" + secret.encode()).digest()[:1]


def _derived(secret: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=64, salt=None, info=b"spillway ids v1").derive(secret.encode())
