"""One call, tried on one deployment after another while that is safe."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from shared.errors import RateLimited, Replay, SpillwayError, Unavailable
from shared.ids import entry_id
from shared.routing.router import Router
from shared.upstream.deployment import Deployment

log = logging.getLogger("spillway")
T = TypeVar("T")


@dataclass(slots=True)
class Attempt:
    """One send of a call to a deployment. `number` counts from 1.

    `simulates_stream`: the model cannot stream, so its whole answer is made into a stream.
    """

    entry_id: str
    number: int
    deployment: Deployment
    router: Router
    simulates_stream: bool = False
    _open: bool = field(default=True, repr=False)

    def end(self) -> None:
        """The deployment is done with it. May be called twice."""
        if self._open:
            self._open = False
            self.router.end(self.deployment)


@dataclass(slots=True)
class Trail:
    """The attempts of one call so far, for its headers and its record, also when it fails."""

    call_id: str
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def last(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None


async def run(
    router: Router,
    candidates: Sequence[Deployment],
    trail: Trail,
    send: Callable[[Attempt], Awaitable[T]],
    *,
    replay: frozenset[Replay],
    attempts_max: int,
    wanted: Callable[[], bool],
) -> T:
    """What the first successful `send` gives; its attempt is still open, the failed ones are ended.

    Each deployment is tried once, at most `attempts_max` in all, and the next one only when the failure's `replay`
    kind is in `replay` and the answer is still `wanted`. Raises what explains best why it failed: a rate limit, with
    the soonest retry, when any deployment was merely full; else the last failure.
    """
    failures: list[SpillwayError] = []
    for number, deployment in enumerate(router.in_order(candidates)[:attempts_max], start=1):
        attempt = Attempt(entry_id(trail.call_id, number), number, deployment, router)
        trail.attempts.append(attempt)
        router.begin(deployment)
        try:
            return await send(attempt)
        except SpillwayError as failure:
            attempt.end()
            failures.append(failure)
            if failure.replay in (Replay.FREELY, Replay.FAILED):
                router.cool(deployment, failure.retry_after_ms)
            if failure.replay not in replay or not wanted():
                break
        except BaseException:
            attempt.end()
            raise
    raise _most_telling(failures)


def _most_telling(failures: Sequence[SpillwayError]) -> SpillwayError:
    last = failures[-1]
    if last.replay is Replay.NEVER or last.replay is Replay.UNKNOWN:
        return last
    full = [failure for failure in failures if isinstance(failure, RateLimited | Unavailable)]
    if not full:
        return last
    waits = [failure.retry_after_ms for failure in full if failure.retry_after_ms is not None]
    chosen = next((failure for failure in full if isinstance(failure, RateLimited)), full[0])
    chosen.retry_after_ms = min(waits, default=None)
    return chosen
