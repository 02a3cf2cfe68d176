"""function_app.py as the host reads it: which function answers which path, in the host's own order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from devtools.host.index import Index, index, load_app, read_host_json
from devtools.host.routes import RESERVED_PREFIXES, Route, ambiguities, in_host_order
from shared import gateway
from shared.operations.operation import Operation
from shared.operations.table import OPERATIONS

ROOT = Path(__file__).resolve().parent.parent
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
BY_NAME = {operation.name: operation for operation in OPERATIONS}
ids = [operation.name for operation in OPERATIONS]


@pytest.fixture(scope="module")
def app() -> func.FunctionRegister:
    """A FunctionApp of this module's own: one gives its functions only once."""
    gateway.use(
        gateway.read_plan({"AZURE_API_BASE": "http://127.0.0.1:1", "AZURE_API_KEY": "k", "SPILLWAY_MASTER_KEY": "m"})
    )
    sys.modules.pop("function_app", None)
    try:
        return load_app(ROOT)
    finally:
        sys.modules.pop("function_app", None)


@pytest.fixture(scope="module")
def indexed(app: func.FunctionRegister) -> Index:
    return index(app, read_host_json(ROOT))


def example(operation: Operation) -> str:
    """A path of the operation, its `{...}` filled."""
    parts = ["a/b" if part.startswith("{*") else "x1" if part.startswith("{") else part
             for part in operation.route.split("/")]  # fmt: skip
    return "/" + "/".join(parts)


def test_the_host_loads_every_function(indexed: Index) -> None:
    assert indexed.problems == ()


def test_a_start_loads_nothing_that_only_some_calls_need() -> None:
    heavy = ("azure.identity", "azure.storage.blob", "azure.data.tables", "openai", "devtools", "tests")
    code = f"import sys, function_app; print([name for name in {heavy} if name in sys.modules])"
    environ = {"AZURE_API_BASE": "https://r.openai.azure.com", "SPILLWAY_MASTER_KEY": "m", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


# `{*id}` also matches nothing, so both take `GET /v1/models`: the list's name must stay the first of the two.
KNOWN_OVERLAPS = {("models_list", "models_retrieve")}


def test_no_two_routes_match_the_same_request(indexed: Index) -> None:
    found = {(first.name, second.name) for first, second in ambiguities(indexed.table.routes)}
    assert found <= KNOWN_OVERLAPS


def test_the_aliases_are_tried_last(indexed: Index) -> None:
    last = in_host_order(indexed.table.routes)[-1]
    assert (last.name, last.template) == ("zz_aliases", "{*path}")


def test_no_other_function_catches_all_paths(indexed: Index) -> None:
    assert [route.name for route in indexed.table.routes if route.template.startswith("{")] == ["zz_aliases"]


def test_there_is_a_function_for_every_operation_and_no_other(indexed: Index) -> None:
    http = {name for name, function in indexed.functions.items() if function.kind == "httpTrigger"}
    assert http == {*BY_NAME, "zz_aliases"}


@pytest.mark.parametrize("operation", OPERATIONS, ids=ids)
def test_a_functions_route_and_method_are_the_operations(indexed: Index, operation: Operation) -> None:
    function = indexed.functions[operation.name]
    assert (function.template, function.methods) == (operation.route, (operation.method,))
    assert operation.route == (f"v1/{operation.path}" if operation.root else operation.path)


@pytest.mark.parametrize("operation", OPERATIONS, ids=ids)
def test_an_operations_path_reaches_its_own_function(indexed: Index, operation: Operation) -> None:
    found = indexed.table.match(operation.method, example(operation))
    assert found is not None
    assert found.name == operation.name


@pytest.mark.parametrize("operation", OPERATIONS, ids=ids)
def test_an_operations_path_by_another_method_reaches_the_aliases(indexed: Index, operation: Operation) -> None:
    taken = {(one.method, one.route) for one in OPERATIONS}
    for method in METHODS:
        if (method, operation.route) in taken:
            continue
        found = indexed.table.match(method, example(operation))
        assert found is not None
        # `GET responses/compact` asks for a response of that name, and there is none.
        assert found.name == "zz_aliases" or "{" in BY_NAME[found.name].path


@pytest.mark.parametrize("prefix", ["/", "/openai/", "/openai/v1/", "/openai/deployments/d/", "/engines/a/b/"])
@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.root], ids=lambda one: one.name)
def test_every_other_spelling_reaches_the_aliases(indexed: Index, operation: Operation, prefix: str) -> None:
    found = indexed.table.match(operation.method, prefix + example(operation).removeprefix("/v1/"))
    assert found is not None
    assert found.name == "zz_aliases"


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/v1", "/v1/", "/favicon.ico", "/x/y/z"])
@pytest.mark.parametrize("method", METHODS)
def test_every_path_and_method_is_answered_by_the_app(indexed: Index, method: str, path: str) -> None:
    assert indexed.table.match(method, path) is not None


def test_every_function_lists_its_methods(indexed: Index) -> None:
    silent = [name for name, one in indexed.functions.items() if one.kind == "httpTrigger" and not one.methods]
    assert silent == []


def test_no_route_is_in_the_hosts_own_space(indexed: Index) -> None:
    assert [route.name for route in indexed.table.routes if route.template.startswith(RESERVED_PREFIXES)] == []


def test_routes_have_no_prefix_from_host_json(indexed: Index) -> None:
    assert read_host_json(ROOT)["extensions"]["http"]["routePrefix"] == ""


def test_the_host_asks_for_no_key_of_its_own(app: func.FunctionRegister, indexed: Index) -> None:
    triggers: list[Any] = [builder._function.get_trigger() for builder in app._function_builders]
    levels = [one.auth_level for one in triggers if one.get_binding_name() == "httpTrigger"]
    assert levels == [func.AuthLevel.ANONYMOUS] * len(indexed.table.routes)


def test_an_overlap_would_be_found() -> None:
    one = Route("a_list", "v1/things/{id}", frozenset({"GET"}))
    other = Route("b_named", "v1/things/special", frozenset({"GET"}))
    assert ambiguities([one, other]) == [(one, other)]
