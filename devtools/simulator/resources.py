"""Azure OpenAI resources and their deployments, as data that tests may change while the simulator runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from devtools.simulator.authoring import Authoring, authoring_from
from devtools.simulator.models import MODELS, Model
from devtools.simulator.roles import INHERIT, ROLES

RATELIMIT_HEADERS = ("standard", "minus_one", "none")
BATCH_SKUS = ("GlobalBatch", "DataZoneBatch")
CONTENT_FILTERS = ("default", "asynchronous")


class SettingsError(ValueError):
    """A resource, deployment, fault or identity setting that the simulator does not understand."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of a base model.

    `tpm` tokens and `rpm` requests a minute (None = unlimited; on a provisioned sku `tpm` is what the PTUs process).
    `rpm_window_s`: Azure evaluates RPM over 1 s or 10 s. `first_ms` and `delay_ms`: time to the first byte and
    between chunks. `ratelimit_headers`: `standard`, `minus_one` (all -1, no retry-after) or `none`.
    `ratelimit_in_stream`: a stream over its limit answers 200 and tells in an event. A deployment with a batch sku
    serves batches and nothing else; `enqueued_tokens` is how many tokens they may have at a time (None = unlimited).
    """

    model: str
    version: str = ""
    sku: str = "Standard"
    tpm: int | None = None
    rpm: int | None = None
    rpm_window_s: float = 10.0
    content_filter: str = "default"
    ratelimit_headers: str = "standard"
    ratelimit_in_stream: bool = False
    first_ms: float = 0.0
    delay_ms: float = 0.0
    enqueued_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise SettingsError(f"unknown model {self.model!r}; known: {', '.join(sorted(MODELS))}")
        if self.ratelimit_headers not in RATELIMIT_HEADERS:
            raise SettingsError(f"ratelimit_headers must be one of {RATELIMIT_HEADERS}")
        if self.content_filter not in CONTENT_FILTERS:
            raise SettingsError(f"content_filter must be one of {CONTENT_FILTERS}")

    @property
    def provisioned(self) -> bool:
        """Whether PTUs serve it: a leaky bucket instead of windows."""
        return "Provisioned" in self.sku

    @property
    def batch(self) -> bool:
        """Whether it takes batches, and only them."""
        return self.sku in BATCH_SKUS

    @property
    def base(self) -> Model:
        """The base model, in this deployment's version."""
        model = MODELS[self.model]
        return replace(model, version=self.version) if self.version else model


@dataclass(slots=True)
class Resource:
    """One Azure OpenAI resource. `local_auth` False answers keys with 403, as `disableLocalAuth` does.

    `role` is that of every Entra identity here (None = missing); `inherit` leaves it to the identity. `authoring` is
    about its files, batches and fine-tuning jobs.
    """

    name: str
    keys: tuple[str, ...]
    region: str = "East US"
    local_auth: bool = True
    role: str | None = INHERIT
    deployments: dict[str, Deployment] = field(default_factory=dict)
    authoring: Authoring = field(default_factory=Authoring)

    def to_json(self) -> dict[str, Any]:
        return {
            "keys": list(self.keys),
            "region": self.region,
            "local_auth": self.local_auth,
            "role": self.role,
            "deployments": {name: asdict(deployment) for name, deployment in self.deployments.items()},
            "authoring": asdict(self.authoring),
        }


_DEPLOYMENT_FIELDS = frozenset(f.name for f in fields(Deployment))
_RESOURCE_FIELDS = frozenset({"keys", "region", "local_auth", "role", "deployments", "authoring"})


def deployment_from(data: Mapping[str, Any], base: Deployment | None = None) -> Deployment:
    """A deployment from its JSON; `base` gives the values that are not named. Raises SettingsError."""
    unknown = set(data) - _DEPLOYMENT_FIELDS
    if unknown:
        raise SettingsError(f"unknown deployment settings: {', '.join(sorted(unknown))}")
    if base is not None:
        return replace(base, **data)
    if "model" not in data:
        raise SettingsError("a deployment needs a model")
    return Deployment(**data)


