"""The public surface as a table: a route, a variable or a key without a test or a line in docs/ fails the build.

A module of tests/contract names the functions that it tests in a module-level `OPERATIONS`.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from devtools.docs import configuration, operations
from devtools.docs.__main__ import PAGES, stale, write
from shared.config import support
from shared.operations.table import OPERATIONS

ROOT = Path(__file__).resolve().parents[1]
ALIASES = "zz_aliases"
NAMES = [*(operation.name for operation in OPERATIONS), ALIASES]
CONTRACT = sorted((ROOT / "tests" / "contract").glob("test_*.py"))
_VARIABLE = re.compile(r"(SPILLWAY|AZURE|OPENAI)_[A-Z][A-Z0-9_]*|AzureWebJobsStorage")


def named_by(path: Path) -> tuple[str, ...]:
    """The functions that a test module says it tests."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "OPERATIONS" for target in targets):
            assert isinstance(node, ast.Assign)
            return tuple(ast.literal_eval(node.value))
    return ()


def documented(page: str) -> set[str]:
    """What stands in the first column of the tables of a page, without its backquotes."""
    return set(re.findall(r"^\| `([^`]+)` \|", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE))


def variables() -> set[str]:
    """Every environment variable that a string of the deployed code names in full."""
    found: set[str] = set()
    for path in sorted((ROOT / "shared").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _VARIABLE.fullmatch(node.value):
                found.add(node.value)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_function_has_a_contract_test(name: str) -> None:
    assert [path.name for path in CONTRACT if name in named_by(path)]


@pytest.mark.parametrize("path", CONTRACT, ids=lambda path: path.stem)
def test_a_contract_test_names_functions_that_exist(path: Path) -> None:
    assert set(named_by(path)) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_function_is_documented(name: str) -> None:
    page = "docs/operations.md"
    assert name in documented(page) or f"`{name}`" in (ROOT / page).read_text(encoding="utf-8")


def test_every_variable_that_is_read_is_documented() -> None:
    assert variables() - documented("docs/configuration.md") == set()


def test_every_variable_that_is_documented_is_read() -> None:
    assert set(configuration.VARIABLES) - variables() == set()


@pytest.mark.parametrize("section", configuration.SECTIONS)
def test_every_key_that_is_read_is_documented_and_explained(section: str) -> None:
    model, _ = configuration.SECTIONS[section]
    rows = configuration.key_rows(model)
    assert {row[0].strip("`") for row in rows} == support.known_keys(model)
    assert [row[0] for row in rows if not row[3]] == []


def test_every_part_of_the_file_is_documented() -> None:
    assert {listed for _, listed in configuration.SECTIONS.values()} | {""} == set(support.UNSUPPORTED)


def test_the_pages_are_what_the_code_says() -> None:
    assert stale(ROOT) == []


def test_a_page_that_is_not_is_found_and_mended(tmp_path: Path) -> None:
    assert stale(tmp_path) == list(PAGES)
    write(tmp_path)
    assert stale(tmp_path) == []
    page = tmp_path / "docs" / "operations.md"
    page.write_text(page.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert stale(tmp_path) == ["docs/operations.md"]


def test_only_what_streams_is_said_to_stream() -> None:
    streaming = {operations.row(one)[0] for one in OPERATIONS if operations.row(one)[3] == "yes"}
    assert "`chat_completions`" in streaming
    assert streaming.isdisjoint({"`embeddings`", "`responses_delete`", "`models_list`", "`health`"})
