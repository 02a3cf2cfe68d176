"""Reads `function_app.py` the way the Python worker does: import, find the one app, ask it for its functions."""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from azure.functions import FunctionRegister, TimerRequest
from azurefunctions.extensions.base import RequestTrackerMeta, ResponseTrackerMeta

from devtools.host.routes import LoadError, Route, RouteTable, checked, join_prefix

SCRIPT = "function_app.py"
Kind = Literal["httpTrigger", "timerTrigger"]
# What the host assumes when host.json has no `extensions.http.routePrefix`.
ROUTE_PREFIX_DEFAULT = "api"


class IndexingError(Exception):
    """The worker would refuse the whole app, not only this function (its FunctionLoadError)."""


@dataclass(frozen=True)
class Function:
    """One indexed function. `parameter` is the name its trigger value is passed under."""

    name: str
    kind: Kind
    handler: Callable[..., Any]
    parameter: str
    takes_context: bool
    is_async: bool
    methods: tuple[str, ...] = ()
    template: str = ""
    schedule: str = ""
    run_on_startup: bool = False


@dataclass(frozen=True)
class Index:
    """What an app consists of: functions by name, their routes in order, and why others were not loaded."""

    functions: Mapping[str, Function]
    table: RouteTable
    problems: tuple[str, ...]
    custom_headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def timers(self) -> list[Function]:
        return [function for function in self.functions.values() if function.kind == "timerTrigger"]


def load_app(app_dir: Path) -> FunctionRegister:
    """Imports `function_app.py` of `app_dir`, whose folder comes last on `sys.path` as in the 3.13 worker.

    The module is executed at every call, because a FunctionApp tells its functions only once.
    Raises whatever the module raises, IndexingError without exactly one app in it.
    """
    module = _import_script(app_dir.resolve() / SCRIPT)
    apps = [value for value in vars(module).values() if isinstance(value, FunctionRegister)]
    if len(apps) != 1:
        raise IndexingError(f"{SCRIPT} has {len(apps)} top-level FunctionApp objects, not exactly one")
    return apps[0]


def read_host_json(app_dir: Path) -> dict[str, Any]:
    """host.json of the app, or {} when there is none."""
    path = app_dir / "host.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def index(app: FunctionRegister, host_json: Mapping[str, Any]) -> Index:
    """Every function of `app` that the host would load, with the reasons for those that it would not.

    Raises IndexingError for what makes the worker refuse the app.
    """
    http = host_json.get("extensions", {}).get("http", {})
    prefix = http.get("routePrefix", ROUTE_PREFIX_DEFAULT)
    functions: dict[str, Function] = {}
    routes: list[Route] = []
    problems: list[str] = []
    for indexed in sorted(app.get_functions(), key=lambda function: str(function.get_function_name()).upper()):
        name = str(indexed.get_function_name())
        try:
            function = _function(name, indexed, prefix)
            if function.kind == "httpTrigger":
                routes.append(Route(name, function.template, frozenset(function.methods)))
            functions[name] = function
        except LoadError as error:
            problems.append(f"The '{name}' function is in error: {error}.")
    table = RouteTable(routes)
    for name, reason in table.rejected:
        del functions[name]
        problems.append(f"The '{name}' function is in error: {reason}.")
    return Index(functions, table, tuple(problems), dict(http.get("customHeaders", {})))


def _import_script(script: Path) -> ModuleType:
    name = script.stem
    if not script.exists():
        raise IndexingError(f"there is no {SCRIPT} in {script.parent}")
    if str(script.parent) not in sys.path:
        sys.path.append(str(script.parent))
    spec = importlib.util.spec_from_file_location(name, script)
    if spec is None or spec.loader is None:
        raise ImportError(f"{script} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _function(name: str, indexed: Any, prefix: str) -> Function:
    trigger = indexed.get_trigger()
    kind = _kind(trigger)
    route = checked(name, getattr(trigger, "route", None) or name)
    handler = indexed.get_user_function()
    _check_annotations(name, handler, kind, trigger.name)
    base = Function(
        name=name,
        kind=kind,
        handler=handler,
        parameter=trigger.name,
        takes_context=_takes_context(name, handler, trigger.name),
        is_async=inspect.iscoroutinefunction(handler),
    )
    if kind == "timerTrigger":
        return replace(base, schedule=trigger.schedule, run_on_startup=bool(trigger.run_on_startup))
    methods = tuple(str(getattr(method, "value", method)).upper() for method in trigger.methods or ())
    return replace(base, methods=methods, template=join_prefix(prefix, route))


def _kind(trigger: Any) -> Kind:
    kind = "no trigger" if trigger is None else trigger.get_binding_name()
    if kind == "httpTrigger":
        return "httpTrigger"
    if kind == "timerTrigger":
        return "timerTrigger"
    raise LoadError(f"{kind} is not supported by this host, which knows httpTrigger and timerTrigger")


def _takes_context(name: str, handler: Callable[..., Any], parameter: str) -> bool:
    """Checks a handler's parameters as the worker does when it loads a function."""
    parameters = set(inspect.signature(handler).parameters)
    if parameter not in parameters:
        raise IndexingError(f"cannot load the {name} function: it has no parameter '{parameter}' for its trigger")
    unknown = parameters - {parameter, "context"}
    if unknown:
        raise IndexingError(f"cannot load the {name} function: parameters without binding: {sorted(unknown)}")
    return "context" in parameters


def _check_annotations(name: str, handler: Callable[..., Any], kind: str, parameter: str) -> None:
    """The worker accepts only the extension's types: one request class in, one response class (no union) out."""
    hints = typing.get_type_hints(handler)
    if kind == "timerTrigger":
        given = hints.get(parameter, TimerRequest)
        accepted = isinstance(given, type) and issubclass(given, TimerRequest)
    else:
        given = hints.get(parameter)
        accepted = given is None or RequestTrackerMeta.check_type(given)
        if accepted and hints.get("return") is not None:
            given = hints["return"]
            accepted = ResponseTrackerMeta.check_type(given)
    if not accepted:
        raise IndexingError(f"cannot load the {name} function: its annotation {given!r} does not fit a {kind}")
