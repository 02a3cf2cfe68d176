"""shared/config/costs.py and pricing.py: what an entry says of its price."""

from __future__ import annotations

import pytest

from shared.config import parse
from shared.config.pricing import BASES, SKUS, Override, Pricing, cost_key
from shared.errors import ConfigError

MORE = ("", "_above_128k_tokens", "_above_272k_tokens", "_batches", "_priority", "_flex", "_above_200k_tokens_batches")


def text(params: str = "", info: str = "") -> str:
    lines = "".join(f"      {line}\n" for line in params.split("; ") if line)
    return (
        "model_list:\n  - model_name: m\n    litellm_params:\n      model: azure/d\n"
        f"      api_base: https://r.openai.azure.com\n      api_key: k\n{lines}"
        + (f"    model_info: {{{info}}}\n" if info else "")
    )


def pricing(params: str = "", info: str = "") -> Pricing:
    return parse(text(params, info), {}).entries[0].pricing


def problem(params: str = "", info: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text(params, info), {})
    [one] = caught.value.problems
    return one


@pytest.mark.parametrize("suffix", MORE)
@pytest.mark.parametrize("base", [base for base, about in BASES.items() if about.tiers])
def test_every_price_of_tokens_may_have_a_long_context_and_a_tier(base: str, suffix: str) -> None:
    [found] = pricing(f"{base}{suffix}: 0.000002").overrides
    assert (found.unit, found.long, found.pico) == (BASES[base].unit, "_above_" in suffix, 2 * 10**6)


@pytest.mark.parametrize("base", [base for base, about in BASES.items() if not about.tiers])
def test_no_other_price_has_either(base: str) -> None:
    assert cost_key(base) is not None
    assert [more for more in MORE[1:] if cost_key(f"{base}{more}") is not None] == []


@pytest.mark.parametrize("base", BASES)
def test_every_price_is_read_from_both_places_without_a_warning(base: str) -> None:
    found = parse(text(f"{base}: 0.5", f"{base}: 0.25"), {})
    assert (len(found.entries[0].pricing.overrides), found.warnings) == (1, ())


def test_litellm_params_win_over_model_info() -> None:
    both = pricing("input_cost_per_token: 0.000001", "input_cost_per_token: 5, output_cost_per_token: 0.000003")
    assert both.overrides == (
        Override("input", "standard", False, 10**6),
        Override("output", "standard", False, 3 * 10**6),
    )


@pytest.mark.parametrize("written", ["1e-6", "1.0e-06", "0.000001", "'0.000001'", "' 1E-6 '"])
def test_a_price_may_be_a_number_or_text_that_is_one(written: str) -> None:
    assert pricing(f"input_cost_per_token: {written}").overrides[0].pico == 10**6


def test_a_price_may_come_from_the_environment() -> None:
    found = parse(text("input_cost_per_token: os.environ/COST"), {"COST": "0.000004"})
    assert found.entries[0].pricing.overrides[0].pico == 4 * 10**6


def test_a_price_may_be_nothing() -> None:
    assert pricing("input_cost_per_token: 0").overrides == (Override("input", "standard", False, 0),)


def test_a_key_without_a_value_is_not_written() -> None:
    assert pricing("input_cost_per_token:").overrides == ()


@pytest.mark.parametrize("written", ["-0.1", "true", "cheap", ".nan", ".inf", "[1]", "2000000", "''", "{a: 1}"])
def test_anything_else_is_named_with_its_path(written: str) -> None:
    said = problem(f"input_cost_per_token: {written}")
    assert said.startswith("model_list[0].litellm_params.input_cost_per_token: found ")
    assert said.endswith("expected USD as a number from 0 to 1,000,000.")


def test_a_wrong_price_is_shown_although_its_key_speaks_of_tokens() -> None:
    assert "found 'cheap'" in problem("output_cost_per_token: cheap")


def test_a_price_from_the_environment_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text("input_cost_per_token: os.environ/COST"), {"COST": "secret"})
    assert "secret" not in str(caught.value)


