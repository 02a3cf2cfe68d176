"""One `model_list` item as written: what is read of it, with types and units. LiteLLM's names, ours marked."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from shared.config import versions
from shared.config.fields import (
    Amount,
    ApiVersion,
    Fails,
    HeaderSecret,
    Moment,
    Name,
    Names,
    Positive,
    Rank,
    ResourceName,
    Seconds,
    SecondsOrZero,
    Secret,
    Section,
    Text,
)
from shared.config.pricing import DeploymentTypeField

Auth = Literal[
    "key",
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
Mode = Literal[
    "chat",
    "completion",
    "embedding",
    "image_generation",
    "image_edit",
    "audio_speech",
    "audio_transcription",
    "batch",
    "responses",
    "realtime",
    "rerank",
    "video_generation",
    "moderation",
]


class CredentialValues(Section):
    """The part of `litellm_params` that `credential_list[].credential_values` may hold."""

    api_base: Text | None = Field(None, description="the endpoint of the resource, as the portal shows it")
    base_url: Text | None = Field(None, description="another name for api_base")
    api_key: HeaderSecret | None = Field(None, description="a key in printable ASCII")
    api_version: ApiVersion | None = Field(None, description=versions.EXPECTED)
    azure_ad_token: HeaderSecret | None = Field(None, description="an Entra access token in printable ASCII")
    tenant_id: Text | None = Field(None, description="an Entra tenant")
    client_id: Text | None = Field(None, description="an Entra application, or a user-assigned managed identity")
    client_secret: Secret | None = Field(None, description="a secret of client_id")
    azure_username: Text | None = Field(None, description="an Entra user")
    azure_password: Secret | None = Field(None, description="the password of azure_username")
    azure_scope: Text | None = Field(None, description="the scope tokens are asked for")
    auth: Auth | None = Field(None, description="Spillway's own: which credential is used")


class LitellmParams(CredentialValues):
    """`litellm_params`. Timeouts are seconds; names that end in `_s`, `api_version_policy`, `auth` and
    `speech_cache` are ours."""

    model: Text = Field(description="a model such as azure/<deployment>")
    custom_llm_provider: Text | None = Field(None, description="a provider, as the prefix of model would name it")
    litellm_credential_name: Text | None = Field(None, description="a credential_name of credential_list")
    base_model: Text | None = Field(None, description="the model behind the deployment")
    api_version_policy: versions.Policy | None = Field(None, description="what is done when api_version is too old")
    timeout: Seconds | None = Field(None, description="seconds for a whole answer that is not streamed")
    stream_timeout: Seconds | None = Field(None, description="seconds a stream may be silent")
    connect_timeout_s: Seconds | None = Field(None, description="seconds for a connection")
    first_byte_timeout_s: Seconds | None = Field(None, description="seconds until a stream begins")
    idle_timeout_s: Seconds | None = Field(None, description="seconds between two parts of a stream")
    drop_params: bool | None = Field(None, description="true leaves out what the model does not take")
    additional_drop_params: Names = Field(default_factory=list, description="parameters that are always left out")
    allowed_openai_params: Names = Field(default_factory=list, description="parameters that are sent whatever is known")
    speech_cache: bool | None = Field(None, description="true answers the same speech request from storage")
    order: Rank | None = Field(None, description="lower is tried first")
    weight: Amount | None = Field(None, description="share of the traffic")
    tpm: Positive | None = Field(None, description="tokens per minute")
    rpm: Positive | None = Field(None, description="requests per minute")
    max_parallel_requests: Positive | None = Field(None, description="calls under way at once")
    tags: Names = Field(default_factory=list, description="what a request's tags are compared with")
    region_name: Text | None = Field(None, description="the Azure region of the deployment")
    cooldown_time: SecondsOrZero | None = Field(None, description="seconds a deployment that fails is left alone")
    allowed_fails: Fails | None = Field(None, description="failures a minute before a cooldown")
    configurable_clientside_auth_params: list[Any] = Field(
        default_factory=list, max_length=16, description="credentials that a caller may bring in the body"
    )


class ModelInfo(Section):
    """`model_info`. `resource`, a lasting name of the Azure resource, `region`, `provisioned`, `deployment_type` and
    `hosting_since` are ours."""

    id: Name | None = Field(None, description="1 to 128 printable ASCII characters")
    base_model: Text | None = Field(None, description="the model behind the deployment")
    mode: Mode | None = Field(None, description="what the deployment does")
    resource: ResourceName | None = Field(None, description="1 to 64 letters, digits, '.', '_' or '-'")
    region: Text | None = Field(None, description="another name for litellm_params.region_name")
    cooldown_time: SecondsOrZero | None = Field(None, description="seconds a deployment that fails is left alone")
    allowed_fails: Fails | None = Field(None, description="failures a minute before a cooldown")
    max_input_tokens: Positive | None = Field(None, description="tokens that a prompt may have")
    provisioned: bool | None = Field(None, description="true says that its throughput is paid by the hour (PTU)")
    ptu_count: Amount | None = Field(None, gt=0, description="provisioned throughput units; implies provisioned")
    cost_per_ptu_per_hour: Amount | None = Field(None, description="USD for one of them in an hour")
    deployment_type: DeploymentTypeField | None = Field(
        None, description="which of Azure's prices holds; Azure's own names, such as GlobalStandard, are taken as well"
    )
    hosting_since: Moment | None = Field(
        None, description="since when a fine-tuned deployment is hosted, such as 2026-07-01; its hours are then charged"
    )


class ModelListItem(Section):
    """One item of `model_list`; the nested mappings are validated on their own, for better paths."""

    model_name: Text = Field(max_length=256, description="the name callers use")
    litellm_params: dict[Any, Any] = Field(description="a mapping with at least model")
    model_info: dict[Any, Any] = Field(default_factory=dict, description="a mapping")
    tpm: Positive | None = Field(None, description="tokens per minute")
    rpm: Positive | None = Field(None, description="requests per minute")


class CredentialItem(Section):
    """One item of `credential_list`."""

    credential_name: Text = Field(description="the name that litellm_credential_name refers to")
    credential_values: dict[Any, Any] = Field(description="a mapping")
