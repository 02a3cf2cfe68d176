"""shared/spend/pricing.py: worked examples, and what holds for every usage and every price."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.catalog.price import UNPRICED, Price
from shared.catalog.prices import models
from shared.spend.pricing import Charge, charge, usd
from shared.usage.usage import Usage
from tests.catalog.pricing import price


def cost(base_model: str, usage: Usage, *, batch: bool = False) -> Charge:
    return charge(usage, price(base_model), batch=batch)


def dollars(base_model: str, usage: Usage, *, batch: bool = False) -> str:
    found = cost(base_model, usage, batch=batch).cost
    assert found is not None
    return usd(found)


# What LiteLLM 1.109.1 was seen to charge, and sums made by hand of the price lists.
EXAMPLES = [
    ("gpt-4o-2024-08-06", Usage(1000, 100, cached=400, audio_prompt=100), "0.003"),
    ("azure/eu/gpt-4o-2024-08-06", Usage(1000, 100, cached=400, audio_prompt=100), "0.0033"),
    ("dall-e-3", Usage(0, 0, images=2, image_size="1024x1792", image_quality="hd"), "0.264"),
    ("gpt-4o", Usage(1_000_000, 0), "2.5"),
    ("gpt-5", Usage(1000, 1000, reasoning=900), "0.01125"),
    ("gpt-audio", Usage(1000, 500, audio_prompt=800, audio_completion=400), "0.0655"),
    ("gpt-5.6", Usage(1000, 0, cached=300, cache_write=500), "0.00342"),
    ("gpt-image-1", Usage(150, 4160, images=1, image_prompt=100, image_completion=4160), "0.16765"),
    ("dall-e-3", Usage(0, 0, images=1), "0.044"),
    ("dall-e-2", Usage(0, 0, images=3, image_size="256x256"), "0.048"),
    ("tts", Usage(0, 0, characters=1000, spoken_tokens=250), "0.015"),
    ("gpt-4o-mini-tts", Usage(250, 1000, audio_completion=1000), "0.01215"),
    ("whisper", Usage(0, 0, seconds=60), "0.006"),
    ("gpt-4o-transcribe", Usage(600, 100, audio_prompt=600), "0.0046"),
    ("text-embedding-3-small", Usage(1_000_000, 0), "0.022"),
    ("o3", Usage(1000, 100, web_searches=2, file_searches=3, containers=1), "0.0713"),
    ("gpt-35-turbo-instruct", Usage(1_000_000, 1_000_000), "3.85"),
]


@pytest.mark.parametrize(("model", "usage", "expected"), EXAMPLES)
def test_worked_examples(model: str, usage: Usage, expected: str) -> None:
    found = cost(model, usage)
    assert (found.cost is not None and usd(found.cost), found.estimated) == (expected, False)


def test_the_parts_say_what_was_paid_for() -> None:
    found = cost("gpt-4o-2024-08-06", Usage(1000, 100, cached=400, audio_prompt=100))
    assert {name: usd(pico) for name, pico in found.parts.items()} == {
        "input": "0.00125",
        "cached": "0.0005",
        "audio_input": "0.00025",
        "output": "0.001",
    }


def test_it_says_which_price_was_used() -> None:
    found = cost("gpt-4.1", Usage(1, 1))
    assert (found.price_source, found.model, found.tier, found.long) == ("base_model", "gpt-4.1", "standard", False)


@pytest.mark.parametrize(
    ("tier", "batch", "expected"),
    [
        (None, False, "0.0105"),
        ("default", False, "0.0105"),
        ("auto", False, "0.0105"),
        ("scale", False, "0.0105"),
        ("priority", False, "0.021"),
        ("fast", False, "0.021"),
        ("flex", False, "0.00525"),
        ("priority", True, "0.00525"),
    ],
)
def test_the_tier_of_the_reply_decides(tier: str | None, batch: bool, expected: str) -> None:
    assert dollars("gpt-5.4-mini", Usage(2000, 2000, tier=tier), batch=batch) == expected


def test_a_batch_costs_half() -> None:
    assert dollars("gpt-4.1", Usage(1000, 1000), batch=True) == "0.005"
    assert dollars("gpt-4o-2024-05-13", Usage(1000, 1000), batch=True) == "0.01"


def test_a_deployment_of_batches_charges_every_call_so() -> None:
    found = charge(Usage(1000, 1000), price("gpt-4.1", info="deployment_type: GlobalBatch"))
    assert (found.cost, found.tier) == (5 * 10**9, "batch")


def test_a_long_prompt_puts_the_whole_request_at_the_long_price() -> None:
    assert dollars("gpt-5.4", Usage(272_000, 1000)) == "0.695"
    assert dollars("gpt-5.4", Usage(272_001, 1000)) == "1.382505"


def test_long_contexts_have_tiers_of_their_own() -> None:
    found = cost("gpt-5.4", Usage(300_000, 1000, tier="priority"))
    assert (found.cost and usd(found.cost), found.long, found.tier) == ("3.045", True, "priority")


def test_audio_is_billed_by_begun_seconds() -> None:
    assert dollars("whisper", Usage(0, 0, seconds=1.001)) == "0.0002"
    assert dollars("whisper", Usage(0, 0, seconds=0.2)) == "0.0001"


def test_tokens_that_are_told_twice_are_billed_once() -> None:
    found = cost("gpt-audio", Usage(100, 0, cached=100, audio_prompt=60))
    assert found.parts == {"cached": 40 * 2_500_000, "audio_input": 60 * 40_000_000}


def test_cached_audio_is_neither_audio_nor_cached_text() -> None:
    found = cost("gpt-4o", Usage(100, 0, cached=50, cached_audio=30, audio_prompt=60))
    assert {name: pico // 2_500_000 for name, pico in found.parts.items() if name != "cached"} == {
        "input": 20,
        "audio_input": 30,
        "audio_cached": 30,
    }
    assert found.parts["cached"] == 20 * 1_250_000


def test_no_price_is_no_cost_and_not_nothing() -> None:
    found = charge(Usage(10, 10), UNPRICED)
    assert (found.cost, found.unpriced, found.price_source, found.parts) == (None, True, "none", {})


def test_what_used_nothing_costs_nothing_at_any_price() -> None:
    assert charge(Usage(0, 0), UNPRICED).cost == 0


def test_a_part_without_a_price_leaves_the_whole_unknown_and_tells_the_rest() -> None:
    found = charge(Usage(10, 10), price(params="input_cost_per_token: 0.000001"))
    assert (found.cost, found.parts) == (None, {"input": 10**7})


def test_a_price_of_nothing_is_a_price() -> None:
    found = charge(Usage(10, 10), price(params="input_cost_per_token: 0; output_cost_per_token: 0"))
    assert (found.cost, found.unpriced) == (0, False)


def test_provisioned_throughput_costs_nothing_more_and_says_so() -> None:
    found = charge(Usage(10, 10), price("gpt-4o", info="ptu_count: 10"))
    assert (found.cost, found.ptu, found.unpriced) == (0, True, False)


def test_an_override_wins() -> None:
    found = charge(Usage(1000, 1000), price("gpt-4o", params="input_cost_per_token: 0.000001"))
    assert (found.cost, found.price_source) == (1000 * 10**6 + 1000 * 10**7, "base_model+config")


@pytest.mark.parametrize(
    ("key", "usage", "expected"),
    [
        ("output_cost_per_image: 0.5", Usage(0, 0, images=2, image_size="1x1"), "1"),
        ("input_cost_per_pixel: 0.00000001", Usage(0, 0, images=2, image_size="100x50"), "0.0001"),
        ("input_cost_per_second: 0.01", Usage(0, 0, seconds=2.5), "0.03"),
        ("input_cost_per_character: 0.01", Usage(0, 0, characters=7), "0.07"),
        ("output_cost_per_reasoning_token: 1; output_cost_per_token: 2", Usage(0, 5, reasoning=2), "8"),
        ("search_context_cost_per_query: 0.5", Usage(0, 0, web_searches=2), "1"),
        ("code_interpreter_cost_per_session: 0.5", Usage(0, 0, containers=3), "1.5"),
        ("file_search_cost_per_1k_calls: 1000", Usage(0, 0, file_searches=3), "3"),
    ],
)
def test_every_kind_of_override_is_charged(key: str, usage: Usage, expected: str) -> None:
    found = charge(usage, price(params=key)).cost
    assert found is not None
    assert usd(found) == expected


def test_an_estimate_says_so() -> None:
    assert cost("gpt-4o", Usage(10, 10, source="estimated")).estimated
    assert not cost("gpt-4o", Usage(10, 10)).estimated


def test_characters_are_never_an_estimate() -> None:
    assert not cost("tts", Usage(0, 0, characters=10, source="estimated")).estimated


def test_a_voice_by_tokens_that_told_none_is_estimated_from_its_text() -> None:
    found = cost("gpt-4o-mini-tts", Usage(0, 0, characters=300, spoken_tokens=75))
    assert found.estimated
    assert found.parts == {"input": 75 * 600_000, "audio_output": 400 * 12_000_000}  # 20 seconds


def test_a_recording_heard_by_tokens_that_told_none_is_estimated_from_its_length() -> None:
    found = cost("gpt-4o-transcribe", Usage(0, 20, seconds=60.0, source="estimated"))
    assert found.estimated
    assert found.parts == {"audio_input": 600 * 6_000_000, "output": 20 * 10_000_000}


def test_an_image_that_told_no_tokens_is_priced_by_the_list() -> None:
    usage = Usage(100, 0, images=1, image_size="1024x1536", image_quality="medium", source="estimated")
    found = cost("gpt-image-1", usage)
    assert found.parts == {"images": 63 * 10**9, "input": 100 * 5_000_000}


def test_an_image_without_a_list_is_estimated_by_its_pixels() -> None:
    usage = Usage(0, 0, images=2, image_size="1024x1536", image_quality="low", source="estimated")
    found = cost("gpt-image-2", usage)
    assert (found.parts, found.estimated) == ({"image_output": 2 * 408 * 30_000_000}, True)


@pytest.mark.parametrize(
    ("size", "quality", "expected"),
    [
        ("", "", "0.167"),
        ("1024x1024", "low", "0.011"),
        ("2048x2048", "low", "0.016"),
        ("odd", "medium", "0.042"),
        ("1024x1024", "strange", "0.25"),
    ],
)
def test_an_image_that_is_not_in_the_list_is_never_taken_for_a_cheaper_one(
    size: str, quality: str, expected: str
) -> None:
    assert dollars("gpt-image-1", Usage(0, 0, images=1, image_size=size, image_quality=quality)) == expected


@pytest.mark.parametrize(
    ("size", "quality", "exact"), [("", "", True), ("1792x1024", "hd", True), ("1x1", "hd", False)]
)
def test_an_image_that_is_not_in_the_list_is_an_estimate(size: str, quality: str, exact: bool) -> None:
    assert cost("dall-e-3", Usage(0, 0, images=1, image_size=size, image_quality=quality)).estimated is not exact


@pytest.mark.parametrize(
    ("pico", "text"), [(0, "0"), (1, "0.000000000001"), (2_500_000, "0.0000025"), (10**12, "1"), (10**17, "100000")]
)
def test_dollars_are_written_exactly(pico: int, text: str) -> None:
    assert usd(pico) == text


PRICES = [price(f"azure/{place}{model}") for model in models() for place in ("", "eu/")]
COUNTED = [
    *("prompt", "completion", "cached", "reasoning", "images", "characters", "cache_write", "audio_prompt"),
    *("audio_completion", "cached_audio", "image_prompt", "image_completion", "cached_image", "spoken_tokens"),
    *("web_searches", "file_searches", "containers"),
]
tokens = st.integers(0, 400_000)
few = st.integers(0, 20)
usages = st.builds(
    Usage,
    prompt=tokens,
    completion=tokens,
    cached=tokens,
    reasoning=tokens,
    images=few,
    seconds=st.floats(0, 10_000),
    characters=few,
    source=st.sampled_from(["upstream", "estimated"]),
    cache_write=tokens,
    audio_prompt=tokens,
    audio_completion=tokens,
    cached_audio=tokens,
    image_prompt=tokens,
    image_completion=tokens,
    cached_image=tokens,
    image_size=st.sampled_from(["", "1024x1024", "1792x1024", "x", "9x"]),
    image_quality=st.sampled_from(["", "hd", "standard", "low", "medium", "high", "?"]),
    spoken_tokens=few,
    web_searches=few,
    file_searches=few,
    containers=few,
    tier=st.sampled_from([None, "default", "priority", "flex", "?"]),
)


@st.composite
def consistent(draw: st.DrawFn) -> Usage:
    """Usage whose parts fit in their wholes, as a text model tells it."""
    cached, written, fresh = draw(tokens), draw(tokens), draw(tokens)
    reasoning, rest = draw(tokens), draw(tokens)
    return Usage(cached + written + fresh, reasoning + rest, cached=cached, cache_write=written, reasoning=reasoning)


def test_the_usages_of_these_tests_have_every_field() -> None:
    assert {*COUNTED, "seconds", "source", "tier", "image_size", "image_quality"} == {
        field.name for field in dataclasses.fields(Usage) if field.compare
    }


@given(usage=usages, found=st.sampled_from(PRICES), batch=st.booleans())
def test_no_cost_is_negative_and_the_parts_are_its_sum(usage: Usage, found: Price, batch: bool) -> None:
    made = charge(usage, found, batch=batch)
    assert all(type(pico) is int and pico >= 0 for pico in made.parts.values())
    assert made.cost is None or made.cost == sum(made.parts.values())


@given(usage=consistent(), found=st.sampled_from(PRICES), more=st.integers(1, 1000))
def test_more_tokens_never_cost_less(usage: Usage, found: Price, more: int) -> None:
    before = charge(usage, found).cost
    for name in ("prompt", "completion"):
        after = charge(replace(usage, **{name: getattr(usage, name) + more}), found).cost
        assert before is None or after is None or after >= before


@given(
    usage=usages, found=st.sampled_from(PRICES), name=st.sampled_from(["web_searches", "file_searches", "containers"])
)
def test_more_tools_cost_more(usage: Usage, found: Price, name: str) -> None:
    before = charge(usage, found).cost
    after = charge(replace(usage, **{name: getattr(usage, name) + 1}), found).cost
    assert (before is None and after is None) or (before is not None and after is not None and after > before)


@given(usage=consistent(), found=st.sampled_from(PRICES))
def test_a_batch_never_costs_more(usage: Usage, found: Price) -> None:
    standard, batch = charge(usage, found).cost, charge(usage, found, batch=True).cost
    assert standard is None or batch is None or batch <= standard


@given(usage=consistent(), found=st.sampled_from([one for one in PRICES if one.short["standard"].output]))
def test_every_token_is_billed_once_at_a_price_between_the_least_and_the_most(usage: Usage, found: Price) -> None:
    made = charge(usage, found)
    rates = found.rates("standard", usage.prompt)
    ins = [rate for rate in (rates.input, rates.cached, rates.cache_write) if rate is not None]
    outs = [rate for rate in (rates.output, rates.reasoning) if rate is not None]
    assert made.cost is not None
    assert usage.prompt * min(ins) + usage.completion * min(outs) <= made.cost
    assert made.cost <= usage.prompt * max(ins) + usage.completion * max(outs)


@given(st.lists(st.integers(0, 10**15), max_size=50))
def test_sums_of_dollars_and_of_picodollars_agree(costs: list[int]) -> None:
    assert Decimal(usd(sum(costs))) == sum((Decimal(usd(one)) for one in costs), Decimal(0))
