"""Which of a call's failures explains best why it failed."""

from __future__ import annotations

from collections.abc import Sequence

from shared.errors import PERHAPS_DONE, RateLimited, Replay, SpillwayError, Unavailable


def most_telling(failures: Sequence[SpillwayError]) -> SpillwayError:
    """The last one where nothing more is to be tried; else that a deployment was full, with the soonest retry."""
    last = failures[-1]
    if last.replay is Replay.NEVER or last.replay in PERHAPS_DONE:
        return last
    full = [failure for failure in failures if isinstance(failure, RateLimited | Unavailable)]
    if not full:
        return last
    waits = [failure.retry_after_ms for failure in full if failure.retry_after_ms is not None]
    chosen = next((failure for failure in full if isinstance(failure, RateLimited)), full[0])
    chosen.retry_after_ms = min(waits, default=None)
    return chosen
