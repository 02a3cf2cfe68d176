"""The shape of the code: floors, sizes, docstrings, and tests that can fail."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GATEWAY_FLOOR = 4
FLOORS = {
    "gateway": GATEWAY_FLOOR,
    "operations": 3,
    "admin": 3,
    "batches": 3,
    "jobs": 3,
    "plan": 2,
    "warmup": 3,
    "reload": 3,
    "callers": 2,
    "routing": 2,
    "spend": 2,
    "files": 2,
    "upstream": 1,
    "storage": 1,
    "catalog": 1,
    "usage": 1,
    "errors": 0,
    "settings": 0,
    "seal": 0,
    "values": 0,
    "shapes": 0,
    "sealed_ids": 0,
    "ids": 0,
    "supervisor": 0,
    "telemetry": 0,
    "hosting": 0,
    "config": 0,
}
"""Modules and packages of shared/, by their first name, as DESIGN has them. A new one is put on its floor here."""
NEIGHBOURS = {
    "reload": {"operations"},  # what is wrong with a changed configuration is said by /health
    "operations": {"admin", "batches", "jobs"},  # a route serves what is built or moved on there
    "upstream": {"catalog"},  # an address needs to know which api-version has what
    "config": {"errors"},
    "settings": {"errors"},
    "supervisor": {"errors"},
    "sealed_ids": {"errors", "seal", "shapes"},
}
"""The few imports within a floor, one way only."""
OPEN_TO_HANDLERS = {"gateway", "operations", "errors", "hosting"}
LINES_MAX = 300
LONGER = {"shared/errors.py": 335, "shared/upstream/endpoint.py": 360}
"""Modules that were agreed to be longer, with the length that they must not pass."""
DEPLOYED = ("function_app.py", "handlers", "shared")


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that the code names in an import, also inside functions; `from a import b` gives a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def parts_of_shared(path: Path) -> set[str]:
    """The parts of shared/ that a file imports; `shared` alone brings nothing with it."""
    names = (name.split(".") for name in imported(parsed(path)) if name.split(".")[0] == "shared")
    return {name[1] for name in names if len(name) > 1}


def own_part(path: Path) -> str:
    return path.relative_to(ROOT / "shared").parts[0].removesuffix(".py")


def test_every_module_of_shared_belongs_to_a_floor() -> None:
    found = {own_part(path) for path in sources("shared")} - {"__init__"}
    assert found == set(FLOORS)


@pytest.mark.parametrize("path", sources("shared"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_from_lower_floors_and_its_own_package_only(path: Path) -> None:
    own = own_part(path)
    floor = FLOORS.get(own, 0)
    below = {part for part, its_floor in FLOORS.items() if its_floor < floor}
    assert parts_of_shared(path) <= below | {own} | NEIGHBOURS.get(own, set())


@pytest.mark.parametrize(("own", "neighbour"), [(own, one) for own, many in NEIGHBOURS.items() for one in sorted(many)])
def test_neighbours_do_not_import_each_other(own: str, neighbour: str) -> None:
    assert FLOORS[own] == FLOORS[neighbour]
    assert own not in NEIGHBOURS.get(neighbour, set())


@pytest.mark.parametrize(("own", "neighbour"), [(own, one) for own, many in NEIGHBOURS.items() for one in sorted(many)])
def test_a_neighbour_is_named_only_while_it_is_imported(own: str, neighbour: str) -> None:
    assert any(neighbour in parts_of_shared(path) for path in sources("shared") if own_part(path) == own)


def test_the_package_shared_itself_imports_nothing() -> None:
    assert list(imported(parsed(ROOT / "shared/__init__.py"))) == []


@pytest.mark.parametrize("path", sources("shared"), ids=lambda path: str(path.relative_to(ROOT)))
def test_shared_never_imports_handlers_devtools_or_tests(path: Path) -> None:
    tops = {name.split(".")[0] for name in imported(parsed(path))}
    assert not tops & {"handlers", "devtools", "tests", "function_app"}


@pytest.mark.parametrize("path", sources("handlers"), ids=lambda path: str(path.relative_to(ROOT)))
def test_handlers_know_only_the_gateway_operations_errors_and_hosting(path: Path) -> None:
    assert parts_of_shared(path) <= OPEN_TO_HANDLERS


@pytest.mark.parametrize("path", sources("handlers"), ids=lambda path: str(path.relative_to(ROOT)))
def test_handlers_never_import_devtools_or_tests(path: Path) -> None:
    assert not {name.split(".")[0] for name in imported(parsed(path))} & {"devtools", "tests"}


@pytest.mark.parametrize("path", sources("devtools/simulator"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_simulator_shares_no_code_with_the_gateway(path: Path) -> None:
    assert not {name.split(".")[0] for name in imported(parsed(path))} & {"shared", "handlers"}


def test_nothing_that_is_deployed_is_called_tests_or_samples() -> None:
    deployed = {path.name for path in ROOT.iterdir() if path.name in DEPLOYED}
    assert deployed == set(DEPLOYED)
    assert not {name.removesuffix(".py") for name in deployed} & {"tests", "samples"}
    assert not (ROOT / "samples").exists()


def test_no_two_floors_are_skipped_in_the_table() -> None:
    assert set(FLOORS.values()) == {0, 1, 2, 3, GATEWAY_FLOOR}


CODE = sources("shared", "handlers", "devtools")


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_fits_a_few_screens(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGER.get(str(path.relative_to(ROOT)), LINES_MAX)


@pytest.mark.parametrize("name", LONGER)
def test_a_longer_module_is_named_only_while_it_is_longer(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) > LINES_MAX


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is(path: Path) -> None:
    assert (ast.get_docstring(parsed(path)) or "").strip()


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_holds_nothing_unfinished(path: Path) -> None:
    unfinished = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    assert unfinished.findall(path.read_text(encoding="utf-8")) == []


def can_fail(function: ast.FunctionDef | ast.AsyncFunctionDef, helpers: frozenset[str] = frozenset()) -> bool:
    """Whether it asserts, expects an error or a warning, or uses a helper that does: of its module, or of `Running`."""
    expects = {"raises", "warns", "fail", "await_rest", "assert_discreet"}
    return any(
        isinstance(node, ast.Assert)
        or (isinstance(node, ast.Attribute) and node.attr in expects)
        or (isinstance(node, ast.Name) and node.id in helpers)
        for node in ast.walk(function)
    )


def failing_helpers(tree: ast.Module) -> frozenset[str]:
    """The functions of a test module that assert by themselves."""
    own = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return frozenset(one.name for one in own if not one.name.startswith("test_") and can_fail(one))


def test_every_test_asserts_something() -> None:
    files = {path: parsed(path) for path in sources("tests")}
    helpers = {path: failing_helpers(tree) for path, tree in files.items()}
    idle = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path, tree in files.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not can_fail(node, helpers[path])
    ]
    assert idle == []


def test_a_test_that_asserts_nothing_is_noticed() -> None:
    function = ast.parse("def test_nothing() -> None:\n    print('asserted')").body[0]
    assert isinstance(function, ast.FunctionDef)
    assert not can_fail(function)
