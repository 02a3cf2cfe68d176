"""The keys of routing: what is read of entries and settings, who takes over for whom, and every wrong value's words."""

from collections.abc import Callable

import pytest

from shared.config import Config, Entry, parse
from shared.errors import ConfigError

ITEM = """
  - model_name: {name}
    litellm_params:
      model: azure/{name}
      api_base: https://r.openai.azure.com
      api_key: k
"""
MODELS = "model_list:" + "".join(ITEM.format(name=name) for name in ("large", "small", "other"))
CLAUDE = "  - model_name: claude\n    litellm_params: {model: anthropic/claude}\n"
WILD = """
  - model_name: azure/*
    litellm_params: {model: azure/*, api_base: https://r.openai.azure.com, api_key: k}
"""
CHAINS: dict[str, Callable[[Config, str], tuple[str, ...]]] = {
    "fallbacks": Config.fallbacks_for,
    "context_window_fallbacks": Config.context_window_fallbacks_for,
    "content_policy_fallbacks": Config.content_policy_fallbacks_for,
}


def config(settings: str = "", models: str = MODELS, section: str = "router_settings") -> Config:
    return parse(f"{models}{section}: {{{settings}}}\n", {})


def entry(params: str = "", info: str = "", settings: str = "") -> Entry:
    return entry_config(params, info, settings).entries[0]


def entry_config(params: str = "", info: str = "", settings: str = "") -> Config:
    text = f"model_list:{ITEM.format(name='large')}"
    text += f"      {params}\n" if params else ""
    text += f"    model_info: {{{info}}}\n" if info else ""
    return config(settings, text)


def problems(settings: str, models: str = MODELS, section: str = "router_settings") -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        config(settings, models, section)
    return caught.value.problems


def test_an_entry_that_says_nothing_has_no_limits_of_its_own() -> None:
    one = entry()
    assert (one.tags, one.region, one.max_parallel_requests, one.cooldown_s) == ((), None, None, None)
    assert (one.allowed_fails, one.max_input_tokens, one.provisioned) == (None, None, False)


def test_an_entry_has_its_tags_in_order() -> None:
    found = entry_config("tags: [paid, eu]", settings="enable_tag_filtering: true")
    assert (found.entries[0].tags, found.warnings) == (("paid", "eu"), ())


def test_tags_that_nothing_compares_are_named() -> None:
    assert entry_config("tags: [paid]").warnings == (
        "model_list[0].litellm_params.tags: has no effect; router_settings.enable_tag_filtering is not true.",
    )


@pytest.mark.parametrize(("params", "info"), [("region_name: swedencentral", ""), ("", "region: swedencentral")])
def test_the_region_is_read_from_both_places(params: str, info: str) -> None:
    assert entry(params, info).region == "swedencentral"


@pytest.mark.parametrize(("params", "info"), [("cooldown_time: 0.5", ""), ("", "cooldown_time: 0.5")])
def test_the_cooldown_of_an_entry_is_read_from_both_places(params: str, info: str) -> None:
    assert entry(params, info).cooldown_s == 0.5


@pytest.mark.parametrize(("params", "info"), [("allowed_fails: 0", ""), ("", "allowed_fails: 0")])
def test_the_allowed_fails_of_an_entry_are_read_from_both_places(params: str, info: str) -> None:
    assert entry(params, info).allowed_fails == 0


def test_of_two_cooldowns_that_of_model_info_counts_with_a_warning() -> None:
    found = entry_config("cooldown_time: 1", "cooldown_time: 2")
    assert found.entries[0].cooldown_s == 2
    assert found.warnings == (
        "model_list[0].litellm_params.cooldown_time: has no effect; model_list[0].model_info.cooldown_time is used.",
    )


def test_the_calls_at_once_are_the_entrys_own_before_the_default() -> None:
    settings = "default_max_parallel_requests: 7"
    assert entry("max_parallel_requests: 3", settings=settings).max_parallel_requests == 3
    assert entry(settings=settings).max_parallel_requests == 7


