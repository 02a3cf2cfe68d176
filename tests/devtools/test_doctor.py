"""`python -m devtools doctor`: its table, its JSON and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from devtools.__main__ import main
from devtools.simulator import ControlClient

GOOD = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east}
"""
TYPO = GOOD.replace("azure/gpt-4o", "azure/gpt4-o")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the shell that runs the tests."""
    for name in ("SPILLWAY_CONFIG", "SPILLWAY_MASTER_KEY", "AzureWebJobsStorage", "AZURE_API_BASE", "AZURE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sim_url(url: str, sim: ControlClient) -> str:
    """The simulator of this module, as at its start."""
    return url


def doctor(tmp_path: Path, config: str, url: str, *arguments: str) -> Result:
    path = tmp_path / "config.yaml"
    path.write_text(config.replace("$SIM", url))
    return CliRunner().invoke(main, ["doctor", "--config", str(path), *arguments])


def test_a_configuration_that_works_ends_well(tmp_path: Path, sim_url: str) -> None:
    result = doctor(tmp_path, GOOD, sim_url)
    assert result.exit_code == 0, result.output
    assert "ok       deployment" in result.output
    assert "0 errors, 1 warnings" in result.output  # no storage


def test_a_wrong_name_ends_badly_and_says_what_to_do(tmp_path: Path, sim_url: str) -> None:
    result = doctor(tmp_path, TYPO, sim_url)
    assert result.exit_code == 1
    lines = [line.strip() for line in result.output.splitlines()]
    assert lines[0] == "ERROR    deployment  model_list[0] (gpt-4o) gpt4-o"
    assert lines[1] == "deployment does not exist: gpt4-o"
    assert lines[2].startswith("→ Create it at the resource")


def test_json_is_the_report_of_the_route(tmp_path: Path, sim_url: str) -> None:
    report = json.loads(doctor(tmp_path, TYPO, sim_url, "--json").output)
    assert (report["object"], report["healthy"], report["errors"]) == ("doctor.report", False, 1)
    assert report["findings"][0]["found"] == "deployment does not exist: gpt4-o"


def test_a_configuration_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    result = doctor(tmp_path, "model_list:\n  - model_name: 5\n", "")
    assert result.exit_code == 1
    assert "ERROR    configuration  configuration" in result.output
    assert "model_list[0]" in result.output
