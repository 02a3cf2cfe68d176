"""What the record of a call says of its attempts."""

from __future__ import annotations

import math

from shared.errors import RateLimited
from shared.routing.attempts import Attempt, Trail
from shared.routing.pool import Pool
from shared.telemetry import CallRecord, Tried
from shared.upstream.deployment import Deployment


def tell_attempts(record: CallRecord, trail: Trail, candidates: Pool) -> None:
    """Writes who was asked and who answered; `candidates` are those of the model that was asked for."""
    record.attempts = len(trail.attempts)
    record.tried = tuple(_tried(attempt) for attempt in trail.attempts)
    if trail.last is not None:
        deployment = trail.last.deployment
        record.deployment, record.deployment_id = deployment.label, deployment.id
        record.provider, record.spilled = deployment.provider, spilled(trail, candidates)


def spilled(trail: Trail, candidates: Pool) -> bool:
    """Whether the last attempt was made because a deployment was full: one before it said so, or none of those that
    come before it by `order` could take the call."""
    if any(isinstance(one.failure, RateLimited) for one in trail.attempts[:-1]):
        return True
    last = trail.last
    if last is None or last.deployment not in candidates:
        return False
    return _order(last.deployment) > candidates.order_min


def _order(deployment: Deployment) -> float:
    return math.inf if deployment.order is None else deployment.order


def _tried(attempt: Attempt) -> Tried:
    deployment, failure = attempt.deployment, attempt.failure
    code = None if failure is None else failure.code or str(failure.status)
    return Tried(deployment.label, deployment.id, code, isinstance(failure, RateLimited))


def header_value(text: str) -> str:
    """The text as a header can carry it: a model's name or id from the configuration may hold any character."""
    return text.encode("ascii", "replace").decode()
