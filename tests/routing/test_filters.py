"""The deployments that a call may go to: by tags, region and the length of its prompt."""

from __future__ import annotations

import pytest

from shared.errors import BadRequest
from shared.routing.estimates import Demand
from shared.routing.filters import CERTAINLY_TOO_LONG, Kept, by_context, by_region, by_tags
from tests.routing.test_router import entry, param, router


def kept(*params: str) -> Kept:
    """Deployments a, b, c … with these parameters."""
    lines = (
        entry(f"azure/{name}", params=param(line) if line else "") for name, line in zip("abcd", params, strict=False)
    )
    return Kept(router(*lines).group("gpt-4o"))


def names(found: Kept) -> str:
    return "".join(one.name for one in found.deployments)


TAGS = ("tags: [free]", "tags: [paid, eu]", "tags: [default]", "")


@pytest.mark.parametrize(
    ("tags", "match_any", "stay"),
    [
        (["free"], True, "a"),
        (["paid", "us"], True, "b"),
        (["paid", "us"], False, "c"),
        (["paid", "eu"], False, "b"),
        (["unknown"], True, "c"),
        ([], True, "c"),
    ],
)
def test_tags_are_matched_else_the_default_serves(tags: list[str], match_any: bool, stay: str) -> None:
    found = kept(*TAGS)
    by_tags(found, tags, match_any=match_any)
    assert names(found) == stay
    assert {one.name for one, _ in found.dropped} == set("abcd") - set(stay)
    assert all(why for _, why in found.dropped)


def test_without_tags_and_without_a_default_all_serve() -> None:
    found = kept("tags: [free]", "")
    by_tags(found, [], match_any=True)
    assert (names(found), found.dropped) == ("ab", [])


def test_tags_that_nothing_has_are_refused_by_name() -> None:
    with pytest.raises(BadRequest, match="gold") as caught:
        by_tags(kept("tags: [free]", ""), ["gold"], match_any=True)
    assert caught.value.param == "tags"


REGIONS = ("region_name: Sweden Central", "region_name: eastus2", "region_name: westeurope", "")


@pytest.mark.parametrize(
    ("region", "stay"), [("swedencentral", "a"), ("Sweden Central", "a"), ("eu", "ac"), ("us", "b"), ("EastUS2", "b")]
)
def test_a_region_may_be_one_or_all_of_a_continent(region: str, stay: str) -> None:
    found = kept(*REGIONS)
    by_region(found, region)
    assert names(found) == stay


def test_a_region_in_which_nothing_is_is_refused() -> None:
    with pytest.raises(BadRequest, match="japaneast") as caught:
        by_region(kept(*REGIONS), "japaneast")
    assert caught.value.code == "no_region"


@pytest.mark.parametrize(("prompt", "stay"), [(100, "ab"), (int(1000 * CERTAINLY_TOO_LONG), "ab"), (1501, "b")])
def test_a_prompt_goes_only_where_it_can_fit(prompt: int, stay: str) -> None:
    found = Kept(
        router(entry("azure/a", info="max_input_tokens: 1000"), entry("azure/b", info="max_input_tokens: 10000")).group(
            "gpt-4o"
        )
    )
    by_context(found, Demand(prompt))
    assert names(found) == stay


def test_a_prompt_that_fits_nowhere_is_for_azure_to_refuse() -> None:
    found = Kept(router(entry("azure/a", info="max_input_tokens: 10")).group("gpt-4o"))
    by_context(found, Demand(10_000))
    assert (names(found), found.dropped) == ("a", [])
