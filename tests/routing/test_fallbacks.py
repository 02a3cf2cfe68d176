"""The models that take over for one, each once, by the kind of failure."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shared import config
from shared.errors import BadRequest, ContentFiltered, ContextLengthExceeded, RateLimited, SpillwayError, StreamBroken
from shared.errors import ModelNotFound as Unknown
from shared.routing.fallbacks import Fallbacks
from shared.routing.filters import Asked
from shared.upstream.deployment import Deployment
from tests.routing.test_router import entry

MODELS = "model_list:\n" + "".join(entry(f"azure/{name}", name=name) for name in ("m", "n", "o", "long", "mild"))
SETTINGS = """router_settings:
  fallbacks: [{m: [n, o]}]
  context_window_fallbacks: [{m: [long]}]
  content_policy_fallbacks: [{m: [mild]}]
"""


def find(name: str) -> Sequence[Deployment]:
    if name == "n":
        raise BadRequest("n is no chat model")
    if name == "nobody":
        raise Unknown(name, [])
    return []


def made(asked: Asked | None = None, settings: str = SETTINGS) -> Fallbacks:
    return Fallbacks(config.parse(MODELS + settings, {}), "m", asked or Asked(), find)


def names(fallbacks: Fallbacks, failure: SpillwayError) -> list[str]:
    found = []
    while (following := fallbacks.after(failure)) is not None:
        found.append(following[0])
    return found


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (RateLimited("x"), ["o"]),
        (ContextLengthExceeded("x"), ["long"]),
        (ContentFiltered("x"), ["mild"]),
        (BadRequest("x"), []),
        (StreamBroken("x"), []),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, SpillwayError) else "",
)
def test_each_kind_of_failure_has_its_own(failure: SpillwayError, expected: list[str]) -> None:
    assert names(made(), failure) == expected


def test_a_model_that_cannot_do_the_operation_is_passed_over() -> None:
    assert names(made(Asked(fallbacks=("n", "nobody", "o"))), RateLimited("x")) == ["o"]


def test_no_model_is_tried_twice_though_several_kinds_of_failure_lead_to_it() -> None:
    fallbacks = made(settings=SETTINGS.replace("[long]", "[o]"))
    assert names(fallbacks, RateLimited("x")) == ["o"]
    assert names(fallbacks, ContextLengthExceeded("x")) == []


def test_so_many_models_are_tried_at_most() -> None:
    fallbacks = made(Asked(fallbacks=("o", "long", "mild")), SETTINGS + "  max_fallbacks: 2\n")
    assert names(fallbacks, RateLimited("x")) == ["o", "long"]
