from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.replacing import replacer
from shared.usage.usage import Usage

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
    with pytest.raises(TypeError):
        changed(Usage(1, 2), promt=3)