def test_the_longest_prompt_is_read_from_model_info() -> None:
    assert entry(info="max_input_tokens: 128000").max_input_tokens == 128_000


@pytest.mark.parametrize(
    ("info", "provisioned"),
    [
        ("provisioned: true", True),
        ("ptu_count: 50", True),
        ("ptu_count: 50, provisioned: false", False),
    ],
)
def test_an_entry_with_throughput_units_is_provisioned(info: str, provisioned: bool) -> None:
    assert entry(info=info).provisioned is provisioned


def test_the_defaults_are_those_of_the_page() -> None:
    router = config().router_settings
    assert router.model_dump(exclude={"model_group_alias"}) == {
        "routing_strategy": "usage-based-routing-v2",
        "routing_strategy_args": {},
        "num_retries": None,
        "retry_policy": {},
        "model_group_retry_policy": {},
        "retry_budget_ratio": 0.2,
        "retry_budget_min": 10,
        "spill_on_5xx": True,
        "max_wait_ms": 0,
        "timeout": None,
        "stream_timeout": None,
        "default_max_parallel_requests": None,
        "allowed_fails": None,
        "allowed_fails_policy": {},
        "cooldown_time": 5.0,
        "disable_cooldowns": False,
        "fallbacks": {},
        "context_window_fallbacks": {},
        "content_policy_fallbacks": {},
        "default_fallbacks": (),
        "max_fallbacks": 5,
        "enable_pre_call_checks": True,
        "enable_tag_filtering": False,
        "tag_filtering_match_any": True,
    }


@pytest.mark.parametrize(
    "name",
    [
        "usage-based-routing",
        "usage-based-routing-v2",
        "simple-shuffle",
        "least-busy",
        "latency-based-routing",
        "cost-based-routing",
    ],
)
def test_each_strategy_is_taken_without_a_warning(name: str) -> None:
    found = config(f"routing_strategy: {name}")
    assert (found.router_settings.routing_strategy, found.warnings) == (name, ())


def test_the_arguments_of_a_strategy_are_numbers() -> None:
    found = config("routing_strategy_args: {lowest_latency_buffer: 0.5, ttl: 60}")
    assert found.router_settings.routing_strategy_args == {"lowest_latency_buffer": 0.5, "ttl": 60.0}


def test_an_argument_that_no_strategy_has_is_named() -> None:
    assert config("routing_strategy_args: {lowest_latncy_buffer: 0.5, ttft_percentile: 50}").warnings == (
        "router_settings.routing_strategy_args.lowest_latncy_buffer: is not a known key and has no effect. "
        "Did you mean lowest_latency_buffer?",
        "router_settings.routing_strategy_args.ttft_percentile: is not supported yet and has no effect.",
    )


def test_a_retry_policy_has_only_what_is_written() -> None:
    found = config("retry_policy: {RateLimitErrorRetries: 3, DefaultRetries: 0, TimeoutErrorRetries: }")
    assert found.router_settings.retry_policy == {"RateLimitErrorRetries": 3, "DefaultRetries": 0}


def test_a_group_has_its_own_retry_policy() -> None:
    found = config("model_group_retry_policy: {large: {TimeoutErrorRetries: 1}, small: {}}")
    assert found.router_settings.model_group_retry_policy == {"large": {"TimeoutErrorRetries": 1}, "small": {}}
    assert found.warnings == ()


def test_an_allowed_fails_policy_knows_bad_gateways_too() -> None:
    policy = config("allowed_fails_policy: {BadGatewayErrorAllowedFails: 1000}").router_settings.allowed_fails_policy
    assert policy == {"BadGatewayErrorAllowedFails": 1000}


