"""shared/catalog/price.py: a row of the book, completed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from shared.catalog.price import FALLBACK, TIERS, TOKEN_UNITS, UNPRICED, Price, price
from shared.catalog.prices import models
from shared.config.pricing import Override, Pricing

ROW = {"input": "2", "cached": "0.5", "output": "8"}
M = 10**6
"""Picodollars per token of one dollar per million."""


def made(row: Mapping[str, Any], *overrides: Override, above: int | None = None) -> Price:
    return price("base_model", "m", "global", row, {}, Pricing(overrides=overrides, above=above))


def test_a_dollar_per_million_tokens_is_a_million_picodollars_each() -> None:
    assert made(ROW).rates("standard", 10).output == 8 * M


def test_the_smallest_price_of_the_book_is_a_whole_number() -> None:
    assert made({"input": "0.00275"}).rates("standard", 1).input == 2750


def test_a_unit_without_a_price_is_what_it_is_a_kind_of() -> None:
    rates = made(ROW).rates("standard", 10)
    assert (rates.cache_write, rates.audio_input, rates.audio_cached, rates.image_input) == (2 * M,) * 4
    assert (rates.reasoning, rates.audio_output, rates.image_output) == (8 * M,) * 3
    assert rates.cached == M // 2


def test_every_kind_of_token_but_two_is_a_kind_of_another() -> None:
    assert set(TOKEN_UNITS) - set(FALLBACK) == {"input", "output"}


def test_a_batch_is_half_the_price() -> None:
    rates = made(ROW).rates("batch", 10)
    assert (rates.input, rates.cached, rates.output) == (M, M // 4, 4 * M)


def test_a_batch_has_its_own_price_where_the_row_has_one() -> None:
    rates = made({**ROW, "batch": {"cached": "0.3"}}).rates("batch", 10)
    assert (rates.input, rates.cached) == (M, 300_000)


def test_half_a_picodollar_is_rounded_up() -> None:
    assert made({"input": "0.000001"}).rates("batch", 1).input == 1


def test_a_tier_that_the_row_does_not_know_is_standard() -> None:
    found = made(ROW)
    assert found.rates("priority", 10) == found.rates("flex", 10) == found.rates("standard", 10)


def test_flex_is_half_where_the_row_knows_it() -> None:
    rates = made({**ROW, "flex": {"input": "0.9"}}).rates("flex", 10)
    assert (rates.input, rates.output) == (900_000, 4 * M)


def test_priority_is_standard_where_the_row_says_nothing_else() -> None:
    rates = made({**ROW, "priority": {"input": "4"}}).rates("priority", 10)
    assert (rates.input, rates.output) == (4 * M, 8 * M)


LONG = {**ROW, "above": {"tokens": 272_000, "input": "4", "output": "12"}}


def test_a_long_context_begins_above_its_tokens() -> None:
    found = made(LONG)
    assert (found.rates("standard", 272_000).input, found.rates("standard", 272_001).input) == (2 * M, 4 * M)


def test_a_long_context_keeps_what_has_no_other_price() -> None:
    assert made(LONG).rates("standard", 300_000).cached == M // 2


def test_a_long_batch_is_half_of_long() -> None:
    assert made(LONG).rates("batch", 300_000).output == 6 * M


def test_a_long_priority_is_never_below_long_or_priority() -> None:
    rates = made({**LONG, "priority": {"input": "3", "output": "16"}}).rates("priority", 300_000)
    assert (rates.input, rates.output) == (4 * M, 16 * M)


def test_a_row_without_a_long_context_has_one_price() -> None:
    found = made(ROW)
    assert found.rates("standard", 10**9) == found.rates("standard", 1)


def test_an_override_replaces_its_unit_in_its_tier_alone() -> None:
    found = made({**ROW, "batch": {"input": "1"}}, Override("input", "standard", False, 7))
    assert (found.rates("standard", 1).input, found.rates("batch", 1).input) == (7, M)


def test_a_batch_that_the_book_does_not_know_is_half_of_the_override() -> None:
    assert made(ROW, Override("input", "standard", False, 8)).rates("batch", 1).input == 4


def test_an_override_may_bring_a_long_context() -> None:
    found = made(ROW, Override("input", "standard", True, 9), above=128_000)
    assert (found.rates("standard", 128_001).input, found.rates("standard", 128_001).output) == (9, 8 * M)


def test_another_long_context_takes_the_place_of_the_books() -> None:
    found = made(LONG, Override("input", "standard", True, 9), above=128_000)
    assert (found.above, found.rates("standard", 200_000).output) == (128_000, 8 * M)


def test_an_override_of_what_is_no_token_is_taken_as_it_is() -> None:
    found = made({}, Override("second", "standard", False, 5), Override("image", "standard", False, 6))
    assert (found.second, found.image) == (5, 6)


def test_an_hour_of_audio_is_priced_by_the_second() -> None:
    assert made({"audio_hour": "0.36"}).second == 100_000_000


def test_images_are_priced_one_by_one() -> None:
    assert made({"images": {"hd/1024x1792": "0.132"}}).images == {"hd/1024x1792": 132_000_000_000}


def test_no_price_is_no_price_in_any_tier() -> None:
    assert UNPRICED.unpriced
    assert {getattr(UNPRICED.rates(tier, 10), unit) for tier in TIERS for unit in TOKEN_UNITS} == {None}


@pytest.mark.parametrize("model", models())
def test_every_price_of_the_book_is_whole_and_above_nothing(model: str) -> None:
    for row in models()[model].values():
        found = made(row)
        rates = [rate for table in (found.short, found.long) for rate in table.values()]
        values = [getattr(rate, unit) for rate in rates for unit in TOKEN_UNITS]
        others = [*found.images.values(), found.second, found.character, found.training, found.hosting_hour]
        assert [one for one in (*values, *others) if one is not None and (type(one) is not int or one <= 0)] == []


@pytest.mark.parametrize("model", models())
def test_batch_and_flex_never_cost_more_than_standard_and_priority_never_less(model: str) -> None:
    for row in models()[model].values():
        found = made(row)
        for prompt in (1, 300_000):
            for unit in ("input", "cached", "output"):
                cost = {tier: getattr(found.rates(tier, prompt), unit) for tier in TIERS}
                if cost["standard"] is not None:
                    assert cost["batch"] <= cost["standard"]
                    assert cost["flex"] <= cost["standard"] <= cost["priority"]
