from __future__ import annotations

import pytest

from shared import config
from shared.catalog.carried import fields
from shared.ids import deployment_id, resource_id
from shared.upstream.credentials import api_key
from shared.upstream.deployment import VERSIONS_MAX, Deployment, deployment_of
from shared.upstream.endpoint import of_entry

USAGE = "stream_options.include_usage"


def deployment(
    base: str = "https://r.openai.azure.com", version: str = "2024-10-21", model: str = "azure/gpt-4o", **more: str
) -> Deployment:
    lines = "".join(f"      {name}: {value}\n" for name, value in more.items() if name != "model_info")
    text = (
        "model_list:\n  - model_name: gpt-4o\n    litellm_params:\n"
        f"      model: {model}\n      api_base: {base}\n      api_key: k\n"
        + (f"      api_version: {version}\n" if version else "")
        + lines
        + (f"    model_info: {more['model_info']}\n" if "model_info" in more else "")
    )
    match = config.parse(text, {}).matches("gpt-4o")[0]
    return deployment_of(match, of_entry(match.entry)[0], api_key("k", bearer=False))


def chat_url(one: Deployment) -> str:
    return str(one.url("chat_completions", "chat/completions"))


def test_a_classic_address_names_the_deployment_and_the_version() -> None:
    assert chat_url(deployment()) == (
        "https://r.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    )


def test_a_v1_address_names_neither() -> None:
    assert chat_url(deployment(version="v1")) == "https://r.openai.azure.com/openai/v1/chat/completions"


def test_the_v1_preview_says_so() -> None:
    assert chat_url(deployment(version="preview")).endswith("/openai/v1/chat/completions?api-version=preview")


def test_a_base_with_openai_v1_is_on_the_v1_surface() -> None:
    assert chat_url(deployment(base="https://r.openai.azure.com/openai/v1", version="")) == (
        "https://r.openai.azure.com/openai/v1/chat/completions"
    )


def test_an_openai_address_has_no_version() -> None:
    one = deployment(base="https://api.openai.com/v1", version="", model="openai/gpt-4o")
    assert chat_url(one) == "https://api.openai.com/v1/chat/completions"


def test_the_retired_extensions_path_is_kept_with_a_version_that_has_it() -> None:
    one = deployment(base="https://r.openai.azure.com/openai/deployments/gpt-4o/extensions", version="2024-10-21")
    assert chat_url(one) == (
        "https://r.openai.azure.com/openai/deployments/gpt-4o/extensions/chat/completions"
        "?api-version=2023-12-01-preview"
    )


def test_a_version_too_old_for_usage_in_streams_is_raised() -> None:
    assert chat_url(deployment(version="2023-05-15")).endswith("?api-version=2024-09-01-preview")


def test_a_version_too_old_is_sent_as_it_is_when_the_entry_says_exact() -> None:
    one = deployment(version="2023-05-15", api_version_policy="exact")
    assert chat_url(one).endswith("?api-version=2023-05-15")


@pytest.mark.parametrize(
    ("version", "policy", "supported"),
    [
        ("2024-10-21", "exact", True),
        ("2024-09-01-preview", "exact", True),
        ("2024-02-01", "exact", False),
        ("2023-05-15", "exact", False),
        ("2023-05-15", "upgrade", True),
        ("v1", "exact", True),
    ],
)
def test_usage_in_streams_may_be_asked_for_where_the_version_has_it(version: str, policy: str, supported: bool) -> None:
    one = deployment(version=version, api_version_policy=policy)
    assert one.supports("chat_completions", USAGE) is supported


def carrying(one: Deployment, *carries: str) -> str:
    return str(one.url("chat_completions", "chat/completions", carries=frozenset(carries))).rpartition("=")[2]


def raises(log: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in log.messages if "api_version" in message]


def test_a_call_is_sent_with_the_version_that_has_what_it_carries() -> None:
    one = deployment(version="2024-10-21")
    assert carrying(one, "modalities", "audio") == "2025-01-01-preview"
    assert carrying(one, "reasoning_effort") == "2024-12-01-preview"
    assert carrying(one, "parallel_tool_calls") == "2024-10-21"
    assert carrying(one) == "2024-10-21"


def test_a_raised_version_is_said_once_for_each_version(caplog: pytest.LogCaptureFixture) -> None:
    one = deployment(version="2024-10-21")
    for carries in (("modalities", "audio"), ("prediction",), ("store",), ("modalities", "audio"), ("metadata",)):
        carrying(one, *carries)
    first, second = raises(caplog)
    assert first == (
        "gpt-4o (deployment gpt-4o): api_version 2024-10-21 lacks audio and modalities; chat_completions calls that "
        "carry it are sent with 2025-01-01-preview. Set api_version_policy: exact to send 2024-10-21."
    )
    assert "2024-12-01-preview" in second


def test_what_the_version_has_is_not_said(caplog: pytest.LogCaptureFixture) -> None:
    carrying(deployment(version="2025-01-01-preview"), "audio")
    carrying(deployment(version="v1"), "audio")
    assert raises(caplog) == []


def test_exact_sends_what_is_written_whatever_a_call_carries(caplog: pytest.LogCaptureFixture) -> None:
    assert carrying(deployment(version="2024-02-01", api_version_policy="exact"), "audio") == "2024-02-01"
    assert raises(caplog) == []


def test_the_retired_extensions_path_keeps_its_version_whatever_a_call_carries() -> None:
    one = deployment(
        base="https://r.openai.azure.com/openai/deployments/gpt-4o/extensions", version="2023-07-01-preview"
    )
    assert carrying(one, "audio", "store") == "2023-07-01-preview"


def test_what_a_deployment_remembers_of_versions_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    one = deployment(version="2024-10-21")
    names = sorted(fields())
    for count in range(VERSIONS_MAX * 2):
        chosen = [name for place, name in enumerate(names) if count >> place & 1]
        assert carrying(one, *chosen) >= "2024-10-21"
    assert len(one._urls) == len(one._effective) == VERSIONS_MAX
    assert len(raises(caplog)) < 5


def test_openai_has_every_field() -> None:
    one = deployment(base="https://api.openai.com/v1", version="", model="openai/gpt-4o")
    assert one.supports("chat_completions", USAGE)


def test_the_extensions_path_never_had_usage_in_streams() -> None:
    one = deployment(base="https://r.openai.azure.com/openai/deployments/gpt-4o/extensions")
    assert not one.supports("chat_completions", USAGE)


def test_a_deployment_in_the_base_wins_over_the_one_in_model() -> None:
    one = deployment(base="https://r.openai.azure.com/openai/deployments/other")
    assert (one.name, "/deployments/other/" in chat_url(one)) == ("other", True)


def test_its_id_is_made_of_resource_and_name() -> None:
    one = deployment()
    resource = resource_id("r.openai.azure.com")
    assert (one.resource_id, one.id) == (resource, deployment_id(resource, "gpt-4o"))


def test_its_id_can_be_given() -> None:
    one = deployment(model_info="{id: east, resource: my-resource}")
    assert (one.id, one.resource_id) == ("east", "my-resource")


def test_its_id_does_not_depend_on_its_version() -> None:
    assert deployment(version="v1").id == deployment(version="2023-05-15").id


@pytest.mark.parametrize(
    ("written", "weight"),
    [
        ({"weight": "3", "rpm": "60", "tpm": "9000"}, 3),
        ({"rpm": "60", "tpm": "9000"}, 60),
        ({"tpm": "9000"}, 9),
        ({}, 1),
        ({"weight": "0", "rpm": "60"}, 0),
    ],
)
def test_its_share_of_the_load_is_weight_else_rpm_else_tpm(written: dict[str, str], weight: float) -> None:
    assert deployment(**written).weight == weight


def test_it_knows_its_price() -> None:
    one = deployment(model_info="{base_model: azure/eu/gpt-4o}")
    assert (one.price.model, one.price.deployment_type, one.price.source) == ("gpt-4o", "data_zone", "base_model")


def test_its_price_is_that_of_the_deployment_in_its_address() -> None:
    one = deployment(base="https://r.openai.azure.com/openai/deployments/o3")
    assert (one.price.model, one.price.source) == ("o3", "deployment")


def test_a_deployment_of_a_wildcard_says_that_it_has_no_price(caplog: pytest.LogCaptureFixture) -> None:
    entries = config.from_environment({"AZURE_API_BASE": "https://r.openai.azure.com", "AZURE_API_KEY": "k"})
    for name in ("azure/mine", "azure/gpt-4o"):
        match = entries.matches(name)[0]
        deployment_of(match, of_entry(match.entry)[0], api_key("k", bearer=False))
    [said] = [line for line in caplog.messages if "spent" in line]
    assert "what is spent on mine is not known" in said


def test_its_repr_shows_no_key() -> None:
    assert "'k'" not in repr(deployment())
