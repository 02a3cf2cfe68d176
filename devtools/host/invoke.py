"""One HTTP invocation: the handler is called, its response goes out chunk by chunk, silence is bounded.

What the platform does with a handler that misbehaves is done here too, traps included: None and exceptions are a 500,
and whatever is not an `Exception` (asyncio.CancelledError above all) leaves the invocation open and the client waiting.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from devtools.host.body import Receive
from devtools.host.forwarding import Headers, client_headers
from devtools.host.index import Function
from devtools.serving import Message, Scope

Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True)
class Context:
    """What a handler gets as `context`; the host knows more (trace and retry), an app here needs no more."""

    invocation_id: str
    function_name: str


class Exchange:
    """The client's side of one invocation: response headers, and what happens when nothing moves.

    After `idle_timeout_s` without a byte the client gets 504, or a cut connection once the response has begun
    (the proxy's ActivityTimeout). The handler is not told: its receive() reports a disconnect, as in the worker.
    """

    __slots__ = ("_active_at", "_answered", "_custom", "_idle_timeout_s", "_loop", "_send", "_task", "_timeout_task",
                 "_timer", "cut", "started")  # fmt: skip

    def __init__(self, send: Send, custom: Headers, idle_timeout_s: float) -> None:
        self._send = send
        self._custom = custom
        self._idle_timeout_s = idle_timeout_s
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._active_at = self._loop.time()
        self._timer = self._loop.call_later(idle_timeout_s, self._check_silence)
        self._timeout_task: asyncio.Task[None] | None = None
        self._answered = False
        self.started = False
        self.cut = False

    def send(self, message: Message) -> Awaitable[None]:
        """The handler's `send`. Not a coroutine itself: a chunk costs one call and no extra frame to await."""
        if self._answered:
            return _nothing()
        if not self.started:
            self.started = True
            message["headers"] = client_headers(message.get("headers", ()), self._custom)
        self._active_at = self._loop.time()
        return self._send(message)

    async def answer(self, status: int) -> None:
        """The host's own answer, an empty one; whatever the handler sends later is dropped."""
        if not self.started:
            self._answered = self.started = True
            await respond(self._send, status, self._custom)

    def close(self) -> None:
        self._timer.cancel()

    def _check_silence(self) -> None:
        remaining_s = self._active_at + self._idle_timeout_s - self._loop.time()
        if remaining_s > 0:
            self._timer = self._loop.call_later(remaining_s, self._check_silence)
        elif not self.started:
            self._timeout_task = self._loop.create_task(self.answer(504))
        elif not self._answered and self._task is not None:
            self.cut = True
            self._task.cancel()


async def respond(send: Send, status: int, headers: Headers = (), body: bytes = b"") -> None:
    """A short answer of the host itself."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def invoke(
    function: Function, request_type: type[Request], scope: Scope, receive: Receive, exchange: Exchange
) -> None:
    """Calls the handler and sends what it returns. `scope` is the worker's."""
    arguments: dict[str, Any] = {function.parameter: request_type(scope, receive)}
    if function.takes_context:
        arguments["context"] = Context(dict(scope["headers"])[b"x-ms-invocation-id"].decode(), function.name)
    response = await _response(function, arguments)
    try:
        await response(scope, receive, exchange.send)
    except Exception:
        _report(function)
        await exchange.answer(500)
    except asyncio.CancelledError:
        if not exchange.cut:
            raise
        # Returning with the response incomplete makes the server close the connection.
        print(f"{function.name}: no byte for too long, the connection was cut.", file=sys.stderr)


async def call(function: Function, arguments: dict[str, Any]) -> Any:
    """Runs a handler, a synchronous one in a thread."""
    if function.is_async:
        return await function.handler(**arguments)
    return await asyncio.get_running_loop().run_in_executor(None, partial(function.handler, **arguments))


async def _response(function: Function, arguments: dict[str, Any]) -> Response:
    try:
        result = await call(function, arguments)
        if not isinstance(result, Response):
            raise TypeError(f"{function.name} answered {type(result).__name__}, which is no response")
        return result
    except Exception:
        _report(function)
        return PlainTextResponse("Internal Server Error", 500)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        print(f"{function.name}: {type(error).__name__} escaped the handler, its client hangs.", file=sys.stderr)
        await asyncio.get_running_loop().create_future()
        raise


async def _nothing() -> None:
    return None


def _report(function: Function) -> None:
    print(f"Exception in function {function.name}:", file=sys.stderr)
    traceback.print_exc()
