"""shared/config/support.py: no key is ignored in silence, and the table says the truth."""

from collections.abc import Collection

import pytest

from shared.config import parse, support
from shared.config.load import SECTIONS
from shared.config.params import CredentialItem, LitellmParams, ModelInfo, ModelListItem
from shared.config.policies import AllowedFailsPolicy, RetryPolicy, StrategyArgs
from shared.config.settings import GeneralSettings, LitellmSettings, RouterSettings

ENTRY = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o
      api_base: https://r.openai.azure.com
      api_key: k
"""
READ: dict[str, Collection[str]] = {
    "": SECTIONS,
    "model_list": support.known_keys(ModelListItem),
    "litellm_params": support.known_keys(LitellmParams),
    "model_info": support.known_keys(ModelInfo),
    "router_settings": support.known_keys(RouterSettings),
    "routing_strategy_args": support.known_keys(StrategyArgs),
    "retry_policy": support.known_keys(RetryPolicy),
    "allowed_fails_policy": support.known_keys(AllowedFailsPolicy),
    "litellm_settings": support.known_keys(LitellmSettings),
    "general_settings": support.known_keys(GeneralSettings),
    "credential_list": support.known_keys(CredentialItem),
}
# LiteLLM's schema of November 2026, as its documentation has it.
SCHEMA = {
    "": "model_list router_settings litellm_settings general_settings environment_variables credential_list"
    " files_settings finetune_settings",
    "model_list": "model_name litellm_params model_info tpm rpm",
    "litellm_params": "model api_base base_url api_key api_version base_model azure_ad_token tenant_id client_id"
    " client_secret azure_username azure_password azure_scope responses_api_version litellm_credential_name rpm tpm"
    " itpm otpm rpd tpd daily_reset_time weight order max_parallel_requests timeout stream_timeout max_retries"
    " drop_params additional_drop_params tags tag_regex region_name max_budget"
    " budget_duration cooldown_time"
    " input_cost_per_token output_cost_per_token default_api_key_tpm_limit default_api_key_rpm_limit"
    " configurable_clientside_auth_params"
    " keepalive_seconds max_file_size_mb extra_headers mock_response timeout_by_service_tier allowed_openai_params",
    "model_info": "id base_model mode access_groups team_id tier supports_vision supports_native_streaming"
    " allowed_fails allowed_fails_policy cooldown_time reasoning_effort_levels health_check_timeout"
    " access_windows ptu_count"
    " cost_per_ptu_per_hour ptu_shares input_cost_per_token cache_read_input_token_cost",
    "router_settings": "routing_strategy routing_strategy_args routing_groups num_retries retry_after timeout"
    " stream_timeout allowed_fails allowed_fails_policy cooldown_time disable_cooldowns retry_policy"
    " model_group_retry_policy fallbacks context_window_fallbacks content_policy_fallbacks default_fallbacks"
    " max_fallbacks model_group_alias enable_pre_call_checks optional_pre_call_checks enable_tag_filtering"
    " tag_filtering_match_any default_max_parallel_requests redis_host redis_port redis_password redis_url"
    " provider_budget_config enable_weighted_failover enable_mid_stream_fallback_continuation"
    " enable_health_check_routing",
    "routing_strategy_args": "lowest_latency_buffer ttl max_latency_list_size ttft_percentile",
    "retry_policy": "BadRequestErrorRetries AuthenticationErrorRetries TimeoutErrorRetries RateLimitErrorRetries"
    " ContentPolicyViolationErrorRetries InternalServerErrorRetries ServiceUnavailableErrorRetries"
    " NotFoundErrorRetries DefaultRetries",
    "allowed_fails_policy": "BadRequestErrorAllowedFails AuthenticationErrorAllowedFails TimeoutErrorAllowedFails"
    " RateLimitErrorAllowedFails ContentPolicyViolationErrorAllowedFails InternalServerErrorAllowedFails"
    " BadGatewayErrorAllowedFails ServiceUnavailableErrorAllowedFails NotFoundErrorAllowedFails",
    "litellm_settings": "drop_params num_retries request_timeout callbacks success_callback failure_callback cache"
    " cache_params enable_azure_ad_token_refresh enable_loadbalancing_on_batch_endpoints turn_off_message_logging"
    " max_budget budget_duration default_fallbacks",
    "general_settings": "master_key database_url store_model_in_db max_request_size_mb max_response_size_mb"
    " max_file_size_mb max_batch_file_size_mb max_batch_file_records max_parallel_requests"
    " global_max_parallel_requests background_health_checks health_check_interval allowed_routes custom_auth"
    " key_management_system use_azure_key_vault always_include_stream_usage cancel_on_disconnect alerting"
    " fail_closed_rate_limit_enforcement infer_model_from_keys",
    "credential_list": "credential_name credential_values credential_info",
}


@pytest.mark.parametrize("section", support.UNSUPPORTED)
def test_no_key_is_both_read_and_listed_as_unsupported(section: str) -> None:
    assert not set(support.UNSUPPORTED[section]) & set(READ[section])


@pytest.mark.parametrize("section", SCHEMA)
def test_every_key_of_the_schema_is_known(section: str) -> None:
    complaints = {key: support.complaint(section, key, READ[section]) for key in SCHEMA[section].split()}
    assert not [key for key, text in complaints.items() if text is not None and "not a known key" in text]


def test_a_known_key_without_effect_is_named_with_its_path() -> None:
    config = parse(ENTRY + "      max_retries: 1\nrouter_settings: {redis_host: r}\n", {})
    assert config.warnings == (
        "router_settings.redis_host: has no effect; Spillway shares its state through the storage account, "
        "without Redis or SQL.",
        "model_list[0].litellm_params.max_retries: is not supported yet and has no effect.",
    )


def test_a_misspelt_key_gets_a_suggestion() -> None:
    config = parse(ENTRY.replace("api_key", "api_kye"), {"AZURE_API_KEY": "k"})
    assert config.warnings == (
        "model_list[0].litellm_params.api_kye: is not a known key and has no effect. Did you mean api_key?",
    )


@pytest.mark.parametrize(
    ("addition", "path"),
    [
        ("zzz: 1\n", "zzz"),
        ("    zzz: 1\n", "model_list[0].zzz"),
        ("    model_info: {zzz: 1}\n", "model_list[0].model_info.zzz"),
        ("router_settings: {zzz: 1}\n", "router_settings.zzz"),
        ("litellm_settings: {zzz: 1}\n", "litellm_settings.zzz"),
        ("general_settings: {zzz: 1}\n", "general_settings.zzz"),
        (
            "router_settings: {model_group_alias: {a: {model: gpt-4o, zzz: 1}}}\n",
            "router_settings.model_group_alias.a.zzz",
        ),
        (
            "credential_list: [{credential_name: a, credential_values: {zzz: 1}}]\n",
            "credential_list[0].credential_values.zzz",
        ),
        ("environment_variables: {ZZZ: 1}\n", "environment_variables.ZZZ"),
    ],
)  # fmt: skip
def test_an_unknown_key_anywhere_is_named_once(addition: str, path: str) -> None:
    (warning,) = parse(ENTRY + addition, {}).warnings
    assert warning.startswith(f"{path}: ")


def test_an_unknown_key_without_a_near_one_gets_no_suggestion() -> None:
    (warning,) = parse(ENTRY + "zzz: 1\n", {}).warnings
    assert "Did you mean" not in warning
