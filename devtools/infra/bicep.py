"""Reads Bicep files: what they declare, and which values an expression can take.

The parser does not tell a name from a text: `location` and `'location'` are both `location`. A text that equals a
name which the file declares is taken for that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pycep import BicepParser

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that only a deployment knows; `kind` is its Bicep type, empty when that is unknown too."""

    kind: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as it is written. `body` is without loop and condition; `item` names what a loop gives."""

    symbol: str
    kind: str
    version: str
    existing: bool
    body: Mapping[str, Any]
    conditional: bool
    item: str | None

    @property
    def type_name(self) -> str:
        return f"{self.kind}@{self.version}"


@dataclass(frozen=True, slots=True)
class Module:
    """A module as it is used: `path` relative to infra/, `params` as written."""

    symbol: str
    path: str
    params: Mapping[str, Any]
    conditional: bool


@dataclass(frozen=True, slots=True)
class Document:
    """One file. `tree` is the parser's, `text` what is written."""

    path: Path
    text: str
    tree: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.path.relative_to(INFRA))

    @property
    def parameters(self) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = self.tree.get("parameters", {})
        return found

    @property
    def outputs(self) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = self.tree.get("outputs", {})
        return found

    @property
    def variables(self) -> Mapping[str, Any]:
        return {name: variable["value"] for name, variable in self.tree.get("variables", {}).items()}

    @property
    def resources(self) -> tuple[Resource, ...]:
        return tuple(_resource(symbol, found) for symbol, found in self.tree.get("resources", {}).items())

    @property
    def modules(self) -> tuple[Module, ...]:
        return tuple(self._module(symbol, found) for symbol, found in self.tree.get("modules", {}).items())

    def resource(self, symbol: str) -> Resource:
        return next(one for one in self.resources if one.symbol == symbol)

    def values(self, expression: Any, item: str | None = None) -> Iterator[Any]:
        """What `expression` can be: texts, numbers, objects, lists, None, or Unknown.

        Variables are followed, both ends of a condition are taken, a list in a loop has one element.
        """
        if isinstance(expression, str):
            yield from self._named(expression, item)
        elif not isinstance(expression, dict):
            yield expression
        elif set(expression) == {"loop_type", "condition", "config"}:
            inner = expression["loop_type"]["detail"]["item_name"]
            for value in self.values(expression["config"], inner):
                yield [value]
        elif list(expression) == ["operator"]:
            yield from self._operator(expression["operator"], item)
        elif list(expression) == ["function"]:
            yield from self._function(expression["function"], item)
        else:
            yield {name.strip("'"): value for name, value in expression.items()}

    def _named(self, text: str, item: str | None) -> Iterator[Any]:
        if text == item or text in self.tree.get("modules", {}) or text in self.tree.get("resources", {}):
            yield Unknown()
        elif text in self.parameters:
            parameter = self.parameters[text]
            allowed = [one["argument"] for one in parameter["decorators"] if one["type"] == "allowed"]
            kind = parameter["type"]
            yield from allowed[0] if allowed else [Unknown(kind if isinstance(kind, str) else kind["type"])]
        elif text in self.variables:
            yield from self.values(self.variables[text])
        else:
            yield Unknown("string") if re.search(r"\$\{", text) else text

    def _operator(self, operator: Mapping[str, Any], item: str | None) -> Iterator[Any]:
        operands = operator["operands"]
        if operator["type"] == "conditional":
            yield from self.values(operands["true_value"], item)
            yield from self.values(operands["false_value"], item)
        elif operator["type"] == "coalesce":
            yield from self.values(operands["operand_1"], item)
            yield from self.values(operands["operand_2"], item)
        else:
            yield Unknown("" if operator["type"].endswith("accessor") else "bool")

    def _function(self, function: Mapping[str, Any], item: str | None) -> Iterator[Any]:
        if function["type"] == "union":
            for argument in function["parameters"].values():
                yield from self.values(argument, item)
        else:
            texts = {"guid", "to_lower", "take", "unique_string", "subscription_resource_id"}
            yield Unknown("string" if function["type"] in texts else "")

    def _module(self, symbol: str, found: Mapping[str, Any]) -> Module:
        body, conditional, _ = _unwrapped(found["config"])
        path = (self.path.parent / found["detail"]["path"]).resolve().relative_to(INFRA)
        return Module(symbol, str(path), body.get("params", {}), conditional)


@cache
def read(path: Path) -> Document:
    """The file at `path`, read once. Raises lark's errors for what is no Bicep."""
    text = path.read_text(encoding="utf-8")
    return Document(path, text, _parser().parse(text=text))


@cache
def _parser() -> BicepParser:
    return BicepParser()


def read_all() -> dict[str, Document]:
    """Every Bicep file, by its path below infra/."""
    documents = [read(path) for path in sorted(INFRA.rglob("*.bicep"))]
    return {document.name: document for document in documents}


def _resource(symbol: str, found: Mapping[str, Any]) -> Resource:
    body, conditional, item = _unwrapped(found["config"])
    return Resource(symbol, found["type"], found["api_version"], found["existing"], body, conditional, item)


def _unwrapped(config: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool, str | None]:
    """The body in a loop or behind a condition."""
    conditional, item = False, None
    while "config" in config and set(config) <= {"loop_type", "condition", "config"}:
        conditional = conditional or config.get("condition") is not None
        item = config["loop_type"]["detail"]["item_name"] if "loop_type" in config else item
        config = config["config"]
    return config, conditional, item
