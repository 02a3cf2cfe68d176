"""Writes the generated pages of docs/, or compares them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from devtools.docs import configuration, from_litellm, operations

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "docs/operations.md": operations.page,
    "docs/configuration.md": configuration.page,
    "docs/from-litellm.md": from_litellm.page,
}


def stale(root: Path) -> list[str]:
    """The pages below `root` that are not what the code says."""
    return [name for name, page in PAGES.items() if not _is(root / name, page())]


def write(root: Path) -> None:
    """Writes every page below `root`."""
    for name, page in PAGES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(page(), encoding="utf-8")


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; fail when a page is not what the code says.")
def main(check: bool) -> None:
    """Write the pages of docs/ that are made of the code."""
    if not check:
        write(ROOT)
        return
    outdated = stale(ROOT)
    if outdated:
        print(f"Not what the code says: {', '.join(outdated)}. Run: make docs", file=sys.stderr)
        sys.exit(1)


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    main()
