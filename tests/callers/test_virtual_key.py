from __future__ import annotations

from dataclasses import replace

import pytest

from shared.callers.virtual_key import VirtualKey, hash_of, hint_of, matches, may_be_key, packed, unpacked

PLAIN = VirtualKey("key_1", "ab", "sk-...abcd", 1.5, 2.5)
FULL = VirtualKey(
    "key_1",
    "ab",
    "sk-...abcd",
    1.5,
    2.5,
    alias="team",
    models=("gpt-4o", "azure/*"),
    aliases={"fast": "gpt-4o"},
    expires_at=9.5,
    blocked=True,
    max_budget=0,
    soft_budget=5,
    budget_duration="30d",
    budget_from=1.5,
    spent=3,
    tpm_limit=10,
    rpm_limit=0,
    max_parallel_requests=2,
    metadata={"a": {"b": [1]}},
    tags=("x", "y"),
    user_id="u",
    team_id="t",
)


@pytest.mark.parametrize("key", [PLAIN, FULL])
def test_a_row_keeps_everything(key: VirtualKey) -> None:
    assert unpacked(packed(key)) == key


def test_a_field_of_a_later_version_is_left_out() -> None:
    assert unpacked(packed(PLAIN)[:-1] + b',"later":1}') == PLAIN


@pytest.mark.parametrize(
    ("models", "model", "permitted"),
    [
        ((), "anything", True),
        (("gpt-4o",), "gpt-4o", True),
        (("gpt-4o",), "gpt-4o-mini", False),
        (("azure/*",), "azure/gpt-4o", True),
        (("azure/*",), "azure", False),
        (("*-mini",), "gpt-4o-mini", True),
        (("gpt-4?",), "gpt-4o", False),
        (("all-proxy-models",), "gpt-4o", True),
        (("no-default-models",), "gpt-4o", False),
        (("no-default-models",), "no-default-models", False),
    ],
)
def test_models_are_names_and_patterns(models: tuple[str, ...], model: str, permitted: bool) -> None:
    assert matches(models, model) is permitted


def test_an_alias_may_be_asked_for_and_means_its_model() -> None:
    assert FULL.permits("fast")
    assert FULL.meant("fast") == "gpt-4o"
    assert FULL.meant("other") == "other"


def test_a_key_expires_at_its_time() -> None:
    assert not FULL.expired(9.4)
    assert FULL.expired(9.5)
    assert not PLAIN.expired(1e12)


def test_a_budget_without_a_duration_has_one_period() -> None:
    assert replace(PLAIN, budget_from=3.0).period(99.0).ends_at is None


def test_a_key_is_limited_by_any_of_its_limits() -> None:
    assert not PLAIN.limited
    assert all(one.limited for one in (replace(PLAIN, max_budget=0), replace(PLAIN, tpm_limit=0)))


def test_a_hint_shows_the_last_four_characters() -> None:
    assert hint_of("sk-secret-1234") == "sk-...1234"
    assert len(hash_of("sk-secret-1234")) == 64


@pytest.mark.parametrize("text", ["key", "", "sk-" + "x" * 254, "sk-\n", "sk-ä"])
def test_what_cannot_be_a_key_is_known_without_asking(text: str) -> None:
    assert not may_be_key(text)
