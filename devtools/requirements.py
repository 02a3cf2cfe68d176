"""Regenerates requirements.txt and requirements-dev.txt from pyproject.toml; `--check` only compares.

Pins that are already there and still fit are kept, so a check fails when pyproject.toml changed, not when somebody
released something.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
# Output, and the arguments that make it. The order matters: the second is constrained by the first.
FILES = {
    "requirements.txt": ["pyproject.toml", "-o", "requirements.txt"],
    "requirements-dev.txt": [
        "pyproject.toml",
        "--group",
        "dev",
        "-c",
        "requirements.txt",
        "-o",
        "requirements-dev.txt",
    ],
}


def regenerate(folder: Path) -> None:
    """Writes both files in `folder`, which holds pyproject.toml and, to keep their pins, the present files."""
    for arguments in FILES.values():
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
        subprocess.run([*command, *arguments, "--no-header"], cwd=folder, check=True)


def stale(folder: Path) -> list[str]:
    """The files of `folder` that a regeneration would change; nothing in `folder` is touched."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for file in ("pyproject.toml", *FILES):
            shutil.copy(folder / file, copy / file)
        regenerate(copy)
        return [file for file in FILES if (copy / file).read_text() != (folder / file).read_text()]


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; fail when a file is not what pyproject.toml asks for.")
def main(check: bool) -> None:
    """Regenerate requirements.txt and requirements-dev.txt."""
    if not check:
        regenerate(ROOT)
        return
    outdated = stale(ROOT)
    if outdated:
        print(f"Not what pyproject.toml asks for: {', '.join(outdated)}. Run: make requirements", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