def resource_from(name: str, data: Mapping[str, Any], base: Resource | None = None) -> Resource:
    """A resource from its JSON, `{keys?, region?, local_auth?, role?, deployments?, authoring?}`; raises SettingsError.

    No keys means `sim-key-<name>`. `base` gives the values that are not named; deployments that are named are added.
    """
    unknown = set(data) - _RESOURCE_FIELDS
    if unknown:
        raise SettingsError(f"unknown resource settings: {', '.join(sorted(unknown))}")
    role = data.get("role", INHERIT if base is None else base.role)
    if role not in ROLES and role != INHERIT:
        raise SettingsError(f"unknown role {role!r}; known: {INHERIT}, {', '.join(map(str, ROLES))}")
    start = base or Resource(name, (f"sim-key-{name}",))
    given = {key: deployment_from(value) for key, value in data.get("deployments", {}).items()}
    try:
        authoring = authoring_from(data.get("authoring", {}), start.authoring)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    return Resource(
        name=name,
        keys=tuple(data.get("keys") or start.keys),
        region=data.get("region", start.region),
        local_auth=data.get("local_auth", start.local_auth),
        role=role,
        deployments=start.deployments | given,
        authoring=authoring,
    )


DEFAULT_REGIONS = {"east": "East US", "west": "West US", "sweden": "Sweden Central"}
DEFAULT_DEPLOYMENTS: dict[str, Deployment] = {
    "gpt-4o": Deployment("gpt-4o", sku="GlobalStandard"),
    "gpt-4o-mini": Deployment("gpt-4o-mini", sku="GlobalStandard"),
    "gpt-4.1": Deployment("gpt-4.1", sku="GlobalStandard"),
    "gpt-5": Deployment("gpt-5", sku="GlobalStandard"),
    "o3-mini": Deployment("o3-mini", sku="GlobalStandard"),
    "o4-mini": Deployment("o4-mini", sku="GlobalStandard"),
    "o1": Deployment("o1", sku="GlobalStandard"),
    "my-o3-deployment": Deployment("o3", sku="GlobalStandard"),
    "demo1-gpt4o": Deployment("gpt-4o"),
    "chatgpt-v-2": Deployment("gpt-35-turbo"),
    "chatgpt-functioncalling": Deployment("gpt-35-turbo"),
    "gpt-4-vision": Deployment("gpt-4"),
    "azure-openai-4o-audio": Deployment("gpt-4o-audio-preview", sku="GlobalStandard"),
    "gpt-35-turbo-instruct": Deployment("gpt-35-turbo-instruct"),
    "text-embedding-3-small": Deployment("text-embedding-3-small"),
    "text-embedding-3-large": Deployment("text-embedding-3-large"),
    "text-embedding-ada-002": Deployment("text-embedding-ada-002"),
    "tts": Deployment("tts"),
    "tts-1": Deployment("tts"),
    "tts-hd": Deployment("tts-hd"),
    "gpt-4o-mini-tts": Deployment("gpt-4o-mini-tts", sku="GlobalStandard"),
    "whisper": Deployment("whisper"),
    "gpt-4o-transcribe": Deployment("gpt-4o-transcribe", sku="GlobalStandard"),
    "gpt-4o-mini-transcribe": Deployment("gpt-4o-mini-transcribe", sku="GlobalStandard"),
    "gpt-4o-transcribe-diarize": Deployment("gpt-4o-transcribe-diarize", sku="GlobalStandard"),
    "gpt-image-1": Deployment("gpt-image-1", sku="GlobalStandard"),
    "gpt-image-1-mini": Deployment("gpt-image-1-mini", sku="GlobalStandard"),
    "dall-e-3": Deployment("dall-e-3"),
    "dall-e-3-test": Deployment("dall-e-3"),
    "o1-pro": Deployment("o1-pro", sku="GlobalStandard"),
    "o3-pro": Deployment("o3-pro", sku="GlobalStandard"),
    "codex-mini": Deployment("codex-mini", sku="GlobalStandard"),
    "gpt-5-codex": Deployment("gpt-5-codex", sku="GlobalStandard"),
    "gpt-4o-batch": Deployment("gpt-4o", sku="GlobalBatch"),
    "gpt-4o-mini-batch": Deployment("gpt-4o-mini", sku="GlobalBatch"),
    "text-embedding-3-small-batch": Deployment("text-embedding-3-small", sku="GlobalBatch"),
    "gpt-4o-ptu": Deployment("gpt-4o", sku="ProvisionedManaged", tpm=250_000),
}


def defaults() -> dict[str, Resource]:
    """The resources of a simulator that was given no settings: `east`, `west` and `sweden`, all alike."""
    return {
        name: Resource(name, (f"sim-key-{name}",), region, deployments=dict(DEFAULT_DEPLOYMENTS))
        for name, region in DEFAULT_REGIONS.items()
    }
