"""The hook that uploads the configuration, with an `az` that writes down what it is asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devtools.infra import bicep

HOOK = bicep.INFRA / "hooks" / "postprovision.sh"
MODELS = [{"model_name": "gpt-5-mini", "litellm_params": {"model": "azure/gpt-5-mini"}}]
FAKE_AZ = """#!/bin/sh
echo "$*" >>"$AZ_CALLS"
case "$*" in
  *"blob exists"*) test "$(grep -c 'blob exists' "$AZ_CALLS")" -gt "${AZ_REFUSALS:-0}" || exit 1; echo "$AZ_EXISTS" ;;
  *"metadata show"*) echo "$AZ_MADE_BY" ;;
  *"blob upload"*) while [ "$1" != -f ]; do shift; done; cp "$2" "$AZ_UPLOADED" ;;
esac
"""


@dataclass
class Ran:
    """How the hook ended. `calls` are the arguments of each `az`, `uploaded` what was uploaded."""

    code: int
    said: str
    calls: list[str] = field(default_factory=list)
    uploaded: str | None = None


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Ran]:
    def start(*, az: bool = True, **environ: str) -> Ran:
        tools = tmp_path / "bin"
        tools.mkdir()
        for tool in ("sh", "mktemp", "rm", "sleep", "grep", "cp"):
            found = shutil.which(tool)
            assert found is not None
            (tools / tool).symlink_to(found)
        if az:
            (tools / "az").write_text(FAKE_AZ)
            (tools / "az").chmod(0o755)
        calls, uploaded = tmp_path / "calls", tmp_path / "uploaded"
        ran = subprocess.run(
            ["/bin/sh", str(HOOK)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={
                "PATH": str(tools),
                "AZ_CALLS": str(calls),
                "AZ_UPLOADED": str(uploaded),
                "AZURE_STORAGE_ACCOUNT_NAME": "stabc",
                "SPILLWAY_CONFIGURATION_FROM": "blob",
                "SPILLWAY_HOOK_PAUSE_S": "0",
                "AZ_EXISTS": "false",
                **environ,
            },
        )
        return Ran(
            ran.returncode,
            ran.stdout + ran.stderr,
            calls.read_text().splitlines() if calls.exists() else [],
            uploaded.read_text() if uploaded.exists() else None,
        )

    return start


def test_the_accounts_of_the_deployment_become_a_configuration(run: Callable[..., Ran]) -> None:
    ran = run(SPILLWAY_MODEL_LIST=json.dumps(MODELS))
    assert (ran.code, json.loads(ran.uploaded or "")) == (0, {"model_list": MODELS})
    assert all("--auth-mode login" in call and "--account-name stabc" in call for call in ran.calls)
    assert "--metadata madeby=azd" in ran.calls[-1]


def test_a_file_that_is_named_is_uploaded_over_what_is_there(run: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "my config.yaml").write_text("model_list: []\n")
    ran = run(SPILLWAY_CONFIG_FILE="my config.yaml", AZ_EXISTS="true", SPILLWAY_MODEL_LIST=json.dumps(MODELS))
    assert (ran.code, ran.uploaded) == (0, "model_list: []\n")
    assert "metadata" not in ran.calls[-1]


def test_a_configuration_that_somebody_wrote_stays(run: Callable[..., Ran]) -> None:
    ran = run(SPILLWAY_MODEL_LIST=json.dumps(MODELS), AZ_EXISTS="true", AZ_MADE_BY="")
    assert (ran.code, ran.uploaded) == (0, None)
    assert "stays as it is" in ran.said


def test_a_configuration_that_azd_made_is_made_again(run: Callable[..., Ran]) -> None:
    ran = run(SPILLWAY_MODEL_LIST=json.dumps(MODELS), AZ_EXISTS="true", AZ_MADE_BY="azd")
    assert (ran.code, json.loads(ran.uploaded or "")) == (0, {"model_list": MODELS})


def test_a_role_that_is_not_known_yet_is_waited_for(run: Callable[..., Ran]) -> None:
    ran = run(SPILLWAY_MODEL_LIST=json.dumps(MODELS), AZ_REFUSALS="2")
    assert (ran.code, ran.uploaded is not None) == (0, True)


def test_it_gives_up_and_says_how_to_do_it_later(run: Callable[..., Ran]) -> None:
    ran = run(SPILLWAY_MODEL_LIST=json.dumps(MODELS), AZ_REFUSALS="99")
    assert (ran.code, ran.uploaded, len(ran.calls)) == (1, None, 12)
    assert "az storage blob upload" in ran.said


def test_without_azure_cli_nothing_fails(run: Callable[..., Ran]) -> None:
    ran = run(az=False, SPILLWAY_MODEL_LIST=json.dumps(MODELS))
    assert ran.code == 0
    assert "az storage blob upload" in ran.said


def test_without_accounts_and_without_a_file_it_says_what_is_missing(run: Callable[..., Ran]) -> None:
    ran = run(SPILLWAY_MODEL_LIST="[]")
    assert (ran.code, ran.calls) == (0, [])
    assert "SPILLWAY_CONFIG_FILE" in ran.said


def test_a_file_that_is_not_there_is_an_error(run: Callable[..., Ran]) -> None:
    ran = run(SPILLWAY_CONFIG_FILE="missing.yaml")
    assert (ran.code, ran.uploaded) == (1, None)


def test_a_configuration_in_the_package_needs_no_upload(run: Callable[..., Ran]) -> None:
    ran = run(SPILLWAY_CONFIGURATION_FROM="package", SPILLWAY_MODEL_LIST=json.dumps(MODELS))
    assert (ran.code, ran.calls) == (0, [])


def test_the_hook_may_be_run() -> None:
    assert os.access(HOOK, os.X_OK)
