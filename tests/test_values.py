from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.usage.usage import Usage
from shared.values import replacer, statically_frozen

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "prompt": st.integers(), "cached": st.integers(), "tier": st.none() | st.text(), "model": st.text(),
}  # fmt: skip
changed = replacer(Usage)


@given(st.fixed_dictionaries(VALUES), st.fixed_dictionaries({}, optional=VALUES))
def test_it_gives_what_replace_gives(before: dict[str, Any], new: dict[str, Any]) -> None:
    one = Usage(**{"completion": 3, **before})
    known = dataclasses.astuple(one)
    assert dataclasses.astuple(changed(one, **new)) == dataclasses.astuple(dataclasses.replace(one, **new))
    assert dataclasses.astuple(one) == known


def test_a_field_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError, match="promt"):
        changed(Usage(1, 2), promt=3)


@statically_frozen
@dataclasses.dataclass(frozen=True, slots=True)
class Value:
    name: str
    count: int = 3
    parts: list[str] = dataclasses.field(default_factory=list)
    note: str = dataclasses.field(default="", compare=False)


def test_what_is_frozen_for_the_checker_alone_is_made_as_any_dataclass() -> None:
    assert (Value("a"), Value("a", 4)) == (Value("a", 3, [], "n"), Value(name="a", count=4))
    assert Value("a").parts is not Value("a").parts
    assert dataclasses.replace(Value("a"), count=5) == Value("a", 5)
    assert repr(Value("a")) == "Value(name='a', count=3, parts=[], note='')"
    assert {dataclasses.replace(Usage(1, 2), model="x"): 1}[Usage(1, 2)] == 1
    with pytest.raises(TypeError):
        Value()  # type: ignore[call-arg]


def test_a_class_that_would_lose_its_post_init_is_refused() -> None:
    @dataclasses.dataclass(frozen=True)
    class Checked:
        name: str

        def __post_init__(self) -> None:
            raise NotImplementedError

    with pytest.raises(TypeError, match="__post_init__"):
        statically_frozen(Checked)
