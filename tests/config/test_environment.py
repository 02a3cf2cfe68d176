"""shared/config/environment.py: `os.environ/NAME`, at any depth."""

import pytest

from shared.config import parse
from shared.config.environment import Environment, Expansion, expand
from shared.errors import ConfigError

ENTRY = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o
      api_base: https://r.openai.azure.com
      api_key: os.environ/KEY
"""


def test_references_are_replaced_in_mappings_and_lists() -> None:
    seen = Expansion()
    assert expand({"a": [{"b": "os.environ/X"}, "y"]}, {"X": "1"}, "", seen) == {"a": [{"b": "1"}, "y"]}
    assert seen.references == {"a[0].b": "X"}


def test_only_whole_values_are_references() -> None:
    assert expand("https://os.environ/X", {"X": "1"}, "", Expansion()) == "https://os.environ/X"


@pytest.mark.parametrize("environ", [{}, {"KEY": ""}, {"KEY": "  "}])
def test_an_unset_or_empty_variable_stops_the_start_with_its_path(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(ENTRY, environ)
    assert caught.value.problems[0] == (
        "model_list[0].litellm_params.api_key: environment variable KEY is not set or empty."
    )


def test_an_unset_variable_inside_an_unread_value_stops_the_start_too() -> None:
    with pytest.raises(ConfigError, match=r"litellm_settings\.callbacks\[0\]\.a: environment variable X is not set"):
        parse(ENTRY + "litellm_settings: {callbacks: [{a: os.environ/X}]}\n", {"KEY": "k"})


def test_every_unset_variable_is_told() -> None:
    text = ENTRY + "      rpm: os.environ/RPM\ngeneral_settings: {master_key: os.environ/MASTER}\n"
    with pytest.raises(ConfigError) as caught:
        parse(text, {})
    assert [problem.rpartition("variable ")[2] for problem in caught.value.problems] == [
        "KEY is not set or empty.",
        "RPM is not set or empty.",
        "MASTER is not set or empty.",
    ]


def test_the_files_own_variables_win_and_are_not_exported() -> None:
    process = {"KEY": "process"}
    config = parse(ENTRY + "environment_variables: {KEY: own}\n", process)
    key = config.entries[0].credentials.api_key
    assert key is not None
    assert key.get_secret_value() == "own"
    assert process == {"KEY": "process"}


def test_an_own_variable_may_refer_to_the_process() -> None:
    config = parse(ENTRY + "environment_variables: {KEY: os.environ/OTHER}\n", {"OTHER": "other"})
    key = config.entries[0].credentials.api_key
    assert key is not None
    assert key.get_secret_value() == "other"


def test_an_own_variable_serves_the_azure_fallbacks_too() -> None:
    text = """
model_list: [{model_name: a, litellm_params: {model: azure/a}}]
environment_variables: {AZURE_API_BASE: https://x.openai.azure.com}
"""
    assert parse(text, {}).entries[0].api_base == "https://x.openai.azure.com"


def test_a_wrong_own_variable_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(ENTRY + "environment_variables: {OTHER: [hunter2]}\n", {"KEY": "k"})
    assert "hunter2" not in str(caught.value)


def test_an_environment_shows_no_values() -> None:
    assert repr(Environment({"A": "hunter2"}, {"B": "hunter3"})) == "Environment(2 variables)"
