from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ids import CallIds, call_id, deployment_id, entry_id, instance_id, parse_call_id, resource_id

DAYS = st.dates().map(lambda day: day.strftime("%Y%m%d").rjust(8, "0"))
INSTANCES = st.binary(min_size=6, max_size=6).map(bytes.hex)


@given(DAYS, INSTANCES, st.integers(min_value=0))
def test_a_call_id_tells_its_day_instance_and_sequence(day: str, instance: str, sequence: int) -> None:
    assert parse_call_id(call_id(day, instance, sequence)) == (day, instance, sequence)


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "call_",
        "call_20260101_0123456789ab_",
        "call_2026011_0123456789ab_1",
        "call_20260101_0123456789AB_1",
        "call_20260101_0123456789ab_1.1",
        "call_20260101_0123456789ab_1\n",
        "xcall_20260101_0123456789ab_1",
        "chatcmpl-123",
    ],
)
def test_a_foreign_id_is_none_of_ours(foreign: str) -> None:
    assert parse_call_id(foreign) is None


def test_a_sequence_is_written_in_base_36() -> None:
    assert call_id("20260101", "0123456789ab", 36 * 36 - 1) == "call_20260101_0123456789ab_zz"


def test_the_ids_of_one_instance_count_up_from_one() -> None:
    ids = CallIds("0123456789ab", lambda: 0.0)
    assert [ids.next(), ids.next()] == ["call_19700101_0123456789ab_1", "call_19700101_0123456789ab_2"]


def test_a_call_belongs_to_the_utc_day_it_started_on() -> None:
    now = 86_399.0
    ids = CallIds("0123456789ab", lambda: now)
    before = ids.next()
    now = 86_400.0
    assert (before[5:13], ids.next()[5:13]) == ("19700101", "19700102")


def test_the_sequence_goes_on_over_midnight() -> None:
    days = iter([86_399.0, 86_400.0])
    ids = CallIds("0123456789ab", lambda: next(days))
    assert [ids.next()[-1], ids.next()[-1]] == ["1", "2"]


def test_an_instance_id_is_twelve_hex_digits_of_the_given_randomness() -> None:
    assert instance_id(lambda count: bytes(range(count))) == "000102030405"


def test_an_entry_id_is_the_call_and_the_attempt() -> None:
    assert entry_id("call_20260101_0123456789ab_1", 2) == "call_20260101_0123456789ab_1.2"


def test_a_resource_id_does_not_show_the_host() -> None:
    found = resource_id("my-resource.openai.azure.com")
    assert "my-resource" not in found
    assert len(found) == len("res_") + 16


def test_stored_ids_stay_what_they_are() -> None:
    resource = resource_id("my-resource.openai.azure.com")
    assert (resource, deployment_id(resource, "gpt-4o")) == ("res_b7afcdd707c7a0ac", "dep_5ce865eed88e5abf")


def test_two_resources_have_two_ids() -> None:
    assert resource_id("one.openai.azure.com") != resource_id("two.openai.azure.com")


def test_a_deployment_id_needs_both_its_resource_and_its_name() -> None:
    ids = {deployment_id("a", "bc"), deployment_id("ab", "c"), deployment_id("a", "c"), deployment_id("b", "bc")}
    assert len(ids) == 4
