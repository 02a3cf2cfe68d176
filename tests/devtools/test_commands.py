"""`python -m devtools`, the generated requirement files, and the list of what is deployed."""

from __future__ import annotations

import json
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from click.testing import CliRunner

from devtools.__main__ import main
from devtools.requirements import FILES, regenerate, stale

ROOT = Path(__file__).parents[2]
DEPLOYED = {"function_app.py", "host.json", "requirements.txt", "handlers", "shared", "config.yaml", "appsvc.yaml"}


@pytest.mark.parametrize("name", ["up", "host", "simulator", "storage"])
def test_every_command_is_listed_with_its_help(name: str) -> None:
    assert f"  {name} " in CliRunner().invoke(main, ["--help"]).output


@pytest.mark.parametrize("name", ["up", "host", "simulator", "storage"])
def test_every_command_explains_its_port(name: str) -> None:
    assert "--port" in CliRunner().invoke(main, [name, "--help"]).output


def test_an_unknown_command_is_refused() -> None:
    assert CliRunner().invoke(main, ["fly"]).exit_code == 2


def test_help_imports_no_command() -> None:
    code = """if True:
        import sys
        from devtools.__main__ import main
        main(["--help"], standalone_mode=False)
        print("devtools.up" in sys.modules)"""
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.endswith("False\n")


def test_requirement_files_name_no_registry_and_no_folder() -> None:
    for file in FILES:
        assert [line for line in (ROOT / file).read_text().splitlines() if "://" in line or " /" in line] == []


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that needs nothing, so that no registry is asked."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.11"\n[dependency-groups]\ndev = []\n'
    )
    for file in FILES:
        (tmp_path / file).write_text("")
    return tmp_path


def test_a_check_of_what_was_just_generated_finds_nothing(project: Path) -> None:
    regenerate(project)
    assert stale(project) == []


def test_a_check_finds_what_a_regeneration_would_change_and_leaves_it(project: Path) -> None:
    regenerate(project)
    (project / "requirements.txt").write_text("left-over==1.0\n")
    assert stale(project) == ["requirements.txt"]
    assert (project / "requirements.txt").read_text() == "left-over==1.0\n"


def test_what_is_deployed_is_not_ignored() -> None:
    patterns = (ROOT / ".funcignore").read_text().split()
    assert [name for name in DEPLOYED if any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_everything_else_of_the_repository_is_ignored() -> None:
    patterns = (ROOT / ".funcignore").read_text().split()
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {name.split("/")[0] for name in tracked.splitlines()} - DEPLOYED
    assert [name for name in sorted(top) if not any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_the_example_settings_are_those_of_func_start() -> None:
    values = json.loads((ROOT / "local.settings.example.json").read_text())["Values"]
    assert values["FUNCTIONS_WORKER_RUNTIME"] == "python"
