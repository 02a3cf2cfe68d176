"""The package that is deployed has compiled modules that are still valid after Azure's build has copied them."""

from __future__ import annotations

import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ".python_packages/lib/site-packages"


def post_build(folder: Path) -> subprocess.CompletedProcess[str]:
    """What Oryx does with the command of appsvc.yaml: a shell in the folder of the sources, `$python` its Python."""
    command = yaml.safe_load((ROOT / "appsvc.yaml").read_text(encoding="utf-8"))["post-build"]
    environ = {**os.environ, "python": sys.executable}
    environ.pop("PYTHONPYCACHEPREFIX", None)
    return subprocess.run(["sh", "-c", f"set -e; {command}"], cwd=folder, env=environ, capture_output=True, text=True)


def copied(folder: Path, place: Path) -> Path:
    """As `rsync -rcE` copies: contents without times. Every source then says something else than what was compiled."""
    shutil.copytree(folder, place, copy_function=shutil.copyfile)
    for source in place.rglob("*.py"):
        source.write_text('FROM = "the source"\n', encoding="utf-8")
        os.utime(source, (1_000_000_000, 1_000_000_000))
    return place


def imported(module: str, folder: Path) -> str:
    script = f"import {module}; print({module}.FROM)"
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPYCACHEPREFIX"}
    return subprocess.run(
        [sys.executable, "-B", "-c", script], cwd=folder, env=environ, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def write(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text('FROM = "what was compiled"\n', encoding="utf-8")
    return folder


def test_what_the_build_compiles_is_valid_after_a_copy(tmp_path: Path) -> None:
    built = write(tmp_path / "built", "shared/thing.py", f"{PACKAGES}/library.py")
    assert post_build(built).returncode == 0
    package = copied(built, tmp_path / "package")
    assert imported("shared.thing", package) == "what was compiled"
    assert imported("library", package / PACKAGES) == "what was compiled"


def test_trap_what_pip_compiles_is_stale_after_a_copy(tmp_path: Path) -> None:
    built = write(tmp_path / "built", "library.py")
    py_compile.compile(str(built / "library.py"), invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    assert imported("library", copied(built, tmp_path / "package")) == "the source"


def test_what_pip_compiled_is_compiled_again(tmp_path: Path) -> None:
    built = write(tmp_path / "built", "library.py")
    py_compile.compile(str(built / "library.py"), invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    post_build(built)
    assert imported("library", copied(built, tmp_path / "package")) == "what was compiled"


def test_a_module_that_does_not_compile_stops_no_deployment(tmp_path: Path) -> None:
    built = write(tmp_path / "built", "library.py")
    (built / "template.py").write_text("def {{ name }}():\n", encoding="utf-8")
    assert post_build(built).returncode == 0
    assert imported("library", copied(built, tmp_path / "package")) == "what was compiled"


def test_the_package_brings_the_command_and_no_bytecode_of_its_author() -> None:
    ignored = (ROOT / ".funcignore").read_text(encoding="utf-8").splitlines()
    assert "__pycache__" in ignored
    assert not {"appsvc.yaml", "*.yaml", "requirements.txt"} & set(ignored)
