"""Who may call a resource: its keys, or an Entra token.

The classic surface takes a key in `api-key` and a token as Bearer; v1 also takes a key as Bearer.
"""

from __future__ import annotations

from hmac import compare_digest

from devtools.simulator import errors
from devtools.simulator.identity import Identity
from devtools.simulator.resources import Resource
from devtools.simulator.surfaces import V1


def check(
    headers: dict[str, str], resource: Resource, surface: str, permission: str, identity: Identity, now: float
) -> None:
    """Raises AzureError (401 or 403) when the caller is not allowed; `permission` is `inference` or `authoring`."""
    key = headers.get("api-key")
    if key is not None:
        _check_key(key, resource)
        return
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise errors.invalid_key()
    if surface == V1 and _is_key(token, resource):
        _check_key(token, resource)
        return
    identity.check(token, permission, now, resource.role)


def _is_key(value: str, resource: Resource) -> bool:
    return any(compare_digest(value.encode(), key.encode()) for key in resource.keys)


def _check_key(value: str, resource: Resource) -> None:
    if not resource.local_auth:
        raise errors.local_auth_disabled()
    if not _is_key(value, resource):
        raise errors.invalid_key()
