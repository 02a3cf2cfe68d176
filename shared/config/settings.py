"""`router_settings`, `litellm_settings` and `general_settings`: what is read of them, with defaults and units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from shared.config.fields import (
    Amount,
    Count,
    Days,
    Fails,
    HeaderSecret,
    Milliseconds,
    Models,
    Names,
    Positive,
    Ratio,
    Seconds,
    SecondsOrZero,
    Section,
)
from shared.config.versions import Policy

BYTES_PER_MB = 1024 * 1024
FALLBACKS = "models that take over, `[{gpt-4o: [gpt-4o-mini]}]`; `*` stands for every model"
ROUTER_WINS = "as in router_settings, which wins"

Strategy = Literal[
    "usage-based-routing-v2",
    "usage-based-routing",
    "simple-shuffle",
    "least-busy",
    "latency-based-routing",
    "cost-based-routing",
]


class RouterSettings(Section):
    """`router_settings`. `max_wait_ms`, `spill_on_5xx`, `retry_budget_ratio` and `retry_budget_min` are ours.

    `routing.py` reads the nested mappings, with LiteLLM's two ways to write fallbacks, and adds what only
    litellm_settings has; a `Config` holds them as they are typed here.
    """

    model_group_alias: dict[str, Any] = Field(default_factory=dict, description="alias: model_name")
    routing_strategy: Strategy = Field(
        "usage-based-routing-v2",
        description="how one of several deployments is chosen; LiteLLM's default is simple-shuffle",
    )
    routing_strategy_args: Mapping[str, float] = Field(default_factory=dict, description="see below")
    num_retries: Count | None = Field(None, description="retries after the first attempt")
    retry_policy: Mapping[str, int] = Field(default_factory=dict, description="retries by kind of error, see below")
    model_group_retry_policy: Mapping[str, Mapping[str, int]] = Field(
        default_factory=dict, description="model_name: a retry_policy"
    )
    retry_budget_ratio: Ratio = Field(0.2, description="retries per call, on average, when many fail")
    retry_budget_min: Fails = Field(10, description="retries per 10 seconds that are always allowed")
    spill_on_5xx: bool = Field(
        True, description="true lets the next deployment try what failed with a 5xx or broke off"
    )
    max_wait_ms: Milliseconds = Field(
        0, description="milliseconds a call may wait for room, 60000 at most; 0 answers 429 at once"
    )
    timeout: Seconds | None = Field(None, description="seconds for a whole answer that is not streamed")
    stream_timeout: Seconds | None = Field(None, description="seconds a stream may be silent")
    default_max_parallel_requests: Positive | None = Field(
        None, description="calls under way at once, for entries without max_parallel_requests"
    )
    allowed_fails: Fails | None = Field(None, description="failures a minute before a cooldown")
    allowed_fails_policy: Mapping[str, int] = Field(
        default_factory=dict, description="allowed_fails by kind of error, see below"
    )
    cooldown_time: SecondsOrZero = Field(5.0, description="seconds a deployment that fails is left alone")
    disable_cooldowns: bool = Field(False, description="true leaves no deployment alone")
    fallbacks: Mapping[str, tuple[str, ...]] = Field(default_factory=dict, description=FALLBACKS)
    context_window_fallbacks: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict, description="the same, for prompts that are too long"
    )
    content_policy_fallbacks: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict, description="the same, for what the content filter refused"
    )
    default_fallbacks: Models = Field((), description="fallbacks of every model that has none")
    max_fallbacks: Count = Field(5, description="other models that are tried for one call")
    enable_pre_call_checks: bool = Field(
        True, description="false sends a prompt also where it cannot fit; LiteLLM's default is false"
    )
    enable_tag_filtering: bool = Field(False, description="true takes only deployments with a request's tags")
    tag_filtering_match_any: bool = Field(True, description="false asks for all of a request's tags")


class LitellmSettings(Section):
    """`litellm_settings`. What it shares with router_settings counts where that does not write it."""

    request_timeout: Seconds | None = Field(None, description="seconds; router_settings.timeout wins")
    num_retries: Count | None = Field(None, description="retries after the first attempt; router_settings wins")
    allowed_fails: Fails | None = Field(None, description=ROUTER_WINS)
    cooldown_time: SecondsOrZero | None = Field(None, description=ROUTER_WINS)
    fallbacks: Mapping[str, tuple[str, ...]] = Field(default_factory=dict, description=ROUTER_WINS)
    context_window_fallbacks: Mapping[str, tuple[str, ...]] = Field(default_factory=dict, description=ROUTER_WINS)
    content_policy_fallbacks: Mapping[str, tuple[str, ...]] = Field(default_factory=dict, description=ROUTER_WINS)
    default_fallbacks: Models = Field((), description=ROUTER_WINS)
    drop_params: bool = Field(False, description="true leaves out what a model does not take, instead of a 400")
    allowed_openai_params: Names = Field(default_factory=list, description="parameters that are sent to every model")
    enable_loadbalancing_on_batch_endpoints: bool = Field(
        False, description="true splits a batch over deployments where one cannot take it whole"
    )


class GeneralSettings(Section):
    """`general_settings`. Names that end in `_s` or `_days`, `api_version_policy` and those of speech are ours."""

    master_key: HeaderSecret | None = Field(None, description="a key in printable ASCII")
    max_request_size_mb: Amount | None = Field(None, gt=0, description="MB of 1,048,576 bytes")
    api_version_policy: Policy = Field("upgrade", description="what is done when an api_version is too old")
    disconnect_drain_s: SecondsOrZero = Field(5.0, description="seconds an answer is read on after its caller left")
    speech_cache: bool = Field(False, description="true answers the same speech request from storage")
    speech_retention_days: Days = Field(7, description="days speech is kept in storage; 0 keeps none")
    batch_retention_days: Days = Field(90, ge=1, description="days a batch is kept after its end; its files stay")
    fine_tuning_retention_days: Days = Field(400, ge=1, description="days a fine-tuning job is kept after its end")
    budget_reserve_usd_max: Amount = Field(
        0.1,
        description="USD set aside at most for a virtual key's call that does not say how long its answer may be",
    )
    keepalive_s: Seconds = Field(15.0, description="seconds of silence after which a stream gets a comment")
    connect_timeout_s: Seconds = Field(5.0, description="seconds for a connection")
    first_byte_timeout_s: Seconds | None = Field(None, description="seconds until a stream begins")
    idle_timeout_s: Seconds | None = Field(None, description="seconds between two parts of a stream")

    @property
    def body_bytes_max(self) -> int | None:
        """`max_request_size_mb` in bytes; None leaves each operation its own limit."""
        return None if self.max_request_size_mb is None else int(self.max_request_size_mb * BYTES_PER_MB)
