"""Which models a caller may ask for, and what it means by a name: the master key's all, a virtual key's own."""

from __future__ import annotations

from dataclasses import replace

from shared.callers.caller import Caller
from shared.errors import ModelNotFound
from shared.operations.operation import Call
from shared.routing.filters import Asked
from shared.routing.router import Router


def names(router: Router, caller: Caller, *, patterns: bool = False) -> tuple[str, ...]:
    """What the caller can ask for, in the file's order, then its own aliases; with `azure/*` and such, or without."""
    offered = router.offered if patterns else router.model_names
    if caller.key is None:
        return offered
    own = (alias for alias, model in caller.key.aliases.items() if router.serves(model))
    return tuple(dict.fromkeys([*(name for name in offered if caller.key.permits(name)), *own]))


def meant(router: Router, caller: Caller, name: str) -> str:
    """The model that the caller means. Raises ModelNotFound, which lists what this caller may use, for one that there
    is not and for one that it may not use."""
    key = caller.key
    model = name if key is None else key.meant(name)
    if (key is not None and not key.permits(name)) or not router.serves(model):
        raise ModelNotFound(name, names(router, caller, patterns=True))
    return model


def placed(router: Router, call: Call) -> Call:
    """The call for the model that its caller means. Raises ModelNotFound."""
    if call.caller.key is None or not call.model:
        return call
    return replace(call, model=meant(router, call.caller, call.model))


def rerouted(router: Router, caller: Caller, asked: Asked) -> Asked:
    """The request's own fallbacks, as its caller means them. Raises ModelNotFound for one that it may not use."""
    if caller.key is None or not asked.fallbacks:
        return asked
    return replace(asked, fallbacks=tuple(meant(router, caller, name) for name in asked.fallbacks))
