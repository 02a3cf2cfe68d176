"""shared/config/clientside.py: what an entry lets its callers bring."""

from __future__ import annotations

import pytest

from shared.config import Config, parse
from shared.config.clientside import ClientParams
from shared.errors import ConfigError

AT = "model_list[0].litellm_params.configurable_clientside_auth_params"


def read(written: str) -> Config:
    params = f"model: azure/d, api_base: 'https://r.openai.azure.com', api_key: k, {written}"
    return parse(f"model_list: [{{model_name: a, litellm_params: {{{params}}}}}]", {})


def params(written: str) -> ClientParams:
    return read(f"configurable_clientside_auth_params: {written}").entries[0].client_params


def test_without_the_key_nothing_may_come() -> None:
    allowed = read("order: 1").entries[0].client_params
    assert not any(allowed.allows(name) for name in ("api_key", "api_base", "api_version", "azure_ad_token"))


def test_names_that_are_listed_may_come() -> None:
    allowed = params("[api_key, azure_ad_token]")
    assert [allowed.allows(name) for name in ("api_key", "azure_ad_token", "api_version", "api_base")] == [
        True,
        True,
        False,
        False,
    ]


def test_a_host_is_that_host_alone() -> None:
    allowed = params("[{api_base: East.openai.azure.com}]")
    assert allowed.leads_to("east.openai.azure.com", "https://east.openai.azure.com/openai/v1")
    for host in ("eastxopenai.azure.com", "x.east.openai.azure.com", "east.openai.azure.com:8443", "evil.example"):
        assert not allowed.leads_to(host, f"https://{host}")


def test_a_pattern_must_match_the_whole_address() -> None:
    allowed = params("[{api_base: '^https://[a-z]+\\.openai\\.azure\\.com'}]")
    assert allowed.leads_to("east.openai.azure.com", "https://east.openai.azure.com")
    assert not allowed.leads_to("east.openai.azure.com.evil.example", "https://east.openai.azure.com.evil.example")


def test_base_url_is_another_name() -> None:
    assert params("[{base_url: a.example}]").leads_to("a.example", "https://a.example")


def test_an_api_base_without_an_allow_list_has_no_effect_and_says_so() -> None:
    config = read("configurable_clientside_auth_params: [api_key, api_base]")
    assert not config.entries[0].client_params.allows("api_base")
    assert config.warnings == (
        f"{AT}[1]: api_base has no effect without an allow-list; write {{api_base: a host or a pattern}}.",
    )


def test_another_name_is_named() -> None:
    [warning] = read("configurable_clientside_auth_params: [vertex_project]").warnings
    assert warning.startswith(f"{AT}[0]: vertex_project has no effect")


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("api_key", AT),
        ("[1]", f"{AT}[0]"),
        ("[{api_base: 5}]", f"{AT}[0].api_base"),
        ("[{api_base: '('}]", f"{AT}[0].api_base"),
    ],
)
def test_what_cannot_be_read_stops_the_start(written: str, at: str) -> None:
    with pytest.raises(ConfigError) as caught:
        params(written)
    assert caught.value.problems[0].partition(": ")[0] == at