def test_a_kind_of_error_that_is_unknown_is_named() -> None:
    (warning,) = config("retry_policy: {RateLimitRetries: 3}").warnings
    assert warning == (
        "router_settings.retry_policy.RateLimitRetries: is not a known key and has no effect. "
        "Did you mean RateLimitErrorRetries?"
    )


def test_the_stream_timeout_of_all_entries_gives_way_to_what_is_closer() -> None:
    text = f"model_list:{ITEM.format(name='large')}{ITEM.format(name='small')}      stream_timeout: 7\n"
    settings = "general_settings: {idle_timeout_s: 9}\n"
    first, own = (one.timeouts for one in config("timeout: 30, stream_timeout: 20", text + settings).entries)
    assert (first.total_s, first.first_byte_s, first.idle_s) == (30, 20, 9)
    assert (own.first_byte_s, own.idle_s) == (7, 7)


@pytest.mark.parametrize("key", CHAINS)
def test_the_list_of_litellm_and_a_mapping_say_the_same(key: str) -> None:
    lists = config(f"{key}: [{{large: [small, other]}}, {{small: [other]}}]")
    mapping = config(f"{key}: {{large: [small, other], small: [other]}}")
    expected = {"large": ("small", "other"), "small": ("other",)}
    assert getattr(lists.router_settings, key) == getattr(mapping.router_settings, key) == expected
    assert CHAINS[key](lists, "large") == ("small", "other")
    assert lists.warnings == mapping.warnings == ()


@pytest.mark.parametrize("key", CHAINS)
def test_a_model_without_its_own_chain_has_that_of_the_star(key: str) -> None:
    found = config(f'{key}: [{{"*": [other]}}, {{large: [small]}}]')
    assert [CHAINS[key](found, name) for name in ("large", "small")] == [("small",), ("other",)]


def test_the_default_is_for_models_without_any_other_chain() -> None:
    found = config("fallbacks: [{large: [small]}], default_fallbacks: [other]")
    assert [found.fallbacks_for(name) for name in ("large", "small")] == [("small",), ("other",)]


def test_the_star_comes_before_the_default() -> None:
    found = config('fallbacks: [{"*": [small]}], default_fallbacks: [other]')
    assert found.fallbacks_for("large") == ("small",)


def test_the_default_is_for_neither_long_prompts_nor_refused_ones() -> None:
    found = config("default_fallbacks: [other]")
    assert found.context_window_fallbacks_for("large") == found.content_policy_fallbacks_for("large") == ()


def test_an_empty_chain_switches_the_others_off() -> None:
    found = config('fallbacks: [{large: []}, {"*": [small]}], default_fallbacks: [other]')
    assert found.fallbacks_for("large") == ()


@pytest.mark.parametrize("key", CHAINS)
def test_nothing_takes_over_for_itself_or_twice(key: str) -> None:
    found = config(f'{key}: {{"*": [large, small, small, other]}}')
    assert CHAINS[key](found, "small") == ("large", "other")


def test_an_alias_does_not_take_over_for_what_it_stands_for() -> None:
    found = config("model_group_alias: {big: large}, fallbacks: {large: [big, small], big: [large, other]}")
    assert (found.fallbacks_for("large"), found.fallbacks_for("big")) == (("small",), ("other",))


def test_an_alias_without_its_own_chain_has_that_of_its_model() -> None:
    found = config("model_group_alias: {big: large}, fallbacks: {large: [small]}")
    assert found.fallbacks_for("big") == ("small",)


def test_a_wildcard_may_take_over_and_be_taken_over_for() -> None:
    found = config("fallbacks: {azure/*: [small], small: [azure/any]}", MODELS + WILD)
    assert (found.fallbacks_for("azure/x"), found.fallbacks_for("small")) == (("small",), ("azure/any",))
    assert found.warnings == ()


def test_a_name_that_nobody_serves_has_the_default() -> None:
    assert config("default_fallbacks: [small]").fallbacks_for("gone") == ("small",)


