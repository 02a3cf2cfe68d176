"""shared/config/models.py: model strings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import ModelRef, parse_model, valid_deployment_name
from shared.config.models import ModelStringError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("azure/my-dep", ModelRef("azure", "my-dep")),
        ("azure/o_series/my-dep", ModelRef("azure", "my-dep", "o_series")),
        ("azure/gpt5_series/my-dep", ModelRef("azure", "my-dep", "gpt5_series")),
        ("azure/responses/my-dep", ModelRef("azure", "my-dep", "responses")),
        ("azure/responses", ModelRef("azure", "responses")),
        ("azure_text/instruct", ModelRef("azure_text", "instruct")),
        ("azure/*", ModelRef("azure", "*")),
        ("azure/o_series/*", ModelRef("azure", "*", "o_series")),
        ("azure/gpt-*", ModelRef("azure", "gpt-*")),
        ("openai/gpt-4o", ModelRef("openai", "gpt-4o")),
        ("openai/org/model", ModelRef("openai", "org/model")),
        ("gpt-4o", ModelRef("openai", "gpt-4o")),
        ("ft:gpt-4o-mini:acme::abc", ModelRef("openai", "ft:gpt-4o-mini:acme::abc")),
    ],
)
def test_model_strings(text: str, expected: ModelRef) -> None:
    assert parse_model(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "azure/", "azure/a/b", "azure/../x", "azure/.x", "azure/a b", "azur/x", "/x", "azure/**", "openai/", "a b"],
)
def test_not_model_strings(text: str) -> None:
    with pytest.raises(ModelStringError):
        parse_model(text)


def test_another_provider_is_recognised() -> None:
    with pytest.raises(ModelStringError) as caught:
        parse_model("anthropic/claude")
    assert caught.value.other_provider == "anthropic"


@pytest.mark.parametrize("name", ["a", "gpt-4o", "Gpt_4.1", "0", "x" * 64])
def test_valid_deployment_names(name: str) -> None:
    assert valid_deployment_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "-a", "_a", "a/b", "a b", "a\n", "é", "x" * 65, "*"])
def test_invalid_deployment_names(name: str) -> None:
    assert not valid_deployment_name(name)


@given(st.text())
def test_no_text_makes_an_azure_deployment_that_is_not_a_valid_name(text: str) -> None:
    try:
        model = parse_model(f"azure/{text}")
    except ModelStringError:
        return
    assert valid_deployment_name(model.deployment.replace("*", "x", 1))
