"""devtools/prices: the book is made of its tables, and a mistake in them is told with its place."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from devtools.prices.book import book, written

ROOT = Path(__file__).resolve().parents[2]
TABLES = ROOT / "devtools/prices/tables"


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A copy of the tables, to be spoilt."""
    return Path(shutil.copytree(TABLES, tmp_path / "tables"))


def test_the_check_passes_on_what_is_here() -> None:
    ran = subprocess.run([sys.executable, "-m", "devtools.prices", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_what_is_written_is_the_book() -> None:
    assert orjson.loads(written(book(TABLES))) == book(TABLES)


def test_every_row_is_one_line() -> None:
    lines = written(book(TABLES)).splitlines()
    rows = sum(len(kinds) for kinds in book(TABLES)["models"].values())
    assert sum('"source": ' in line and '"date": ' in line for line in lines) == rows


@pytest.mark.parametrize(
    ("table", "line", "said"),
    [
        ("tokens", "gpt-9,globl,standard,1,,,1,azure", "globl is no deployment type"),
        ("tokens", "gpt-9,global,fast,1,,,1,azure", "fast is no tier"),
        ("tokens", "gpt-9,global,standard,1,,,1,hearsay", "hearsay is no source"),
        ("tokens", "gpt-9,global,standard,,,,,azure", "no price"),
        ("tokens", "gpt-9,global,standard,one,,,,azure", "one is no price"),
        ("tokens", "gpt-9,global,standard,0,,,,azure", "0 is no price; what costs nothing has none"),
        ("tokens", "gpt-9,global,standard,-1,,,,azure", "-1 is no price; what costs nothing has none"),
        ("tokens", "gpt-9,global,standard,NaN,,,,azure", "NaN is no price; what costs nothing has none"),
        ("tokens", "gpt-9,global,standard,0.0000001,,,,azure", "0.0000001 has more than 6 decimals"),
        ("tokens", "gpt-9,global,standard,1,,,1", "has not the columns of its head"),
        ("tokens", "gpt-9,global,standard,1,,,1,azure,more", "has not the columns of its head"),
        ("tokens", "whisper,global,standard,1,,,1,openai\nwhisper,global,batch,1,,,1,azure", "has two sources"),
        ("tokens", "o1-pro,global,standard,1,,,1,openai", "stands there twice"),
        ("tokens", "gpt-9,global,above_1k,1,,,1,azure\ngpt-9,global,above_2k,1,,,1,azure", "two long contexts"),
        ("units", "whisper,global,minutes,1,azure", "minutes is no unit"),
        ("units", "whisper,global,audio_hour,1,azure", "stands there twice"),
        ("tools", "azure,shell,1,hearsay", "hearsay is no source"),
        ("names", "my-gpt,gpt-9", "gpt-9 has no price"),
        ("names", "gpt-4o,gpt-4", "gpt-4o stands there twice"),
        ("names", "whisper-1,whisper", "whisper-1 stands there twice"),
    ],
)
def test_a_mistake_is_told_with_its_place(tables: Path, table: str, line: str, said: str) -> None:
    path = tables / f"{table}.csv"
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"{table}\.csv:\d+: ") as caught:
        book(tables)
    assert said in str(caught.value)


def test_a_model_needs_a_global_row(tables: Path) -> None:
    path = tables / "tokens.csv"
    path.write_text(path.read_text(encoding="utf-8") + "gpt-9,data_zone,standard,1,,,1,azure\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no global row of gpt-9"):
        book(tables)


def test_a_unit_with_another_source_than_its_row_says_so() -> None:
    row = book(TABLES)["models"]["gpt-4o"]["global"]
    assert (row["source"], row["sources"]["training"]) == ("azure", "openai")
