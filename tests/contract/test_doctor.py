"""`GET /health/doctor` over sockets: each mistake is told with what to do, nothing is billed and nothing leaks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Running, Spillway

OPERATIONS = ("health_doctor",)
ROOT = Path(__file__).resolve().parents[2]

MISTAKES = """
model_list:
  - model_name: good
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {mode: chat}
  - model_name: typo
    litellm_params: {model: azure/gpt4-o, api_base: $SIM/east, api_key: sim-key-east}
  - model_name: locked
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-wrong}
  - model_name: past
    litellm_params:
      {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east, api_version: 2020-01-01,
       api_version_policy: exact}
  - model_name: other
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {mode: embedding}
  - model_name: nowhere
    litellm_params: {model: azure/gpt-4o, api_base: "http://127.0.0.1:1", api_key: k}
  - model_name: good
    litellm_params: {model: azure/gpt-4o-2, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {mode: chat, base_model: azure/gpt-4o}
"""
EVERY_KIND = (
    """
model_list:
"""
    + "".join(
        f"""  - model_name: m{number}
    litellm_params: {{model: {model}, api_base: {base}, api_key: sim-key-{resource}}}
    model_info: {{{info}}}
"""
        for number, (model, base, resource, info) in enumerate(
            [
                ("azure/gpt-4o", "$SIM/east", "east", "mode: chat"),
                ("azure/o4-mini", "$SIM/east/openai/v1", "east", "mode: responses"),
                ("azure/text-embedding-3-small", "$SIM/east", "east", ""),
                ("azure_text/gpt-35-turbo-instruct", "$SIM/east", "east", ""),
                ("azure/gpt-image-1", "$SIM/east", "east", ""),
                ("azure/gpt-image-1", "$SIM/east", "east", "mode: image_edit"),
                ("azure/tts", "$SIM/east", "east", ""),
                ("azure/whisper", "$SIM/east", "east", "mode: audio_transcription"),
                ("azure/gpt-4o-batch", "$SIM/west", "west", "mode: batch"),
                ("openai/gpt-4o", "$SIM/east/openai/v1", "east", ""),
            ]
        )
    )
    + """  - model_name: "any/*"
    litellm_params: {model: azure/*, api_base: $SIM/west, api_key: sim-key-west}
"""
)
ENTRA = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, auth: managed_identity}
    model_info: {mode: $MODE}
"""


def findings(run: Running, check: str | None = None) -> dict[str, dict[str, Any]]:
    """The findings by the public name of their entry; those of one check, or the worst of each."""
    report = run.http.get("/health/doctor").raise_for_status().json()
    assert report["object"] == "doctor.report"
    found: dict[str, dict[str, Any]] = {}
    for one in report["findings"]:
        if check is None or one["check"] == check:
            name = one["subject"].partition("(")[2].partition(")")[0] or one["subject"]
            found.setdefault(name, one)
    return found


def test_each_mistake_is_told_with_what_to_do(spillway: Spillway) -> None:
    run = spillway(MISTAKES)
    found = findings(run)
    errors = {name: (one["check"], one["found"]) for name, one in found.items() if one["severity"] == "error"}
    assert errors.pop("nowhere")[0] == "reachable"
    assert errors == {
        "typo": ("deployment", "deployment does not exist: gpt4-o"),
        "locked": ("credential", "the resource refuses the key or token"),
        "past": ("api-version", "api-version 2020-01-01 of chat_completions is not served by this resource"),
        "other": ("deployment", "the model of gpt-4o cannot do embeddings"),
        "good": ("deployment", "deployment does not exist: gpt-4o-2"),
    }
    assert all(one["todo"] for one in found.values() if one["severity"] != "ok")


def test_nothing_is_billed_and_nothing_leaks(spillway: Spillway) -> None:
    run = spillway(MISTAKES)
    answer = run.http.get("/health/doctor")
    assert run.sim.bill() == []
    run.assert_discreet(answer.text)


def test_every_kind_of_deployment_is_proved_without_a_bill(spillway: Spillway) -> None:
    run = spillway(EVERY_KIND)
    found = findings(run, "deployment")
    assert {name: one["found"] for name, one in found.items() if one["severity"] != "ok"} == {}
    assert len(found) == 11
    assert run.sim.bill() == []


def test_alternates_that_share_a_quota_are_told(spillway: Spillway) -> None:
    found = findings(spillway(MISTAKES), "quota")
    assert [(one["severity"], "of one resource" in one["found"]) for one in found.values()] == [("warning", True)]


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch, _simulator: tuple[str, Any]) -> None:
    """The simulator plays App Service's identity endpoint."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", _simulator[0] + "/_sim/identity/token")
    monkeypatch.setenv("IDENTITY_HEADER", "sim-identity-header")


@pytest.mark.usefixtures("identity")
@pytest.mark.parametrize(
    ("mode", "role", "missing"),
    [
        ("chat", None, "Cognitive Services OpenAI User"),
        ("batch", "Cognitive Services OpenAI User", "Cognitive Services OpenAI Contributor"),
    ],
)
def test_a_missing_role_is_named(spillway: Spillway, mode: str, role: str | None, missing: str) -> None:
    run = spillway(ENTRA.replace("$MODE", mode))
    run.sim.resource("east", role=role)
    assert missing in findings(run, "role")["gpt-4o"]["todo"]


@pytest.mark.usefixtures("identity")
def test_an_identity_that_cannot_sign_in_is_told(spillway: Spillway) -> None:
    run = spillway(ENTRA.replace("$MODE", "chat"))
    run.sim.fault(operation="identity", status=400, body={"statusCode": 500}, times=None)
    finding = findings(run, "credential")["gpt-4o"]
    assert (finding["severity"], "cannot sign in" in finding["found"]) == ("error", True)


def test_a_resource_that_takes_no_keys_is_told(spillway: Spillway) -> None:
    run = spillway()
    run.sim.resource("east", local_auth=False)
    assert "takes no keys" in findings(run, "credential")["gpt-4o"]["found"]


def test_storage_is_written_read_and_left_as_it_was(spillway: Spillway, azurite: str) -> None:
    run = spillway(AzureWebJobsStorage=azurite)
    found = findings(run, "storage")
    assert {name: (one["severity"], one["found"]) for name, one in found.items()} == {
        "Table Storage": ("ok", "written, read and removed"),
        "Blob Storage": ("ok", "written, read and removed"),
    }


def test_no_storage_is_a_warning(spillway: Spillway) -> None:
    assert findings(spillway(), "storage")["AzureWebJobsStorage"]["severity"] == "warning"


def test_who_asks_again_at_once_is_told_the_same(spillway: Spillway) -> None:
    run = spillway()
    assert run.http.get("/health/doctor").json() == run.http.get("/health/doctor").json()
    assert len(run.sim.requests()) == 1


@pytest.mark.parametrize("headers", [{"authorization": ""}, {"authorization": "Bearer sk-wrong"}])
def test_only_the_master_key_may_ask(spillway: Spillway, headers: dict[str, str]) -> None:
    assert spillway().http.get("/health/doctor", headers=headers).status_code == 401


def test_every_check_is_documented() -> None:
    sources = (ROOT / "shared/admin").glob("doctor*.py")
    named = {
        name for path in sources for name in re.findall(r'Finding\(\s*"([a-z-]+)"', path.read_text(encoding="utf-8"))
    }
    page = (ROOT / "docs/doctor.md").read_text(encoding="utf-8")
    assert named == set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))
