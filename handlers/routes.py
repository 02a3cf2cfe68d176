"""Registers a trigger for an operation: its name, route and method come from the operation table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import azure.functions as func

from shared.hosting import Request, Response
from shared.operations.operation import Operation

Handler = Callable[[Request], Awaitable[Response]]


def trigger(blueprint: func.Blueprint, operation: Operation) -> Callable[[Handler], object]:
    """Decorates the handler of `operation`. Spillway tells callers itself, so the host asks for no key."""

    def register(handler: Handler) -> object:
        route = blueprint.route(
            route=operation.route,
            methods=[operation.method],
            auth_level=func.AuthLevel.ANONYMOUS,
            trigger_arg_name="request",
        )
        return blueprint.function_name(operation.name)(route(handler))

    return register