@pytest.mark.parametrize("key", CHAINS)
def test_litellm_settings_may_say_it_too(key: str) -> None:
    found = config(f"{key}: [{{large: [small]}}]", section="litellm_settings")
    assert CHAINS[key](found, "large") == ("small",)
    assert found.warnings == ()


def test_litellm_settings_may_say_the_other_three_too() -> None:
    text = "default_fallbacks: [small], allowed_fails: 0, cooldown_time: 30"
    router = config(text, section="litellm_settings").router_settings
    assert (router.default_fallbacks, router.allowed_fails, router.cooldown_time) == (("small",), 0, 30.0)


def test_router_settings_win_over_litellm_settings_with_a_warning() -> None:
    models = MODELS + "litellm_settings: {cooldown_time: 30, default_fallbacks: [small]}\n"
    found = config("cooldown_time: 0", models)
    assert (found.router_settings.cooldown_time, found.fallbacks_for("large")) == (0, ("small",))
    assert found.warnings == ("litellm_settings.cooldown_time: has no effect; router_settings.cooldown_time is used.",)


def test_of_a_model_that_is_written_twice_the_first_counts() -> None:
    found = config("fallbacks: [{large: [small]}, {large: [other]}]")
    assert found.fallbacks_for("large") == ("small",)
    assert found.warnings == (
        "router_settings.fallbacks[1].large: has no effect; router_settings.fallbacks[0].large is used.",
    )


def test_a_chain_of_nobodys_is_named() -> None:
    assert config("fallbacks: [{huge: [small]}], model_group_retry_policy: {huge: {}}").warnings == (
        "router_settings.fallbacks[0].huge: has no effect; huge is no model_name of model_list.",
        "router_settings.model_group_retry_policy.huge: has no effect; huge is no model_name of model_list.",
    )


def test_a_model_of_another_provider_is_left_out_of_a_chain_with_a_warning() -> None:
    found = config("fallbacks: [{large: [claude, small]}]", MODELS + CLAUDE)
    assert found.fallbacks_for("large") == ("small",)
    assert found.warnings[-1] == (
        "router_settings.fallbacks[0].large[0]: has no effect; claude is left out, as its provider is not served."
    )


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ("fallbacks: [{large: [huge]}]", "fallbacks[0].large[0]"),
        ("fallbacks: {large: [small, huge]}", "fallbacks.large[1]"),
        ("context_window_fallbacks: [{large: [huge]}]", "context_window_fallbacks[0].large[0]"),
        ("content_policy_fallbacks: [{large: [huge]}]", "content_policy_fallbacks[0].large[0]"),
        ("default_fallbacks: [huge]", "default_fallbacks[0]"),
    ],
)
@pytest.mark.parametrize("section", ["router_settings", "litellm_settings"])
def test_a_model_that_takes_over_must_exist(settings: str, path: str, section: str) -> None:
    assert problems(settings, section=section) == (
        f"{section}.{path}: found 'huge', expected a model_name of model_list, or an alias of model_group_alias.",
    )


def test_a_pattern_takes_over_for_nobody() -> None:
    (problem,) = problems("default_fallbacks: [azure/*]", MODELS + WILD)
    assert problem.startswith("router_settings.default_fallbacks[0]: found 'azure/*'")


def test_all_wrong_names_are_told_at_once() -> None:
    text = "model_group_alias: {a: huge, b: huge}, default_fallbacks: [huge, a]"
    assert [problem.partition(": ")[0] for problem in problems(text)] == [
        "router_settings.model_group_alias.a",
        "router_settings.model_group_alias.b",
        "router_settings.default_fallbacks[0]",
    ]


