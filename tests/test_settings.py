from __future__ import annotations

from dataclasses import fields

import pytest

from shared.errors import ConfigError
from shared.settings import CHOICES, DEVELOPMENT_SECRET, Settings


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.read({}) == Settings()


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_each_setting_is_read_from_its_variable(name: str) -> None:
    kind = type(getattr(Settings(), name))
    written = CHOICES[name][-1] if name in CHOICES else "true" if kind is bool else "7"
    assert getattr(Settings.read({f"SPILLWAY_{name.upper()}": written}), name) == kind(written)


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_each_setting_is_explained(name: str) -> None:
    assert f"`{name}`: " in (Settings.__doc__ or "")


@pytest.mark.parametrize(
    ("written", "meant"), [("true", True), ("True", True), ("1", True), ("false", False), ("0", False), (" 1 ", True)]
)
def test_a_switch_is_true_or_false(written: str, meant: bool) -> None:
    assert Settings.read({"SPILLWAY_ALLOW_ANONYMOUS": written}).allow_anonymous is meant


@pytest.mark.parametrize("written", ["yes", "on", "2", "tru"])
def test_no_other_word_is_a_switch(written: str) -> None:
    with pytest.raises(ConfigError, match=f"SPILLWAY_ALLOW_ANONYMOUS: found '{written}', expected true or false"):
        Settings.read({"SPILLWAY_ALLOW_ANONYMOUS": written})


@pytest.mark.parametrize("written", ["0", "-1", "nan", "inf", "ten", "1s"])
def test_seconds_are_a_finite_number_above_zero(written: str) -> None:
    with pytest.raises(ConfigError, match="a number of seconds above 0"):
        Settings.read({"SPILLWAY_EDGE_TIMEOUT_S": written})


@pytest.mark.parametrize("written", ["0", "-1", "1.5", "many"])
def test_a_count_is_a_whole_number_above_zero(written: str) -> None:
    with pytest.raises(ConfigError, match="a whole number above 0"):
        Settings.read({"SPILLWAY_CALLS_MAX": written})


@pytest.mark.parametrize("written", ["sync", "before", "Before_Reply"])
def test_a_setting_of_several_words_takes_no_other(written: str) -> None:
    with pytest.raises(ConfigError, match="expected one of before_reply, before_send, async"):
        Settings.read({"SPILLWAY_LEDGER": written})


def test_seconds_may_have_a_fraction() -> None:
    assert Settings.read({"SPILLWAY_HOLD_BACK_S": "0.25"}).hold_back_s == 0.25


def test_white_space_counts_as_not_set() -> None:
    assert Settings.read({"SPILLWAY_CALLS_MAX": "  "}) == Settings()


def test_every_wrong_variable_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.read({"SPILLWAY_CALLS_MAX": "x", "SPILLWAY_HOLD_BACK_S": "y"})
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "SPILLWAY_HOLD_BACK_S",
        "SPILLWAY_CALLS_MAX",
    ]


def test_the_first_secret_seals_and_all_open() -> None:
    assert Settings.read({"SPILLWAY_ID_SECRET": " new , old,"}).id_secrets("master") == ("new", "old")


def test_without_a_secret_the_master_key_seals() -> None:
    assert Settings().id_secrets("master") == ("master",)


def test_without_any_key_there_is_still_a_secret_to_seal_with() -> None:
    assert Settings().id_secrets(None) == (DEVELOPMENT_SECRET,)


def test_the_secret_is_not_shown() -> None:
    assert "hush" not in repr(Settings.read({"SPILLWAY_ID_SECRET": "hush"}))
