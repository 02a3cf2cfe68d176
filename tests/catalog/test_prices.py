"""shared/catalog/prices.py: which row of the book prices a deployment."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from devtools.prices.book import book, written
from shared.catalog.prices import models, named, price_of, warnings
from tests.catalog.pricing import entry, price

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "shared" / "catalog" / "prices.json"
RAW = orjson.loads(BOOK.read_bytes())
PAGE = [
    "o1-mini",
    "o1-preview",
    "gpt-4o-mini",
    "gpt-4o",
    "gpt-4",
    "gpt-4-0314",
    "gpt-4-0613",
    "gpt-4-32k",
    "gpt-4-32k-0314",
    "gpt-4-32k-0613",
    "gpt-4-1106-preview",
    "gpt-4-0125-preview",
    "gpt-3.5-turbo",
    "gpt-3.5-turbo-0301",
    "gpt-3.5-turbo-0613",
    "gpt-3.5-turbo-16k",
    "gpt-3.5-turbo-16k-0613",
    "gpt-4-vision",
    "gpt-3.5-turbo-instruct",
    "gpt-3.5-turbo-instruct-0914",
    "o1",
    "o1-pro",
    "o3",
    "dall-e-3",
    "tts-1",
    "text-embedding-ada-002",
    "azure/gpt-4-1106-preview",
]
"""Every model that LiteLLM's Azure page names, and those that it uses."""
WITHOUT_LITELLM = [
    "o1-pro",
    "gpt-4-0314",
    "gpt-4o-audio-preview",
    "gpt-4o-mini-audio-preview",
    "tts",
    "tts-hd",
    "whisper",
    "dall-e-3",
    "dall-e-2",
    "babbage-002",
    "davinci-002",
    "gpt-35-turbo-0613",
    "gpt-4-32k-0314",
]


def test_the_book_is_what_its_tables_say() -> None:
    assert written(book(ROOT / "devtools/prices/tables")) == BOOK.read_text(encoding="utf-8")


@pytest.mark.parametrize("model", models())
def test_every_row_has_a_source_and_the_day_it_was_read(model: str) -> None:
    for row in models()[model].values():
        assert {row["source"], *row.get("sources", {}).values()} <= RAW["sources"].keys()
        assert date(2026, 1, 1) < date.fromisoformat(row["date"]) <= date.today()


def test_every_source_has_an_address() -> None:
    assert [one for one in RAW["sources"].values() if not one["address"].startswith("https://")] == []


def test_no_name_is_also_a_model() -> None:
    assert RAW["names"].keys() & RAW["models"].keys() == set()


def test_no_model_has_a_price_in_another_place_alone() -> None:
    assert [model for model, rows in models().items() if "global" not in rows] == []


@pytest.mark.parametrize("model", models())
def test_no_deployment_is_cheaper_in_a_zone_than_globally(model: str) -> None:
    rows = models()[model]
    for kind, row in rows.items():
        for unit in {"input", "cached", "output"} & row.keys() & rows["global"].keys():
            assert kind == "openai" or Decimal(row[unit]) >= Decimal(rows["global"][unit])


@pytest.mark.parametrize("model", PAGE)
def test_every_model_of_the_page_has_a_price(model: str) -> None:
    found = price(model)
    assert (found.unpriced, found.source) == (False, "base_model")


@pytest.mark.parametrize("model", WITHOUT_LITELLM)
def test_what_litellm_lacks_has_a_price(model: str) -> None:
    assert not price(model).unpriced