def test_names_are_not_looked_for_while_an_entry_is_wrong() -> None:
    models = MODELS + ITEM.format(name="huge") + "      rpm: many\n"
    (problem,) = problems("fallbacks: [{large: [huge]}]", models)
    assert problem.startswith("model_list[3].litellm_params.rpm")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            "fallbacks: small",
            "fallbacks: found 'small', expected a list, or a mapping such as {gpt-4o: [gpt-4o-mini]}.",
        ),
        ("fallbacks: [small]", "fallbacks[0]: found 'small', expected a mapping such as {gpt-4o: [gpt-4o-mini]}."),
        ("fallbacks: [{large: small}]", "fallbacks[0].large: found 'small', expected a list of model names."),
        ("fallbacks: [{large: [4]}]", "fallbacks[0].large[0]: found 4, expected the name of a model."),
        ("fallbacks: [{4: [small]}]", "fallbacks[0]: found the key 4, expected a string (put it in quotes)."),
        ("fallbacks: {large: [{model: small}]}", "fallbacks.large[0]: found a mapping, expected the name of a model."),
        ("default_fallbacks: small", "default_fallbacks: found 'small', expected a list of model names."),
        (
            f"default_fallbacks: [{', '.join(['small'] * 65)}]",
            "default_fallbacks: found 65 models, expected at most 64.",
        ),
        (
            "routing_strategy: lar1",
            "routing_strategy: found 'lar1', expected one of 'usage-based-routing-v2', 'usage-based-routing', "
            "'simple-shuffle', 'least-busy', 'latency-based-routing' or 'cost-based-routing' "
            "(how one of several deployments is chosen; LiteLLM's default is simple-shuffle).",
        ),
        ("routing_strategy_args: 5", "routing_strategy_args: found 5, expected a mapping."),
        (
            "routing_strategy_args: {ttl: 0}",
            "routing_strategy_args.ttl: found 0, expected a number above 0 (seconds a measured latency is remembered).",
        ),
        (
            "routing_strategy_args: {lowest_latency_buffer: -1}",
            "routing_strategy_args.lowest_latency_buffer: found -1, expected a number of at least 0 "
            "(share of the lowest latency that counts as equal).",
        ),
        ("retry_policy: []", "retry_policy: found a list, expected a mapping."),
        (
            "retry_policy: {DefaultRetries: -1}",
            "retry_policy.DefaultRetries: found -1, expected a number of at least 0 (retries after the first attempt).",
        ),
        ("model_group_retry_policy: 5", "model_group_retry_policy: found 5, expected a mapping."),
        (
            "model_group_retry_policy: {large: 5}",
            "model_group_retry_policy.large: found 5, expected a mapping.",
        ),
        (
            "model_group_retry_policy: {large: {NotFoundErrorRetries: 101}}",
            "model_group_retry_policy.large.NotFoundErrorRetries: found 101, expected a number of at most 100 "
            "(retries after the first attempt).",
        ),
        (
            "allowed_fails: -1",
            "allowed_fails: found -1, expected a number of at least 0 (failures a minute before a cooldown).",
        ),
        (
            "allowed_fails_policy: {RateLimitErrorAllowedFails: some}",
            "allowed_fails_policy.RateLimitErrorAllowedFails: found 'some', expected a whole number "
            "(failures a minute before a cooldown).",
        ),
        (
            "cooldown_time: -1",
            "cooldown_time: found -1, expected a number of at least 0 (seconds a deployment that fails is left alone).",
        ),
        (
            "disable_cooldowns: perhaps",
            "disable_cooldowns: found 'perhaps', expected true or false (true leaves no deployment alone).",
        ),
        (
            "max_fallbacks: 101",
            "max_fallbacks: found 101, expected a number of at most 100 (other models that are tried for one call).",
        ),
        (
            "enable_pre_call_checks: 5",
            "enable_pre_call_checks: found 5, expected true or false "
            "(false sends a prompt also where it cannot fit; LiteLLM's default is false).",
        ),
        (
            "enable_tag_filtering: 5",
            "enable_tag_filtering: found 5, expected true or false "
            "(true takes only deployments with a request's tags).",
        ),
        (
            "tag_filtering_match_any: 5",
            "tag_filtering_match_any: found 5, expected true or false (false asks for all of a request's tags).",
        ),
        (
            "max_wait_ms: 60001",
            "max_wait_ms: found 60001, expected a number of at most 60000 "
            "(milliseconds a call may wait for room, 60000 at most; 0 answers 429 at once).",
        ),
        (
            "spill_on_5xx: 5",
            "spill_on_5xx: found 5, expected true or false "
            "(true lets the next deployment try what failed with a 5xx or broke off).",
        ),
        (
            "retry_budget_ratio: 1.1",
            "retry_budget_ratio: found 1.1, expected a number of at most 1 "
            "(retries per call, on average, when many fail).",
        ),
        (
            "retry_budget_min: 0.5",
            "retry_budget_min: found 0.5, expected a whole number (retries per 10 seconds that are always allowed).",
        ),
        (
            "default_max_parallel_requests: 0",
            "default_max_parallel_requests: found 0, expected a number above 0 "
            "(calls under way at once, for entries without max_parallel_requests).",
        ),
        (
            "stream_timeout: 0",
            "stream_timeout: found 0, expected a number above 0 (seconds a stream may be silent).",
        ),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_told_with_its_path(settings: str, expected: str) -> None:
    assert problems(settings) == (f"router_settings.{expected}",)


