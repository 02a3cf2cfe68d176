"""Frozen dataclasses that are made for every call, at the price of plain ones.

A frozen dataclass sets each field through `object.__setattr__`, which for one of 23 fields takes eight times as long as
plain assignment; `dataclasses.replace` asks each field what it is. A call makes a dozen of these objects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, field, fields, make_dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)


def statically_frozen(cls: type[T]) -> type[T]:
    """Takes the guard against assignment off a frozen dataclass: the type checker still refuses it, nothing else does.

    Equality, hash and order stay. Not for a class with `__post_init__`.
    """
    if hasattr(cls, "__post_init__"):
        raise TypeError(f"{cls.__name__} has a __post_init__")
    plain = make_dataclass(cls.__name__, [(one.name, Any, _again(one)) for one in fields(cls)])
    cls.__init__ = plain.__init__  # type: ignore[method-assign, misc]
    del cls.__setattr__, cls.__delattr__
    return cls


def replacer(cls: type[T]) -> Callable[..., T]:
    """What gives an object of the dataclass `cls` with other values, which are named: `changed(one, name=value)`. It
    raises KeyError for a name that is no field's."""
    names = [one.name for one in fields(cls)]
    values, places = attrgetter(*names), {name: place for place, name in enumerate(names)}

    def changed(one: T, **new: Any) -> T:
        made = list(values(one))
        for name, value in new.items():
            made[places[name]] = value
        return cls(*made)

    return changed


def _again(one: Field[Any]) -> Any:
    """A field with the same default."""
    if one.default_factory is not MISSING:
        return field(default_factory=one.default_factory)
    return field() if one.default is MISSING else field(default=one.default)
