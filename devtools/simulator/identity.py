"""Entra ID and App Service's identity endpoint, as far as azure-identity's ManagedIdentityCredential needs them.

Set IDENTITY_ENDPOINT to `<simulator>/_sim/identity/token` and IDENTITY_HEADER to `sim-identity-header`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import orjson

from devtools.simulator import errors
from devtools.simulator.exchange import JSON, Reply, Request
from devtools.simulator.resources import SettingsError
from devtools.simulator.roles import INHERIT, ROLES

IDENTITY_HEADER = "sim-identity-header"
API_VERSION = "2019-08-01"
AUDIENCES = frozenset({"https://cognitiveservices.azure.com", "https://ai.azure.com"})
TOKENS_MAX = 10_000
TENANT_ID = "11111111-1111-4111-8111-111111111111"
SYSTEM_ASSIGNED = "system"


@dataclass(frozen=True, slots=True)
class Claims:
    """What an issued token says: audience, expiry (unix seconds) and the identity it was issued to."""

    audience: str
    expires_on: int
    client_id: str


class Identity:
    """Issues tokens and checks them. `role` is everyone's, `roles` that of single identities by client id."""

    def __init__(self, seed: int) -> None:
        self._key = f"simulator:{seed}".encode()
        self._tokens: OrderedDict[str, Claims] = OrderedDict()
        self._issued_ever = 0
        self.restore()

    def restore(self) -> None:
        """Default settings and a count of 0; issued tokens stay valid."""
        self.lifetime_s = 3600
        self.role: str | None = "Cognitive Services OpenAI Contributor"
        self.roles: dict[str, str | None] = {}
        self.issued = 0

    def configure(self, settings: dict[str, Any]) -> None:
        """Takes `{lifetime_s?, role?, roles?}`; a role is null when it is missing. Raises SettingsError."""
        unknown = set(settings) - {"lifetime_s", "role", "roles"}
        if unknown:
            raise SettingsError(f"unknown identity settings: {', '.join(sorted(unknown))}")
        for role in (settings.get("role", self.role), *settings.get("roles", {}).values()):
            if role not in ROLES:
                raise SettingsError(f"unknown role {role!r}; known: {', '.join(map(str, ROLES))}")
        self.lifetime_s = settings.get("lifetime_s", self.lifetime_s)
        self.role = settings.get("role", self.role)
        self.roles = settings.get("roles", self.roles)

    def to_json(self) -> dict[str, Any]:
        return {"lifetime_s": self.lifetime_s, "role": self.role, "roles": self.roles, "issued": self.issued}

    def issue(self, audience: str, client_id: str, now: float) -> tuple[str, Claims]:
        """A new token, shaped like a JWT, and its claims."""
        self.issued += 1
        self._issued_ever += 1
        claims = Claims(audience.rstrip("/"), int(now) + self.lifetime_s, client_id)
        payload = {
            "aud": claims.audience, "iss": f"https://sts.windows.net/{TENANT_ID}/", "tid": TENANT_ID,
            "exp": claims.expires_on, "iat": int(now), "appid": client_id, "jti": self._issued_ever,
        }  # fmt: skip
        signed = b".".join(_base64url(orjson.dumps(part)) for part in ({"typ": "JWT", "alg": "HS256"}, payload))
        signature = _base64url(hmac.digest(self._key, signed, hashlib.sha256))
        token = (signed + b"." + signature).decode()
        self._tokens[token] = claims
        if len(self._tokens) > TOKENS_MAX:
            self._tokens.popitem(last=False)
        return token, claims

    def revoke(self) -> int:
        """Makes every token issued so far invalid; tells how many they were."""
        count = len(self._tokens)
        self._tokens.clear()
        return count

    def check(self, token: str, permission: str, now: float, role: str | None = INHERIT) -> None:
        """Raises AzureError unless the token is valid now and its identity has the permission.

        `role` is everybody's at one resource, unless it is `inherit`.
        """
        claims = self._tokens.get(token)
        if claims is None or claims.expires_on <= now or claims.audience not in AUDIENCES:
            raise errors.invalid_token()
        if role == INHERIT:
            role = self.roles.get(claims.client_id, self.role)
        if permission not in ROLES[role]:
            raise errors.permission_denied()

    def token_endpoint(self, request: Request, now: float) -> Reply:
        """`GET ?resource=&api-version=2019-08-01[&client_id=]` with X-IDENTITY-HEADER, as App Service answers it."""
        if request.headers.get("x-identity-header") != IDENTITY_HEADER:
            return _message(401, "Access denied: the X-IDENTITY-HEADER header is missing or wrong.")
        if request.query.get("api-version") != API_VERSION:
            return _message(400, f"The api-version must be {API_VERSION}.")
        resource = request.query.get("resource")
        if not resource:
            return _message(400, "The resource parameter is missing.")
        client_id = request.query.get("client_id") or SYSTEM_ASSIGNED
        token, claims = self.issue(resource, client_id, now)
        body = {
            "access_token": token, "expires_on": str(claims.expires_on), "resource": resource,
            "token_type": "Bearer", "client_id": client_id,
        }  # fmt: skip
        return Reply(headers={"content-type": JSON}, body=orjson.dumps(body))


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _message(status: int, message: str) -> Reply:
    return Reply(status, {"content-type": JSON}, orjson.dumps({"statusCode": status, "message": message}))
