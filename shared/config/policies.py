"""The small mappings of `router_settings` that go by the kind of error or strategy, under LiteLLM's names."""

from __future__ import annotations

from pydantic import Field

from shared.config.fields import Amount, Count, Fails, Seconds, Section

RETRIES = "retries after the first attempt"
FAILURES = "failures a minute before a cooldown"


class RetryPolicy(Section):
    """`retry_policy`, and each value of `model_group_retry_policy`."""

    BadRequestErrorRetries: Count | None = Field(None, description=RETRIES)
    AuthenticationErrorRetries: Count | None = Field(None, description=RETRIES)
    TimeoutErrorRetries: Count | None = Field(None, description=RETRIES)
    RateLimitErrorRetries: Count | None = Field(None, description=RETRIES)
    ContentPolicyViolationErrorRetries: Count | None = Field(None, description=RETRIES)
    InternalServerErrorRetries: Count | None = Field(None, description=RETRIES)
    ServiceUnavailableErrorRetries: Count | None = Field(None, description=RETRIES)
    NotFoundErrorRetries: Count | None = Field(None, description=RETRIES)
    DefaultRetries: Count | None = Field(None, description=RETRIES)


class AllowedFailsPolicy(Section):
    """`allowed_fails_policy`. What is not written here is `allowed_fails`."""

    BadRequestErrorAllowedFails: Fails | None = Field(None, description=FAILURES)
    AuthenticationErrorAllowedFails: Fails | None = Field(None, description=FAILURES)
    TimeoutErrorAllowedFails: Fails | None = Field(None, description=FAILURES)
    RateLimitErrorAllowedFails: Fails | None = Field(None, description=FAILURES)
    ContentPolicyViolationErrorAllowedFails: Fails | None = Field(None, description=FAILURES)
    InternalServerErrorAllowedFails: Fails | None = Field(None, description=FAILURES)
    BadGatewayErrorAllowedFails: Fails | None = Field(None, description=FAILURES)
    ServiceUnavailableErrorAllowedFails: Fails | None = Field(None, description=FAILURES)
    NotFoundErrorAllowedFails: Fails | None = Field(None, description=FAILURES)


class StrategyArgs(Section):
    """`routing_strategy_args`, for latency-based-routing."""

    lowest_latency_buffer: Amount | None = Field(None, description="share of the lowest latency that counts as equal")
    ttl: Seconds | None = Field(None, description="seconds a measured latency is remembered")
