"""The clock of one stream: keep-alive comments in silence, and the deadlines that end it.

One timer per stream, armed for the nearest deadline and looked at only when it fires: nothing is done per chunk but
noting the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Expired = Literal["idle", "total", "drained"]


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Seconds: between keep-alive comments, for the whole stream, and on after the client has left."""

    keepalive_s: float
    total_s: float
    drain_s: float


class Watch:
    """Watches one stream on the loop's clock.

    `keep_alive()` is called after `keepalive_s` of silence towards the client. When a deadline passes, `expired`
    says which, and `end()` is called, once.
    """

    def __init__(self, limits: StreamLimits, keep_alive: Callable[[], None], end: Callable[[], None]) -> None:
        self.expired: Expired | None = None
        self.writing = False
        self.limits = limits
        self._keep_alive = keep_alive
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._started = self.received_at = self.sent_at = self._loop.time()
        self._gone_at: float | None = None
        self.idle_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._arm()

    def upstream_began(self, idle_s: float) -> None:
        """The upstream's headers are here: from now on `idle_s` seconds of its silence end the stream."""
        self.idle_s = idle_s
        self.received_at = self._loop.time()
        self._arm()

    def received(self) -> None:
        """A chunk came from upstream."""
        self.received_at = self._loop.time()

    def sent(self) -> None:
        """Something went to the client; while it was being written the upstream's silence did not count."""
        self.sent_at = self.received_at = self._loop.time()

    def client_gone(self) -> None:
        """The client has left: the upstream is read on for `drain_s`."""
        if self._gone_at is None:
            self._gone_at = self._loop.time()
            self._arm()

    def stop(self) -> None:
        """Nothing is called any more, nor held: the stream holds its watch, which would hold the stream."""
        self._disarm()
        self._keep_alive = self._end = _nothing

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _deadlines(self) -> dict[Expired, float]:
        due: dict[Expired, float] = {"total": self._started + self.limits.total_s}
        if self.idle_s is not None and not self.writing:
            due["idle"] = self.received_at + self.idle_s
        if self._gone_at is not None:
            due["drained"] = self._gone_at + self.limits.drain_s
        return due

    def _arm(self) -> None:
        self._disarm()
        due = min(self._deadlines().values())
        if self._gone_at is None:
            since = self._loop.time() if self.writing else self.sent_at
            due = min(due, since + self.limits.keepalive_s)
        self._timer = self._loop.call_at(due, self._fire)

    def _fire(self) -> None:
        now = self._loop.time()
        for reason, due in self._deadlines().items():
            if now >= due:
                self._disarm()
                self.expired = reason
                self._end()
                return
        if self._gone_at is None and not self.writing and now >= self.sent_at + self.limits.keepalive_s:
            self.sent_at = now
            self._keep_alive()
        self._arm()


def _nothing() -> None:
    """What a watch calls that was stopped."""
