"""One usable `model_list` entry: resolved, frozen, and safe to print."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import SecretStr

from shared.config.clientside import NO_CLIENT_PARAMS, ClientParams
from shared.config.models import ModelRef, ModelStringError, parse_model
from shared.config.params import Mode
from shared.config.pricing import NO_PRICING, Pricing
from shared.config.versions import Policy

CredentialKind = Literal[
    "api_key",
    "token",
    "client_secret",
    "username_password",
    "workload_identity",
    "certificate",
    "managed_identity",
    "environment",
    "azure_cli",
    "default",
]

_BASE_MODEL_PREFIXES = ("azure/", "azure_text/", "openai/")


@dataclass(frozen=True, slots=True)
class Credentials:
    """How one entry signs its calls; equal values may share one token cache. No repr shows a secret.

    `api_key`: api_key. `token`: token. `client_secret`: tenant_id, client_id, client_secret. `username_password`:
    client_id, username, password and perhaps tenant_id. `workload_identity`: tenant_id, client_id and file, which holds
    the federated token. `certificate`: tenant_id, client_id, file and perhaps password. `managed_identity` and
    `default`: perhaps client_id. `environment` and `azure_cli`: nothing.
    """

    kind: CredentialKind
    api_key: SecretStr | None = None
    token: SecretStr | None = None
    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    username: str | None = None
    password: SecretStr | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `total_s` bounds a buffered answer; `first_byte_s` and `idle_s` bound a stream, which has no total."""

    total_s: float = 600.0
    connect_s: float = 5.0
    first_byte_s: float = 600.0
    idle_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One deployment that callers may reach as `model_name`.

    `api_base` and `api_version` are as written (`api_base` None: OpenAI's own address); `api_version_default` is
    AZURE_API_VERSION, for an entry and URL that name none. `shared.upstream.endpoint` turns the three into an
    address. `api_base_at` names where the base was found, `api_base_shown` says whether a message may quote it.
    `order` None comes after every number. `tpm` and `rpm` are per minute, None when unknown.
    `max_parallel_requests` is the entry's own, else router_settings'; `cooldown_s` (seconds) and `allowed_fails` (per
    minute) are the entry's own only. `max_input_tokens` is what model_info says, not what the base model is known for.
    `provisioned`: its throughput is reserved (PTU), so that a call costs nothing more.
    `hosting_since`: when its hosting, which is paid by the hour, began, in seconds since 1970.
    `pricing` is what else it says of its price. `client_params` is what a caller may bring instead.
    """

    path: str
    model_name: str
    model: ModelRef
    credentials: Credentials
    api_base: str | None = None
    api_base_at: str = ""
    api_base_shown: bool = True
    api_version: str | None = None
    api_version_default: str | None = None
    api_version_policy: Policy = "upgrade"
    azure_scope: str | None = None
    base_model: str | None = None
    mode: Mode | None = None
    id: str | None = None
    resource: str | None = None
    drop_params: bool = False
    additional_drop_params: tuple[str, ...] = ()
    allowed_openai_params: tuple[str, ...] = ()
    speech_cache: bool = False
    order: int | None = None
    weight: float | None = None
    tpm: int | None = None
    rpm: int | None = None
    max_parallel_requests: int | None = None
    max_input_tokens: int | None = None
    tags: tuple[str, ...] = ()
    region: str | None = None
    provisioned: bool = False
    hosting_since: float | None = None
    cooldown_s: float | None = None
    allowed_fails: int | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    pricing: Pricing = NO_PRICING
    client_params: ClientParams = NO_CLIENT_PARAMS

    @property
    def label(self) -> str:
        """For logs: `model_list[0] (gpt-4o)`."""
        return f"{self.path} ({self.model_name})"

    @property
    def base_model_name(self) -> str | None:
        """`base_model` without its provider: `azure/gpt-4-1106-preview` is `gpt-4-1106-preview`."""
        for prefix in _BASE_MODEL_PREFIXES:
            if self.base_model is not None and self.base_model.startswith(prefix):
                return self.base_model.removeprefix(prefix)
        return self.base_model

    @property
    def is_wildcard(self) -> bool:
        """Whether `model_name` or the deployment holds a `*`."""
        return "*" in self.model_name or self.model.is_wildcard

    def match(self, requested: str) -> ModelRef | None:
        """The upstream model that serves a caller's `requested` name here, None when this entry does not.

        What `*` stands for in `model_name` fills the `*` of the model; a name that is then no valid deployment
        name does not match, so that a caller can never write a path.
        """
        if "*" not in self.model_name:
            return self.model if requested == self.model_name else None
        before, _, after = self.model_name.partition("*")
        captured = requested[len(before) : len(requested) - len(after)]
        if not captured or "*" in captured or requested != f"{before}{captured}{after}":
            return None
        if not self.model.is_wildcard:
            return self.model
        return self._filled(captured)

    def _filled(self, captured: str) -> ModelRef | None:
        family = f"{self.model.family}/" if self.model.family else ""
        text = f"{self.model.provider}/{family}{self.model.deployment.replace('*', captured)}"
        try:
            filled = parse_model(text)
        except ModelStringError:
            return None
        return filled if filled.provider == self.model.provider else None


@dataclass(frozen=True, slots=True)
class Match:
    """An entry and the upstream model it offers for one requested name."""

    entry: Entry
    model: ModelRef
