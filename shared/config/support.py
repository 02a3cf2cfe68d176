"""Which keys of LiteLLM's schema have no effect here yet, and why: the one place that says so.

A key that Spillway reads is a field of a model in `params.py` or `settings.py`. Every other key of the schema is
listed below with the reason that its start-up warning gives. To support a key: add the field, delete the line.
A name with `*` stands for every key that matches it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from fnmatch import fnmatchcase

from pydantic import BaseModel

from shared.config.pricing import cost_key

COSTS = ("litellm_params", "model_info")
"""Where the cost keys of pricing.py are read, which are no fields of a model."""
LATER = "is not supported yet and has no effect"
PRICES = "is not a price that Spillway reads and has no effect"
TABLES = "has no effect; Spillway shares its state through the storage account, without Redis or SQL"
NEEDLESS_REFRESH = (
    "is not needed; tokens are always refreshed, and an entry without credentials uses DefaultAzureCredential"
)


def _all(names: str, reason: str = LATER) -> dict[str, str]:
    return dict.fromkeys(names.split(), reason)


_REQUEST_DEFAULTS = _all(
    "temperature top_p n max_tokens max_completion_tokens presence_penalty frequency_penalty logit_bias seed stop user"
    " tools tool_choice response_format reasoning_effort verbosity service_tier stream modalities audio metadata store"
    " parallel_tool_calls extra_body dimensions",
    "is not supported yet and has no effect; send it with the request",
)

UNSUPPORTED: dict[str, dict[str, str]] = {
    "": _all(
        "files_settings finetune_settings guardrails include mcp_servers vector_store_registry callback_settings"
        " assistant_settings prompts search_tools"
    ),
    "model_list": _all("itpm otpm tpd rpd access_groups"),
    "litellm_params": {
        **_all(
            "responses_api_version itpm otpm rpd tpd daily_reset_time max_retries num_retries"
            " tag_regex max_budget budget_duration default_api_key_tpm_limit default_api_key_rpm_limit"
            " max_file_size_mb extra_headers mock_response"
            " timeout_by_service_tier organization headers model_info merge_reasoning_content_in_choices"
            " use_in_pass_through use_litellm_proxy custom_tokenizer supports_system_message"
        ),
        **_all("keepalive_seconds", f"{LATER}; general_settings.keepalive_s is its place"),
        **_all("*_cost_per_* *_cost *_cost_above_* cost_per_*", PRICES),
        **_all("redis_host redis_port redis_password", TABLES),
        **_REQUEST_DEFAULTS,
    },
    "model_info": {
        **_all(
            "access_groups team_id team_public_model_name tier supports_* allowed_fails_policy"
            " reasoning_effort_levels default_reasoning_effort health_check_*"
            " disable_background_health_check access_windows"
            " max_tokens max_output_tokens litellm_provider db_model created_at"
            " updated_at created_by updated_by description"
        ),
        **_all("ptu_shares *_cost_per_* *_cost *_cost_above_* cost_per_*", PRICES),
    },
    "router_settings": {
        **_all(
            "routing_groups retry_after optional_pre_call_checks provider_budget_config enable_weighted_failover"
            " enable_mid_stream_fallback_continuation enable_health_check_routing assistants_config debug_level"
            " set_verbose default_litellm_params default_priority polling_interval client_ttl max_retries"
        ),
        **_all("redis_host redis_port redis_password redis_url redis_db cache_responses cache_kwargs", TABLES),
    },
    "routing_strategy_args": _all("max_latency_list_size ttft_percentile"),
    "retry_policy": {},
    "allowed_fails_policy": {},
    "litellm_settings": {
        **_all(
            "callbacks success_callback failure_callback service_callback cache cache_params"
            " turn_off_message_logging max_budget budget_duration"
            " set_verbose json_logs redact_user_api_key_info default_team_settings"
            " default_internal_user_params max_internal_user_budget modify_params ssl_verify telemetry"
            " max_end_user_budget public_model_groups langfuse_default_tags default_max_internal_user_budget"
            " force_ipv4 disable_end_user_cost_tracking forward_traceparent_to_llm_provider"
        ),
        **_all("enable_azure_ad_token_refresh", NEEDLESS_REFRESH),
    },
    "general_settings": {
        **_all(
            "max_response_size_mb max_file_size_mb max_batch_file_size_mb max_batch_file_records max_parallel_requests"
            " global_max_parallel_requests background_health_checks health_check_interval allowed_routes custom_auth"
            " key_management_system key_management_settings use_azure_key_vault always_include_stream_usage"
            " cancel_on_disconnect alerting alerting_threshold alert_types fail_closed_rate_limit_enforcement"
            " infer_model_from_keys store_prompts_in_spend_logs disable_spend_logs disable_master_key_return"
            " enable_jwt_auth litellm_jwtauth enforce_user_param completion_model pass_through_endpoints"
            " public_routes admin_only_routes proxy_budget_rescheduler_min_time proxy_budget_rescheduler_max_time"
            " ui_access_mode default_team_disabled maximum_spend_logs_retention_period control_plane_url"
            " forward_client_headers_to_llm_api forward_openai_org_id service_account_settings"
        ),
        **_all(
            "database_url database_type database_args database_connection_pool_limit database_connection_timeout"
            " store_model_in_db allow_requests_on_db_unavailable use_redis_transaction_buffer proxy_batch_write_at"
            " disable_prisma_schema_update",
            TABLES,
        ),
    },
    "credential_list": _all("credential_info"),
}


def known_keys(model: type[BaseModel]) -> frozenset[str]:
    """Every spelling of every key that `model` reads."""
    return frozenset(field.alias or name for name, field in model.model_fields.items())


def complaint(section: str, key: str, known: Collection[str]) -> str | None:
    """The warning for `key`, None when it is read. An unknown one gets the nearest known name as a suggestion."""
    if key in known or (section in COSTS and cost_key(key) is not None):
        return None
    table = UNSUPPORTED[section]
    if key in table:
        return f"{table[key]}."
    for pattern, reason in table.items():
        if "*" in pattern and fnmatchcase(key, pattern):
            return f"{reason}."
    near = difflib.get_close_matches(key, [*known, *(name for name in table if "*" not in name)], n=1, cutoff=0.75)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"is not a known key and has no effect.{hint}"
