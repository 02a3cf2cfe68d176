"""`router_settings`, `litellm_settings` and `general_settings`: what is read of them, with defaults and units."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from shared.config.fields import Amount, Count, Days, HeaderSecret, Names, Seconds, SecondsOrZero, Section
from shared.config.versions import Policy

BYTES_PER_MB = 1024 * 1024


class RouterSettings(Section):
    """`router_settings`."""

    model_group_alias: dict[str, Any] = Field(default_factory=dict, description="alias: model_name")
    num_retries: Count | None = Field(None, description="retries after the first attempt")
    timeout: Seconds | None = Field(None, description="seconds for a whole answer that is not streamed")


class LitellmSettings(Section):
    """`litellm_settings`."""

    request_timeout: Seconds | None = Field(None, description="seconds; router_settings.timeout wins")
    num_retries: Count | None = Field(None, description="retries after the first attempt; router_settings wins")
    drop_params: bool = Field(False, description="true leaves out what a model does not take, instead of a 400")
    allowed_openai_params: Names = Field(default_factory=list, description="parameters that are sent to every model")


class GeneralSettings(Section):
    """`general_settings`. Names that end in `_s`, `api_version_policy` and those of speech are ours."""

    master_key: HeaderSecret | None = Field(None, description="a key in printable ASCII")
    max_request_size_mb: Amount | None = Field(None, gt=0, description="MB of 1,048,576 bytes")
    api_version_policy: Policy = Field("upgrade", description="what is done when an api_version is too old")
    disconnect_drain_s: SecondsOrZero = Field(5.0, description="seconds an answer is read on after its caller left")
    speech_cache: bool = Field(False, description="true answers the same speech request from storage")
    speech_retention_days: Days = Field(7, description="days speech is kept in storage; 0 keeps none")
    keepalive_s: Seconds = Field(15.0, description="seconds of silence after which a stream gets a comment")
    connect_timeout_s: Seconds = Field(5.0, description="seconds for a connection")
    first_byte_timeout_s: Seconds | None = Field(None, description="seconds until a stream begins")
    idle_timeout_s: Seconds | None = Field(None, description="seconds between two parts of a stream")

    @property
    def body_bytes_max(self) -> int | None:
        """`max_request_size_mb` in bytes; None leaves each operation its own limit."""
        return None if self.max_request_size_mb is None else int(self.max_request_size_mb * BYTES_PER_MB)
