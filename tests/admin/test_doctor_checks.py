"""What the configuration alone tells the doctor."""

from __future__ import annotations

from datetime import date

import pytest

from shared import config
from shared.admin import doctor_checks as checks
from shared.admin.doctor_checks import Pair
from shared.catalog.retirements import retires_on
from shared.config import Match
from shared.upstream.credentials import api_key
from shared.upstream.deployment import deployment_of
from shared.upstream.endpoint import of_entry

TODAY = date(2026, 7, 1)


def pairs(*entries: str) -> list[Pair]:
    """`name|deployment|resource|model_info` as pairs."""
    yaml = "model_list:\n"
    for number, written in enumerate(entries):
        name, deployment, resource, info = written.split("|")
        yaml += (
            f"  - model_name: {name}\n    litellm_params: {{model: azure/{deployment}, api_key: k, "
            f"api_base: 'https://{resource}.openai.azure.com'}}\n    model_info: {{id: d{number}, {info}}}\n"
        )
    entries_of = config.parse(yaml, {}).entries
    return [
        (one, deployment_of(Match(one, one.model), of_entry(one)[0], api_key("k", bearer=False))) for one in entries_of
    ]


def test_a_known_base_model_is_priced() -> None:
    finding = checks.priced(pairs("m|prod|east|base_model: azure/gpt-4o")[0])
    assert (finding.severity, finding.found) == ("ok", "priced as gpt-4o global")


@pytest.mark.parametrize(
    ("info", "why"), [("mode: chat", "it has no base_model"), ("base_model: azure/gpt-99", "has no gpt-99")]
)
def test_an_unknown_price_is_a_warning_that_says_why(info: str, why: str) -> None:
    finding = checks.priced(pairs(f"m|prod|east|{info}")[0])
    assert finding.severity == "warning"
    assert why in finding.found
    assert "model_info.base_model" in finding.todo


@pytest.mark.parametrize(
    ("day", "found"),
    [
        (date(2026, 1, 1), None),
        (date(2026, 8, 16), "is retired on 2026-11-14, in 90 days"),
        (date(2026, 11, 14), "was to be retired on 2026-11-14"),
        (date(2027, 1, 1), "was to be retired on 2026-11-14"),
    ],
)
def test_a_model_is_told_of_from_ninety_days_before_its_retirement(
    monkeypatch: pytest.MonkeyPatch, day: date, found: str | None
) -> None:
    monkeypatch.setattr(checks, "retires_on", lambda model: date(2026, 11, 14))
    finding = checks.retiring(pairs("m|prod|east|base_model: azure/gpt-4o")[0], day)
    assert finding is None if found is None else finding is not None and found in finding.found


@pytest.mark.parametrize(
    ("model", "day"),
    [
        ("azure/gpt-4o", date(2027, 4, 14)),
        ("gpt-4o-2024-05-13", date(2026, 12, 9)),
        ("azure/eu/gpt-4.1", date(2027, 4, 14)),
        ("dall-e-3", date(2026, 3, 4)),
        ("my-own-name", None),
        ("gpt-4o-of-my-own", None),
    ],
)
def test_a_retirement_is_found_by_exact_names(model: str, day: date | None) -> None:
    assert retires_on(model) == day


def test_alternates_of_one_resource_share_a_quota() -> None:
    found = checks.shared_quotas(pairs("m|one|east|base_model: azure/gpt-4o", "m|two|east|base_model: azure/gpt-4o"))
    assert [one.subject for one in found] == ["model_list[0] (m) one and model_list[1] (m) two"]
    assert "are of one resource" in found[0].found


def test_alternates_of_one_region_may_share_a_quota() -> None:
    found = checks.shared_quotas(
        pairs(
            "m|one|east|base_model: azure/gpt-4o, region: eastus",
            "m|two|east2|base_model: azure/gpt-4o, region: East US",
        )
    )
    assert "within one subscription" in found[0].found


@pytest.mark.parametrize(
    "entries",
    [
        ("m|one|east|base_model: azure/gpt-4o", "m|two|west|base_model: azure/gpt-4o"),
        ("m|one|east|base_model: azure/gpt-4o", "n|two|east|base_model: azure/gpt-4o"),
        ("m|one|east|base_model: azure/gpt-4o", "m|two|east|base_model: azure/gpt-4.1"),
        ("m|one|east|base_model: azure/gpt-4o", "m|two|east|base_model: azure/gpt-4o, provisioned: true"),
        (
            "m|one|east|base_model: azure/gpt-4o, deployment_type: data_zone",
            "m|two|east|base_model: azure/gpt-4o, deployment_type: regional",
        ),
        (
            "m|one|east|base_model: azure/gpt-4o, region: eastus",
            "m|two|west|base_model: azure/gpt-4o, region: westus",
        ),
    ],
)
def test_what_has_quotas_of_its_own_is_left_alone(entries: tuple[str, str]) -> None:
    assert checks.shared_quotas(pairs(*entries)) == []


@pytest.mark.parametrize(
    ("skews", "severity", "words"),
    [
        ([0.0, 400.0, 1.0], "ok", "agrees"),
        ([31.0], "warning", "31 seconds behind"),
        ([-600.0, -601.0], "error", "600 seconds ahead"),
    ],
)
def test_a_clock_is_judged_by_the_middle_of_the_resources(skews: list[float], severity: str, words: str) -> None:
    finding = checks.skewed(skews)
    assert finding is not None
    assert finding.severity == severity
    assert words in finding.found


def test_no_clock_is_no_finding() -> None:
    assert checks.skewed([]) is None


@pytest.mark.parametrize(
    ("value", "installed", "severity"), [("true", True, "ok"), ("true", False, "warning"), ("false", False, None)]
)
def test_azure_monitor_that_is_not_installed_is_told(value: str, installed: bool, severity: str | None) -> None:
    environ = {"PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": value}
    finding = checks.monitored(environ, lambda module: installed)
    assert (finding.severity if finding else None) == severity
