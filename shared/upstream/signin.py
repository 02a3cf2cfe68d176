"""From the configured credentials to the Credential that signs requests; azure-identity is imported when it is used.

Entries with equal credentials and scope share one token and one sign-in at a time.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from shared.config import Credentials
from shared.supervisor import Supervisor
from shared.upstream.credentials import Credential, EntraToken, Token, api_key, static_token


class SignIns:
    """Hands out Credentials. `clock` gives Unix seconds. Belongs to the running event loop."""

    def __init__(self, supervisor: Supervisor, clock: Callable[[], float]) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._tokens: dict[tuple[Credentials, str], tuple[EntraToken, Identity]] = {}

    def credential(self, credentials: Credentials, scope: str, *, bearer: bool) -> Credential:
        """The credential of one entry; `bearer`: a key goes into `Authorization`, as OpenAI's own API wants it."""
        if credentials.kind == "api_key":
            return api_key(_shown(credentials.api_key), bearer=bearer)
        if credentials.kind == "token":
            return static_token(_shown(credentials.token))
        known = self._tokens.get((credentials, scope))
        if known is None:
            identity = Identity(credentials, scope)
            token = EntraToken(identity.token, identity.fresh_token, self._supervisor, self._clock)
            known = self._tokens[credentials, scope] = token, identity
        return known[0]

    async def close(self) -> None:
        """Closes what azure-identity holds open."""
        for _, identity in self._tokens.values():
            await identity.close()


class Identity:
    """One azure-identity credential, made when it is first needed."""

    def __init__(self, credentials: Credentials, scope: str) -> None:
        self._credentials = credentials
        self._scope = scope
        self._made: Any = None

    async def token(self) -> Token:
        """A token, perhaps from azure-identity's own cache. Raises what azure-identity raises."""
        if self._made is None:
            # The import takes a third of a second, which the event loop must not stand still for.
            self._made = await asyncio.to_thread(_make, self._credentials)
        if self._credentials.kind == "username_password":
            found = await asyncio.to_thread(self._made.get_token, self._scope)
        else:
            found = await self._made.get_token(self._scope)
        return Token(found.token, float(found.expires_on))

    async def fresh_token(self) -> Token:
        """A token past azure-identity's cache, which a new credential starts without."""
        await self.close()
        return await self.token()

    async def close(self) -> None:
        made, self._made = self._made, None
        if made is None:
            return
        if self._credentials.kind == "username_password":
            await asyncio.to_thread(made.close)
        else:
            await made.close()


def _make(credentials: Credentials) -> Any:
    if credentials.kind == "username_password":
        return _username_password(credentials)
    identity: Any = importlib.import_module("azure.identity.aio")
    if credentials.kind == "client_secret":
        return identity.ClientSecretCredential(
            credentials.tenant_id, credentials.client_id, _shown(credentials.client_secret)
        )
    if credentials.kind == "workload_identity":
        return identity.WorkloadIdentityCredential(
            tenant_id=credentials.tenant_id, client_id=credentials.client_id, token_file_path=credentials.file
        )
    if credentials.kind == "certificate":
        return identity.CertificateCredential(
            credentials.tenant_id,
            credentials.client_id,
            credentials.file,
            password=_shown(credentials.password) or None,
        )
    if credentials.kind == "managed_identity":
        return identity.ManagedIdentityCredential(client_id=credentials.client_id)
    if credentials.kind == "environment":
        return identity.EnvironmentCredential()
    if credentials.kind == "azure_cli":
        return identity.AzureCliCredential()
    if credentials.client_id is None:
        return identity.DefaultAzureCredential()
    return identity.DefaultAzureCredential(managed_identity_client_id=credentials.client_id)


def _username_password(credentials: Credentials) -> Any:
    """The only credential that exists without an async form. Its deprecation warning is hidden here and nowhere else;
    `organizations` is Microsoft's default tenant for it."""
    import warnings

    identity: Any = importlib.import_module("azure.identity")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return identity.UsernamePasswordCredential(
            client_id=credentials.client_id,
            username=credentials.username,
            password=_shown(credentials.password),
            tenant_id=credentials.tenant_id or "organizations",
        )


def _shown(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()