@pytest.mark.parametrize(
    ("base_model", "model", "kind"),
    [
        ("gpt-4o", "gpt-4o", "global"),
        (" GPT-4o ", "gpt-4o", "global"),
        ("azure/gpt-4o", "gpt-4o", "global"),
        ("azure/global/gpt-4o", "gpt-4o", "global"),
        ("azure/global-standard/gpt-4o-2024-11-20", "gpt-4o", "global"),
        ("azure/us/gpt-4o", "gpt-4o", "data_zone"),
        ("azure/eu/gpt-4o", "gpt-4o", "data_zone"),
        ("azure/us/gpt-6-sol", "gpt-6-sol", "data_zone"),
        ("azure/eu/gpt-6-sol", "gpt-6-sol", "data_zone_eu"),
        ("azure/apac/gpt-6.1-sol", "gpt-6.1-sol", "data_zone_apac"),
        ("azure/us-gov/gpt-5.1", "gpt-5.1", "us_gov"),
        ("azure/regional/gpt-4o", "gpt-4o", "data_zone"),
        ("azure/o_series/o3", "o3", "global"),
        ("azure/standard/1024-x-1024/dall-e-3", "dall-e-3", "global"),
        ("openai/gpt-4o", "gpt-4o", "global"),
        ("gpt-4o-2024-08-06", "gpt-4o", "global"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13", "global"),
        ("gpt-35-turbo-0125", "gpt-35-turbo", "global"),
        ("gpt-3.5-turbo-1106", "gpt-35-turbo-1106", "global"),
        ("whisper-1", "whisper", "global"),
        ("tts-1-hd", "tts-hd", "global"),
        ("gpt-4o-mini-2024-07-18.ft-0123456789abcdef0123456789abcdef", "gpt-4o-mini", "global"),
        ("ft:gpt-4o-2024-08-06:my-org:custom:id", "gpt-4o", "global"),
        ("ft:gpt-4.1-nano", "gpt-4.1-nano", "global"),
    ],
)
def test_a_base_model_names_a_row(base_model: str, model: str, kind: str) -> None:
    found = price(base_model)
    assert (found.model, found.deployment_type, found.source) == (model, kind, "base_model")


@pytest.mark.parametrize("base_model", ["gpt-4o-2031-01-01", "gpt-4", "my-gpt-4o", "gpt-4o-", "gpt-9", "ft:gpt-9:x"])
def test_a_name_is_in_the_book_or_has_no_price(base_model: str) -> None:
    assert price(base_model).unpriced == (base_model != "gpt-4")


def test_without_a_base_model_the_deployment_may_be_a_model() -> None:
    found = price(model="azure/gpt-4.1-mini", name="gpt-4o")
    assert (found.model, found.source) == ("gpt-4.1-mini", "deployment")


def test_then_the_public_name_may_be_one() -> None:
    found = price(model="azure/chatgpt-v-2", name="gpt-3.5-turbo")
    assert (found.model, found.source) == ("gpt-35-turbo", "model_name")


def test_a_base_model_that_is_not_known_is_not_second_guessed() -> None:
    assert price("their-model", model="azure/gpt-4o", name="gpt-4o").unpriced


def test_a_fine_tuned_deployment_has_the_price_of_its_base() -> None:
    found = price(model="azure/gpt-4o-mini-2024-07-18.ft-0a1b2c")
    assert (found.model, found.source, found.short["standard"].input) == ("gpt-4o-mini", "deployment", 150_000)


@pytest.mark.parametrize(
    ("written", "kind", "batch"),
    [
        ("global", "global", False),
        ("GlobalStandard", "global", False),
        ("DeveloperTier", "global", False),
        ("data_zone", "data_zone", False),
        ("DataZoneStandard", "data_zone", False),
        ("regional", "data_zone", False),
        ("Standard", "data_zone", False),
        ("global_batch", "global", True),
        ("GlobalBatch", "global", True),
        ("DataZoneBatch", "data_zone", True),
    ],
)
def test_the_type_of_a_deployment_is_ours_or_azures_name(written: str, kind: str, batch: bool) -> None:
    found = price("gpt-4.1", info=f"deployment_type: {written}")
    assert (found.deployment_type, found.batch) == (kind, batch)


@pytest.mark.parametrize(
    ("region", "kind"),
    [
        ("swedencentral", "data_zone_eu"),
        ("Sweden Central", "data_zone_eu"),
        ("eastus2", "data_zone"),
        ("eu", "data_zone_eu"),
        ("uksouth", "data_zone"),
        ("mars", "data_zone"),
    ],
)
def test_a_region_says_which_data_zone(region: str, kind: str) -> None:
    found = price("gpt-6-astra", params=f"region_name: {region}", info="deployment_type: data_zone")
    assert found.deployment_type == kind


def test_a_region_of_the_government_has_its_own_prices() -> None:
    assert price("gpt-5.1", params="region_name: usgovvirginia").deployment_type == "us_gov"


def test_what_the_entry_says_of_its_type_wins_over_its_base_model() -> None:
    assert price("azure/eu/gpt-4o", info="deployment_type: global").deployment_type == "global"


def test_openai_has_its_own_list() -> None:
    azure, own = price("text-embedding-3-large"), price(model="openai/text-embedding-3-large")
    assert (azure.short["standard"].input, own.short["standard"].input) == (143_000, 130_000)
    assert (azure.web_search, own.web_search) == (14 * 10**9, 10 * 10**9)


def test_a_row_of_a_zone_has_the_fine_tuning_of_the_global_one() -> None:
    found = price("azure/eu/gpt-4o")
    assert (found.training, found.hosting_hour) == (25 * 10**6, 1_700_000_000_000)


@pytest.mark.parametrize("info", ["ptu_count: 50; cost_per_ptu_per_hour: 1.5", "provisioned: true"])
def test_provisioned_throughput_is_paid_by_the_hour(info: str) -> None:
    found = price("gpt-4o", info=info)
    assert (found.ptu, found.unpriced) == (True, False)


def test_the_hour_of_provisioned_throughput_is_units_times_price() -> None:
    assert price("gpt-4o", info="ptu_count: 50; cost_per_ptu_per_hour: 1.5").ptu_hour == 75 * 10**12


def test_the_type_ptu_alone_is_provisioned_even_without_a_known_model() -> None:
    found = price(info="deployment_type: ProvisionedManaged")
    assert (found.ptu, found.unpriced, found.ptu_hour) == (True, False, None)


def test_a_start_names_who_has_no_price() -> None:
    fine, unknown, wrong = entry(base_model="gpt-4o"), entry(name="mine"), entry(base_model="their-model")
    said = warnings([(one, "d") for one in (fine, unknown, wrong)])
    assert [re.sub(r":.*", "", line) for line in said] == ["model_list[0] (mine)", "model_list[0] (any)"]
    assert "set model_info.base_model" in said[0]
    assert "the price book has no their-model" in said[1]


def test_a_start_names_who_has_not_the_price_of_its_own_zone() -> None:
    [said] = warnings([(entry(base_model="o3-pro", info="deployment_type: data_zone"), "d")])
    assert said.endswith("the price book has no data_zone price of o3-pro; that of global is used.")


def test_a_start_is_silent_where_the_price_is_one_everywhere() -> None:
    assert warnings([(entry(base_model="whisper", info="deployment_type: regional"), "d")]) == []


def test_prices_of_its_own_are_enough() -> None:
    one = entry(params="input_cost_per_token: 0.000001; output_cost_per_token: 2.0e-06")
    found = price_of(one, "d")
    assert (found.source, found.short["standard"].input, found.short["standard"].output) == ("config", 10**6, 2 * 10**6)
    assert warnings([(one, "d")]) == []


def test_a_price_of_its_own_leaves_the_rest_to_the_book() -> None:
    found = price("gpt-4o", params="input_cost_per_token: 0.000001")
    rates = found.short["standard"]
    assert (found.source, rates.input, rates.cached, rates.output) == ("base_model+config", 10**6, 1_250_000, 10**7)


def test_a_name_is_taken_apart_once() -> None:
    assert named("azure/eu/ft:gpt-4o:org::id").name == "gpt-4o"
    assert named("azure/eu/ft:gpt-4o:org::id").place == ("data_zone", "eu")
