"""The client's side of a call: is somebody still listening?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from shared.supervisor import Supervisor

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ClientConnection:
    """Watches for the client's disconnect, which ASGI tells only to who waits for it.

    Start it after the request's body was read: the watcher takes every further message.
    """

    def __init__(self, receive: Receive, supervisor: Supervisor) -> None:
        self.gone = False
        self._on_gone: Callable[[], None] | None = None
        self._waiting: Callable[[], None] | None = None
        self._watch: asyncio.Task[None] | None = supervisor.start(self._watch_for_disconnect(receive), "client")

    def when_gone(self, tell: Callable[[], None]) -> None:
        """Calls `tell` once when the client leaves, at once if it has left."""
        if self.gone:
            tell()
        else:
            self._on_gone = tell

    async def outlasts(self, work: asyncio.Task[Any], timeout_s: float) -> bool:
        """Waits for `work` while the client is there, at most `timeout_s` seconds. True when `work` has ended.

        `work` is not cancelled, whoever ends first.
        """
        if self.gone or work.done():
            return work.done()
        # What asyncio.wait does, without a task for the other side: this is done once per call.
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()

        def end(_: object = None) -> None:
            if not over.done():
                over.set_result(None)

        work.add_done_callback(end)
        self._waiting = end
        timer = loop.call_later(timeout_s, end)
        try:
            await over
        finally:
            timer.cancel()
            work.remove_done_callback(end)
            self._waiting = None
        return work.done()

    def stop(self) -> None:
        """Ends the watch; the answer is complete. The cancelled task would hold this object, and this object the task:
        garbage that only the collector finds, once for every call."""
        self._on_gone = None
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    async def _watch_for_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.leave()

    def leave(self) -> None:
        """The client is gone, whoever noticed it."""
        self.gone = True
        if self._waiting is not None:
            self._waiting()
        if self._on_gone is not None:
            self._on_gone()
