"""Which calls spilled over: a deployment answered because one before it was full."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared.errors import RateLimited, SpillwayError, UpstreamFailed
from shared.operations.told import spilled, tell_attempts
from shared.routing.attempts import Attempt, Trail
from shared.routing.pool import Pool
from shared.telemetry import CallRecord, Tried
from shared.upstream.deployment import Deployment


def deployment(name: str, order: int | None = None) -> Deployment:
    return cast(Deployment, SimpleNamespace(label=name, id=f"id-{name}", order=order, provider="azure"))


def trail(*tried: tuple[Deployment, SpillwayError | None]) -> Trail:
    attempts: list[Any] = [SimpleNamespace(deployment=one, failure=failure) for one, failure in tried]
    return Trail("call_1", cast(list[Attempt], attempts))


FIRST, SECOND, LAST = deployment("first", 1), deployment("second", 2), deployment("last")
FULL = RateLimited("full")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (trail(), False),
        (trail((FIRST, None)), False),
        (trail((FIRST, FULL), (SECOND, None)), True),
        (trail((FIRST, UpstreamFailed("broken")), (FIRST, None)), False),
        (trail((SECOND, None)), True),
        (trail((LAST, None)), True),
        (trail((deployment("of another model"), None)), False),
        (trail((FIRST, FULL)), False),
    ],
)
def test_a_call_spills_when_one_before_was_full_or_a_later_order_answered(made: Trail, expected: bool) -> None:
    assert spilled(made, Pool([FIRST, SECOND, LAST])) is expected


def test_deployments_of_one_order_do_not_spill_into_each_other() -> None:
    one, other = deployment("one"), deployment("other")
    assert not spilled(trail((other, None)), Pool([one, other]))


def test_the_record_has_every_attempt_and_the_last_deployment() -> None:
    record = CallRecord("call_1", "chat_completions", "master")
    tell_attempts(record, trail((FIRST, FULL), (SECOND, None)), Pool([FIRST, SECOND]))
    assert (record.attempts, record.deployment, record.deployment_id, record.spilled) == (
        2,
        "second",
        "id-second",
        True,
    )
    assert record.tried == (Tried("first", "id-first", FULL.code, throttled=True), Tried("second", "id-second"))
