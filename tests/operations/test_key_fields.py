from __future__ import annotations

from typing import Any

import pytest

from shared.callers.virtual_key import VirtualKey
from shared.config.pricing import PICO
from shared.errors import BadRequest
from shared.operations.key_fields import applied, chosen_key, described, values

NOBODY = VirtualKey("", "", "", 0.0, 0.0)
BESIDE = frozenset({"key"})


def made(body: dict[str, Any], now: float = 1000.0) -> VirtualKey:
    return applied(NOBODY, values(body, BESIDE), now, 0)


@pytest.mark.parametrize(
    "body",
    [
        {"max_budget": "10"},
        {"max_budget": -1},
        {"max_budget": True},
        {"max_budget": 1e12},
        {"soft_budget": []},
        {"spend": "0"},
        {"budget_duration": "monthly"},
        {"budget_duration": "-1"},
        {"duration": "1y"},
        {"duration": 30},
        {"tpm_limit": 1.5},
        {"tpm_limit": -1},
        {"rpm_limit": "60"},
        {"max_parallel_requests": True},
        {"models": "gpt-4o"},
        {"models": [1]},
        {"models": ["x"] * 300},
        {"aliases": ["a"]},
        {"aliases": {"a": 1}},
        {"metadata": "x"},
        {"metadata": {"x": "y" * 20_000}},
        {"tags": "x"},
        {"blocked": "true"},
        {"key_alias": "x" * 200},
        {"key_alias": "a\nb"},
        {"user_id": 5},
        {"guardrails": ["x"]},
        {"model_max_budget": {"gpt-4o": 1}},
        {"max_budgets": 5},
    ],
)
def test_a_wrong_value_is_refused_by_its_name(body: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as raised:
        values(body, BESIDE)
    assert raised.value.param == next(iter(body))


def test_a_misspelt_name_gets_a_hint() -> None:
    with pytest.raises(BadRequest, match="Did you mean `max_budget`"):
        values({"max_bugdet": 5}, BESIDE)


def test_litellms_other_fields_may_say_nothing() -> None:
    assert (
        values({"guardrails": None, "permissions": {}, "key_type": "default", "send_invite_email": False}, BESIDE) == {}
    )


def test_money_is_counted_exactly() -> None:
    key = made({"max_budget": 0.1, "soft_budget": 1e-7})
    assert (key.max_budget, key.soft_budget) == (PICO // 10, 100_000)


def test_a_duration_counts_from_now() -> None:
    assert made({"duration": "1h"}).expires_at == 4600.0
    assert made({"duration": "-1"}).expires_at is None


def test_null_clears_a_field() -> None:
    full = {"max_budget": 1, "models": ["a"], "duration": "1h", "tags": ["x"], "blocked": True, "key_alias": "team"}
    key = applied(made(full), values(dict.fromkeys(full), BESIDE), 2000.0, 0)
    assert (key.max_budget, key.models, key.expires_at, key.tags, key.blocked, key.alias) == (
        None,
        (),
        None,
        (),
        False,
        "",
    )


def test_what_is_not_named_stays() -> None:
    key = applied(made({"max_budget": 1, "tags": ["x"]}), values({"rpm_limit": 3}, BESIDE), 2000.0, 7)
    assert (key.max_budget, key.tags, key.rpm_limit, key.budget_from, key.spent) == (PICO, ("x",), 3, 1000.0, 0)


def test_another_duration_begins_another_period_with_what_was_spent() -> None:
    key = applied(made({"budget_duration": "30d"}), values({"budget_duration": "24H"}, BESIDE), 2000.0, 7)
    assert (key.budget_duration, key.budget_from, key.spent) == ("24h", 2000.0, 7)


def test_the_same_duration_does_not() -> None:
    key = applied(made({"budget_duration": "30d"}), values({"budget_duration": "30d"}, BESIDE), 2000.0, 7)
    assert (key.budget_from, key.spent) == (1000.0, 0)


def test_spend_can_be_set() -> None:
    key = applied(made({"max_budget": 1}), values({"spend": 0.5}, BESIDE), 2000.0, 7)
    assert (key.budget_from, key.spent) == (2000.0, PICO // 2)


def test_an_answer_has_litellms_names() -> None:
    shown = described(made({"max_budget": 0.5, "budget_duration": "1d", "key_alias": "team"}), 1000.0, PICO // 4)
    assert (shown["max_budget"], shown["spend"], shown["key_alias"]) == (0.5, 0.25, "team")
    assert shown["budget_reset_at"] == "1970-01-02T00:16:40.000Z"
    assert shown["expires"] is None


@pytest.mark.parametrize(
    "key", [12345, "short", "sk-short", "no-prefix-but-long-enough", "sk-with a space-in-it\n", "sk-" + "x" * 300]
)
def test_a_chosen_key_must_be_one(key: Any) -> None:
    with pytest.raises(BadRequest) as raised:
        chosen_key({"key": key}, "key")
    assert raised.value.param == "key"
    assert str(key) not in raised.value.message


def test_a_key_need_not_be_chosen() -> None:
    assert chosen_key({}, "key") is None
    assert chosen_key({"key": "sk-0123456789abc"}, "key") == "sk-0123456789abc"