def test_of_seconds_and_images_the_price_of_output_wins_as_in_litellm() -> None:
    found = pricing(
        "input_cost_per_second: 1; output_cost_per_second: 2; output_cost_per_image: 4; input_cost_per_image: 3"
    )
    assert {one.unit: one.pico for one in found.overrides} == {"second": 2 * 10**12, "image": 4 * 10**12}


def test_pixels_of_input_and_output_are_added() -> None:
    [found] = pricing("input_cost_per_pixel: 0.00000002; output_cost_per_pixel: 0.00000001").overrides
    assert (found.unit, found.pico) == ("pixel", 30_000)


def test_a_search_may_be_priced_by_the_size_of_its_context() -> None:
    sizes = "{search_context_size_low: 0.01, search_context_size_medium: 0.02, search_context_size_high: 0.03}"
    [found] = pricing(f"search_context_cost_per_query: {sizes}").overrides
    assert (found.unit, found.pico) == ("web_search", 2 * 10**10)


def test_file_searches_are_priced_by_the_thousand() -> None:
    [found] = pricing("file_search_cost_per_1k_calls: 2.5").overrides
    assert (found.unit, found.pico) == ("file_search", 25 * 10**8)


def test_the_long_context_is_remembered() -> None:
    assert pricing("input_cost_per_token_above_200k_tokens: 0.1").above == 200_000


def test_two_long_contexts_are_a_contradiction() -> None:
    said = problem("input_cost_per_token_above_200k_tokens: 0.1; output_cost_per_token_above_128k_tokens: 0.1")
    assert "names another long context" in said


@pytest.mark.parametrize(
    "key", ["input_cost_per_token_above_0k_tokens", "input_cost_per_query", "cache_creation_input_token_cost_above_1hr"]
)
def test_a_price_that_is_not_read_is_named_in_a_warning(key: str) -> None:
    [warning] = parse(text(f"{key}: 0.1"), {}).warnings
    assert warning == f"model_list[0].litellm_params.{key}: is not a price that Spillway reads and has no effect."


@pytest.mark.parametrize(("written", "kind"), SKUS.items())
def test_azures_own_names_of_deployment_types_are_understood(written: str, kind: str) -> None:
    assert pricing(info=f"deployment_type: {written}").deployment_type == kind


def test_another_type_is_a_problem() -> None:
    said = problem(info="deployment_type: Globl")
    assert said.startswith("model_list[0].model_info.deployment_type: found 'Globl', expected one of 'global', ")


def test_the_hour_of_provisioned_units_is_known_when_both_are_written() -> None:
    assert pricing(info="ptu_count: 2.5, cost_per_ptu_per_hour: 1.1").ptu_hour == 2_750_000_000_000
    assert pricing(info="ptu_count: 2.5").ptu_hour is None


@pytest.mark.parametrize(
    ("info", "provisioned"),
    [
        ("ptu_count: 1", True),
        ("provisioned: true", True),
        ("deployment_type: ptu", True),
        ("deployment_type: global", False),
        ("ptu_count: 1, provisioned: false", False),
    ],
)
def test_an_entry_is_provisioned_when_it_says_so_in_any_way(info: str, provisioned: bool) -> None:
    assert parse(text(info=info), {}).entries[0].provisioned is provisioned


def test_a_region_may_be_written_in_either_place() -> None:
    written = [parse(text("region_name: swedencentral"), {}), parse(text(info="region: swedencentral"), {})]
    assert [one.entries[0].region for one in written] == ["swedencentral"] * 2


@pytest.mark.parametrize(
    "written",
    [
        "2026-07-01",
        "'2026-07-01'",
        "2026-07-01T00:00:00Z",
        "2026-07-01 00:00:00",
        "'2026-07-01T02:00:00+02:00'",
    ],
)
def test_hosting_begins_on_a_day_or_at_a_moment(written: str) -> None:
    assert parse(text(info=f"hosting_since: {written}"), {}).entries[0].hosting_since == 1_782_864_000.0


@pytest.mark.parametrize("written", ["july", "20", "true", "2026-13-01", "[]"])
def test_another_word_for_when_hosting_began_is_a_problem(written: str) -> None:
    assert problem(info=f"hosting_since: {written}").startswith("model_list[0].model_info.hosting_since: found ")
