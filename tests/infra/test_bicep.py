"""The Bicep as such: it parses, its pieces fit together, and Azure's published types know what it writes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from devtools.infra import bicep, shapes
from devtools.infra.published import SOURCES

DOCUMENTS = bicep.read_all()
SHAPES = shapes.table()
RESOURCES = [
    pytest.param(document, resource, id=f"{document.name}:{resource.symbol}")
    for document in DOCUMENTS.values()
    for resource in document.resources
    if not resource.existing
]
MODULES = [
    pytest.param(document, module, id=module.symbol) for document in DOCUMENTS.values() for module in document.modules
]


def decorators(declared: Any, kind: str) -> list[Any]:
    return [one for one in declared["decorators"] if one["type"] == kind]


@pytest.fixture(params=list(DOCUMENTS.values()), ids=list(DOCUMENTS))
def document(request: pytest.FixtureRequest) -> bicep.Document:
    found: bicep.Document = request.param
    return found


def test_every_module_is_used() -> None:
    used = {module.path for one in DOCUMENTS.values() for module in one.modules}
    assert set(DOCUMENTS) == used | {"main.bicep"}


def test_nothing_is_restored_from_a_registry(document: bicep.Document) -> None:
    assert not re.search(r"'(br|ts)[:/]", document.text)


def test_every_parameter_and_output_says_what_it_is(document: bicep.Document) -> None:
    declared = {**document.parameters, **document.outputs}
    assert [name for name, one in declared.items() if not decorators(one, "description")] == []


def test_every_parameter_and_variable_is_used(document: bicep.Document) -> None:
    words = re.findall(r"\w+", re.sub(r"^(?:@description\(.*|\s*//.*)$", "", document.text, flags=re.MULTILINE))
    assert [name for name in (*document.parameters, *document.variables) if words.count(name) < 2] == []


@pytest.mark.parametrize(("document", "module"), MODULES)
def test_a_module_gets_the_parameters_that_it_takes(document: bicep.Document, module: bicep.Module) -> None:
    taken = DOCUMENTS[module.path].parameters
    needed = {name for name, one in taken.items() if one["default"] is None}
    assert needed <= set(module.params) <= set(taken)


@pytest.mark.parametrize(("document", "module"), MODULES)
def test_a_parameter_is_of_the_type_that_the_module_takes(document: bicep.Document, module: bicep.Module) -> None:
    taken = DOCUMENTS[module.path].parameters
    for name, expression in module.params.items():
        for value in document.values(expression):
            kind = value.kind if isinstance(value, bicep.Unknown) else type(value).__name__
            kind = {"str": "string", "list": "array", "dict": "object"}.get(kind, kind)
            assert kind in ("", taken[name]["type"]), name


def test_the_outputs_that_are_read_exist(document: bicep.Document) -> None:
    modules = {module.symbol: module for module in document.modules}
    for symbol, output in re.findall(r"\b(\w+)!?(?:\[\w+\])?\.outputs\.(\w+)", document.text):
        assert output in DOCUMENTS[modules[symbol].path].outputs


def test_a_conditional_module_is_read_only_where_its_condition_holds(document: bicep.Document) -> None:
    conditional = [module.symbol for module in document.modules if module.conditional]
    for symbol in conditional:
        reads = re.findall(rf"^.*\b{symbol}!?\.outputs\..*$", document.text, re.MULTILINE)
        assert all("usePrivateNetwork ? " in line for line in reads)


@pytest.mark.parametrize(("document", "resource"), RESOURCES)
def test_a_resource_is_as_its_published_type_says(document: bicep.Document, resource: bicep.Resource) -> None:
    assert shapes.problems(document, resource, SHAPES) == []


def test_the_table_has_the_types_that_are_used_and_no_others() -> None:
    used = {one.type_name for document in DOCUMENTS.values() for one in document.resources}
    assert used == set(SHAPES) == set(SOURCES)
    assert {name: str(source) for name, source in SOURCES.items()} == {
        name: one["source"] for name, one in SHAPES.items()
    }


def changed(symbol: str, path: str, value: Any, module: str = "modules/app.bicep") -> list[str]:
    """What is found of a resource with `value` written at `path`, None taking it out."""
    document = DOCUMENTS[module]
    resource = document.resource(symbol)

    def put(body: dict[str, Any], names: list[str]) -> dict[str, Any]:
        name, *rest = names
        if rest:
            return {**body, name: put(body[name], rest)}
        return {key: one for key, one in body.items() if key != name} | ({} if value is None else {name: value})

    body = put(dict(resource.body), path.split("."))
    return shapes.problems(document, replace(resource, body=body), SHAPES)


@pytest.mark.parametrize(
    ("symbol", "path", "value", "said"),
    [
        ("app", "properties.httpOnly", True, "httpOnly is no property"),
        ("app", "properties.HttpsOnly", True, "HttpsOnly is no property, httpsOnly is"),
        ("app", "properties.httpsOnly", "yes", "'yes', expected bool"),
        ("app", "properties.functionAppConfig.runtime.name", "pyton", "'pyton', expected one of"),
        ("app", "properties.functionAppConfig.scaleAndConcurrency.alwaysReady", "http", "expected array"),
        (
            "app",
            "properties.functionAppConfig.scaleAndConcurrency.maximumInstanceCount",
            "name",
            "string, expected int",
        ),
        ("app", "properties.siteConfig.minTlsVersion", {"at": "1.2"}, "an object, expected one of"),
        ("app", "properties.siteConfig.cors", {"allowedOrigins": []}, "make infra-types"),
        ("app", "location", None, "has no location"),
        ("app", "name", None, "has no name"),
        ("settings", "properties", {"A": 1}, "1, expected string"),
        ("plan", "sku", [], "a list, expected object"),
    ],
)
def test_a_mistake_is_found(symbol: str, path: str, value: Any, said: str) -> None:
    [problem] = changed(symbol, path, value)
    assert said in problem


def test_another_api_version_is_found() -> None:
    document = DOCUMENTS["modules/app.bicep"]
    resource = replace(document.resource("app"), version="2022-03-01")
    [problem] = shapes.problems(document, resource, SHAPES)
    assert "is not in the table" in problem
