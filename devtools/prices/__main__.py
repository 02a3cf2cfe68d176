"""Writes the price book, or compares it with its tables."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from devtools.prices.book import book, written

TABLES = Path(__file__).with_name("tables")
BOOK = Path(__file__).resolve().parents[2] / "shared/catalog/prices.json"


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; fail when the book is not what the tables say.")
def main(check: bool) -> None:
    """Write shared/catalog/prices.json from the tables."""
    try:
        text = written(book(TABLES))
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    if not check:
        BOOK.write_text(text, encoding="utf-8")
    elif not BOOK.is_file() or BOOK.read_text(encoding="utf-8") != text:
        print("Not what the tables say: shared/catalog/prices.json. Run: make prices", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
