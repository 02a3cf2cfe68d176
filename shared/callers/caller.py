"""Who asks, found from the request's key."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.callers.known_keys import KnownKeys
from shared.callers.virtual_key import VirtualKey, hash_of, may_be_key
from shared.errors import Forbidden, Unauthorized


@dataclass(frozen=True, slots=True)
class Caller:
    """One holder of a key. `key_id` names the key in records and logs and cannot be used as one; `key_alias` is the
    operator's name for it. `key`: what a virtual key says, None for everybody else."""

    key_id: str
    is_master: bool
    key_alias: str = ""
    key: VirtualKey | None = field(default=None, repr=False, compare=False)


MASTER = Caller("master", is_master=True)
ANONYMOUS = Caller("anonymous", is_master=False)


@dataclass(frozen=True, slots=True)
class Callers:
    """Tells callers by their key. `master_key` None is only for an app that allows anonymous use; `keys` None for one
    without a storage account. `clock` gives seconds since 1970."""

    master_key: str | None = field(repr=False)
    allow_anonymous: bool
    clock: Callable[[], float] = time.time
    keys: KnownKeys | None = None

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """The caller of a request with these (lower-case) headers. Raises Unauthorized, Forbidden for a blocked key,
        StorageFailed for one that cannot be checked.

        The key comes as `Authorization: Bearer KEY` (OpenAI clients) or `api-key: KEY` (AzureOpenAI clients);
        both at once only when they say the same.
        """
        key = _key_of(headers)
        if key is not None and self.master_key is not None and _same(key, self.master_key):
            return MASTER
        if self.allow_anonymous and (key is None or self.master_key is None):
            return ANONYMOUS
        if key is None:
            raise Unauthorized(
                "You didn't provide an API key. Send it as `Authorization: Bearer YOUR_KEY` or `api-key: YOUR_KEY`."
            )
        known = await self.keys.get(hash_of(key)) if self.keys is not None and may_be_key(key) else None
        if known is None:
            raise Unauthorized("Incorrect API key provided.")
        if known.blocked:
            raise Forbidden("This API key is blocked.", code="key_blocked")
        if known.expired(self.clock()):
            raise Unauthorized("This API key has expired.", code="expired_api_key")
        return Caller(known.key_id, is_master=False, key_alias=known.alias, key=known)


def _key_of(headers: Mapping[str, str]) -> str | None:
    authorization, api_key = headers.get("authorization"), headers.get("api-key")
    bearer: str | None = None
    if authorization is not None:
        scheme, _, bearer = authorization.strip().partition(" ")
        bearer = bearer.strip()
        if scheme.lower() != "bearer" or not bearer:
            raise Unauthorized("The Authorization header must be `Bearer YOUR_KEY`.")
    if bearer is not None and api_key is not None and not _same(bearer, api_key.strip()):
        raise Unauthorized("The request carries two different keys, in `Authorization` and in `api-key`. Send one.")
    key = bearer if bearer is not None else api_key
    return key.strip() or None if key is not None else None


def _same(one: str, other: str) -> bool:
    """Equality in a time that tells neither where the two differ nor how long they are."""
    return hmac.compare_digest(_digest(one), _digest(other))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