@pytest.mark.parametrize(
    ("params", "info", "expected"),
    [
        (
            "tags: paid",
            "",
            "litellm_params.tags: found 'paid', expected a list (what a request's tags are compared with).",
        ),
        (
            f"tags: [{', '.join(['paid'] * 65)}]",
            "",
            "litellm_params.tags: found a list, expected at most 64 of them",
        ),
        ("region_name: 5", "", "litellm_params.region_name: found 5, expected a string in quotes"),
        ("max_parallel_requests: 0", "", "litellm_params.max_parallel_requests: found 0, expected a number above 0"),
        ("cooldown_time: -1", "", "litellm_params.cooldown_time: found -1, expected a number of at least 0"),
        ("allowed_fails: x", "", "litellm_params.allowed_fails: found 'x', expected a whole number"),
        ("", "region: 5", "model_info.region: found 5, expected a string in quotes"),
        ("", "cooldown_time: x", "model_info.cooldown_time: found 'x', expected a number"),
        ("", "allowed_fails: -1", "model_info.allowed_fails: found -1, expected a number of at least 0"),
        ("", "max_input_tokens: x", "model_info.max_input_tokens: found 'x', expected a whole number"),
        ("", "provisioned: 5", "model_info.provisioned: found 5, expected true or false"),
        ("", "ptu_count: 0", "model_info.ptu_count: found 0, expected a number above 0"),
    ],
)
def test_a_wrong_value_of_an_entry_is_told_with_its_path(params: str, info: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        entry(params, info)
    (problem,) = caught.value.problems
    assert problem.startswith(f"model_list[0].{expected}")


def test_a_name_from_the_environment_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(MODELS + "router_settings: {fallbacks: [{large: [os.environ/NEXT]}]}\n", {"NEXT": "hunter2"})
    (problem,) = caught.value.problems
    assert problem.startswith("router_settings.fallbacks[0].large[0]: found the value of environment variable NEXT")
    assert "hunter2" not in problem


def test_a_variable_that_is_not_set_is_told_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(MODELS + "router_settings: {default_fallbacks: [os.environ/NEXT]}\n", {})
    assert caught.value.problems == (
        "router_settings.default_fallbacks[0]: environment variable NEXT is not set or empty.",
    )


@pytest.mark.parametrize("section", ["router_settings", "litellm_settings"])
def test_a_section_that_is_no_mapping_is_told(section: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"{MODELS}{section}: [5]\n", {})
    assert caught.value.problems == (f"{section}: found a list, expected a mapping.",)
