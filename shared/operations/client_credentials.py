"""Credentials and addresses that a caller brings in the body, as LiteLLM's clients do.

They are taken out of every body before an operation sees it, so none can be forwarded, and they are used only where
the entry lists them in `configurable_clientside_auth_params`; everywhere else they are a 400. A caller's `api_base`
needs the caller's own key or token: the gateway's credentials go nowhere but to the entry's own address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from shared.config.versions import is_api_version
from shared.errors import BadRequest, ConfigError
from shared.operations.parsing import CREDENTIAL_FIELDS, NEVER_FROM_CLIENTS, wrong_type
from shared.upstream.credentials import Credential, api_key, static_token
from shared.upstream.deployment import Deployment
from shared.upstream.endpoint import Endpoint, parse
from shared.upstream.public import is_literal, is_public

CHARS_MAX = {"api_base": 512, "api_version": 32, "api_key": 1024, "azure_ad_token": 16_384}


@dataclass(frozen=True, slots=True)
class Brought:
    """What a caller brought, by the names that it used; nothing of it is checked yet, and no repr shows it."""

    values: Mapping[str, Any] = field(repr=False)

    def applied(self, candidates: Sequence[Deployment]) -> list[Deployment]:
        """The candidates that take what was brought, with it in place. Raises BadRequest when there is none."""
        names = list(self.values)
        able = [one for one in candidates if all(one.client_params.allows(_own_name(name)) for name in names)]
        if not able:
            allowed = {name for name in names for one in candidates if one.client_params.allows(_own_name(name))}
            raise not_accepted(next((name for name in names if name not in allowed), names[0]))
        return self._checked().applied(able)

    def _checked(self) -> ClientCredentials:
        if {"api_base", "base_url"} <= self.values.keys():
            raise BadRequest(
                "`api_base` and `base_url` are the same; send one.", param="base_url", code="invalid_value"
            )
        return ClientCredentials(**{_own_name(name): _checked(name, value) for name, value in self.values.items()})


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """What a caller brought, checked; the secrets stay out of the repr."""

    api_key: str | None = field(default=None, repr=False)
    azure_ad_token: str | None = field(default=None, repr=False)
    api_base: str | None = None
    api_version: str | None = None

    def applied(self, able: Sequence[Deployment]) -> list[Deployment]:
        """The deployments, all of which take what was brought, with it in place. Raises BadRequest."""
        if self.api_base is not None and self.api_key is None and self.azure_ad_token is None:
            raise BadRequest(
                "`api_base` needs `api_key` or `azure_ad_token`: the gateway's own credentials are not sent there.",
                param="api_base",
                code="invalid_value",
            )
        placed = [made for one in able if (made := self._placed(one)) is not None]
        if not placed:
            raise _refused_base()
        return placed

    def _placed(self, deployment: Deployment) -> Deployment | None:
        """The deployment as the caller wants it reached; None when its allow-list does not have the address."""
        endpoint = deployment.endpoint
        if self.api_base is not None:
            endpoint = _endpoint(self.api_base, self.api_version, deployment)
            host = endpoint.origin.partition("://")[2]
            if not deployment.client_params.leads_to(host, self.api_base.rstrip("/")):
                return None
        elif self.api_version is not None and endpoint.provider == "azure":
            endpoint = replace(endpoint, api_version=self.api_version)
        credential = self._credential(deployment)
        foreign = credential is not None
        return replace(
            deployment,
            name=endpoint.deployment_for(deployment.name),
            # Apart from the operator's own: its failures and its bill are the caller's.
            id=f"{deployment.id}.client" if foreign else deployment.id,
            resource_id=f"{deployment.resource_id}.client" if self.api_base is not None else deployment.resource_id,
            endpoint=endpoint,
            credential=credential or deployment.credential,
            of_client=foreign,
            tpm=None if foreign else deployment.tpm,
            rpm=None if foreign else deployment.rpm,
            public_only=self.api_base is not None,
            _effective={},
            _urls={},
        )

    def _credential(self, deployment: Deployment) -> Credential | None:
        if self.api_key is not None:
            return api_key(self.api_key, bearer=deployment.endpoint.provider == "openai")
        return static_token(self.azure_ad_token) if self.azure_ad_token is not None else None


def taken(body: Mapping[str, Any]) -> tuple[dict[str, Any], Brought | None]:
    """`body` without what a caller brought of this kind, and what it was, None for nothing. Raises BadRequest for what
    no caller may bring."""
    for name in NEVER_FROM_CLIENTS:
        if name in body:
            raise not_accepted(name)
    rest = {name: value for name, value in body.items() if name not in CREDENTIAL_FIELDS}
    found = {name: body[name] for name in CREDENTIAL_FIELDS if body.get(name) is not None}
    return rest, Brought(found) if found else None


def not_accepted(name: str) -> BadRequest:
    """The answer for a parameter that this model's entry does not list; it quotes no value."""
    return BadRequest(f"`{name}` is not accepted from clients here.", param=name, code="unsupported_parameter")


def _own_name(name: str) -> str:
    return "api_base" if name == "base_url" else name


def _checked(name: str, value: Any) -> str:
    own = _own_name(name)
    if not isinstance(value, str):
        raise wrong_type(name, "a string", value)
    text = value.strip()
    fit = 0 < len(text) <= CHARS_MAX[own] and text.isascii() and text.isprintable() and " " not in text
    if not fit or (own == "api_version" and not is_api_version(text)):
        raise BadRequest(f"Invalid '{name}'.", param=name, code="invalid_value")
    return text


def _endpoint(api_base: str, api_version: str | None, deployment: Deployment) -> Endpoint:
    """The caller's address: https, and no address literal that is not public. Raises BadRequest."""
    provider = deployment.endpoint.provider
    try:
        endpoint, _ = parse(
            api_base,
            provider=provider,
            api_version=api_version if provider == "azure" else None,
            api_version_default=deployment.endpoint.api_version or None,
            shown=False,
        )
    except ConfigError:
        raise _refused_base() from None
    address = urlsplit(endpoint.origin)
    host = address.hostname or ""
    if address.scheme != "https" or (is_literal(host) and not is_public(host)):
        raise _refused_base()
    return endpoint


def _refused_base() -> BadRequest:
    return BadRequest("This `api_base` is not accepted here.", param="api_base", code="invalid_value")
