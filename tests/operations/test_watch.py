from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from shared.operations.watch import StreamLimits, Watch


class FakeLoop:
    """The clock and the timers of an event loop, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._timers: list[tuple[float, int, Callable[[], None], SimpleNamespace]] = []
        self._numbers = itertools.count()

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[[], None]) -> Any:
        handle = SimpleNamespace(live=True)
        handle.cancel = lambda: setattr(handle, "live", False)
        heapq.heappush(self._timers, (when, next(self._numbers), call, handle))
        return handle

    @property
    def armed(self) -> int:
        return sum(handle.live for *_, handle in self._timers)

    def run(self, seconds: float) -> None:
        """Moves the clock on, firing what becomes due."""
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            when, _, call, handle = heapq.heappop(self._timers)
            if handle.live:
                self.now = max(self.now, when)
                call()
        self.now = end


class Stream:
    """A watched stream: keep-alive every 15 s, at most 300 s, idle 60 s, drained 5 s after its client left."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = FakeLoop()
        self.alive = 0
        self.ended = 0
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: self.loop)
        self.watch = Watch(StreamLimits(keepalive_s=15, total_s=300, drain_s=5), self.keep_alive, self.end)
        monkeypatch.undo()

    def keep_alive(self) -> None:
        self.alive += 1

    def end(self) -> None:
        self.ended += 1

    def run(self, seconds: float) -> None:
        self.loop.run(seconds)


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Stream:
    return Stream(monkeypatch)


def test_silence_is_filled_each_time_it_has_lasted(stream: Stream) -> None:
    stream.run(14.9)
    before = stream.alive
    stream.run(0.1)
    once = stream.alive
    stream.run(30)
    assert (before, once, stream.alive) == (0, 1, 3)


def test_no_silence_is_filled_while_data_flows(stream: Stream) -> None:
    for _ in range(20):
        stream.run(10)
        stream.watch.sent()
    assert stream.alive == 0


def test_silence_is_counted_from_the_last_data(stream: Stream) -> None:
    stream.run(10)
    stream.watch.sent()
    stream.run(14)
    before = stream.alive
    stream.run(1)
    assert (before, stream.alive) == (0, 1)


def test_nothing_is_added_while_a_write_is_under_way(stream: Stream) -> None:
    stream.watch.writing = True
    stream.run(100)
    assert stream.alive == 0


def test_after_a_slow_write_silence_is_filled_again(stream: Stream) -> None:
    stream.watch.writing = True
    stream.run(100)
    stream.watch.writing = False
    stream.watch.sent()
    stream.run(30)
    assert stream.alive >= 1


def test_nobody_is_kept_alive_who_has_left(stream: Stream) -> None:
    stream.watch.client_gone()
    stream.run(4.9)
    assert (stream.alive, stream.ended) == (0, 0)


def test_a_stream_ends_at_its_total(stream: Stream) -> None:
    stream.run(299)
    before = stream.ended
    stream.run(1)
    assert (before, stream.ended, stream.watch.expired) == (0, 1, "total")


def test_a_stream_ends_at_its_total_also_while_it_is_being_written(stream: Stream) -> None:
    stream.watch.writing = True
    stream.run(300)
    assert stream.watch.expired == "total"


def test_data_does_not_put_off_the_total(stream: Stream) -> None:
    stream.watch.upstream_began(60)
    for _ in range(30):
        stream.watch.received()
        stream.watch.sent()
        stream.run(10)
    assert stream.watch.expired == "total"


def test_an_upstream_that_falls_silent_ends_the_stream(stream: Stream) -> None:
    stream.watch.upstream_began(60)
    stream.run(59)
    before = stream.ended
    stream.run(1)
    assert (before, stream.ended, stream.watch.expired) == (0, 1, "idle")


def test_before_it_began_an_upstream_may_be_silent(stream: Stream) -> None:
    stream.run(200)
    assert stream.ended == 0


def test_keep_alives_do_not_hide_a_silent_upstream(stream: Stream) -> None:
    stream.watch.upstream_began(60)
    stream.run(61)
    assert (stream.alive, stream.watch.expired) == (3, "idle")


def test_a_chunk_puts_off_the_idle_end(stream: Stream) -> None:
    stream.watch.upstream_began(60)
    stream.run(50)
    stream.watch.received()
    stream.run(59)
    before = stream.ended
    stream.run(1)
    assert (before, stream.watch.expired) == (0, "idle")


def test_an_upstream_is_not_blamed_for_a_client_that_reads_slowly(stream: Stream) -> None:
    stream.watch.upstream_began(60)
    stream.watch.writing = True
    stream.run(120)
    stream.watch.writing = False
    stream.watch.sent()
    stream.run(59)
    before = stream.ended
    stream.run(16)
    assert (before, stream.watch.expired) == (0, "idle")


def test_after_its_client_left_a_stream_is_read_on_for_a_while(stream: Stream) -> None:
    stream.run(50)
    stream.watch.client_gone()
    stream.run(4.9)
    before = stream.ended
    stream.run(0.1)
    assert (before, stream.ended, stream.watch.expired) == (0, 1, "drained")


def test_leaving_twice_does_not_buy_time(stream: Stream) -> None:
    stream.watch.client_gone()
    stream.run(4)
    stream.watch.client_gone()
    stream.run(1)
    assert stream.watch.expired == "drained"


def test_an_idle_upstream_is_not_drained_longer_than_its_idle_limit(stream: Stream) -> None:
    stream.watch.upstream_began(3)
    stream.watch.client_gone()
    stream.run(3)
    assert stream.watch.expired == "idle"


def test_a_stream_is_ended_once(stream: Stream) -> None:
    stream.watch.upstream_began(60)
    stream.run(1000)
    assert stream.ended == 1


def test_a_stopped_watch_does_nothing(stream: Stream) -> None:
    stream.watch.stop()
    stream.run(1000)
    assert (stream.alive, stream.ended, stream.loop.armed) == (0, 0, 0)


def test_one_timer_is_armed_whatever_happens(stream: Stream) -> None:
    stream.watch.upstream_began(60)
    stream.watch.received()
    stream.watch.sent()
    stream.watch.client_gone()
    assert stream.loop.armed == 1
