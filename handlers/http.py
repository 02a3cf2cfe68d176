"""From a trigger's request to its response: the one wrapper around every HTTP handler.

What escapes a handler hurts on this platform: a CancelledError hangs the client and the invocation for ever, an
exception is a plain-text 500, `None` too. Here everything becomes an answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from starlette.types import Receive, Scope, Send

from shared import gateway
from shared.errors import ClientClosedRequest, InternalError, SpillwayError
from shared.hosting import Request, Response
from shared.operations.operation import Operation
from shared.operations.reply import BufferedReply, Reply, StreamedReply

log = logging.getLogger("spillway")


class StreamedResponse(Response):
    """Writes a StreamedReply to the socket on the invocation's own task, chunk by chunk, with nothing in between."""

    def __init__(self, reply: StreamedReply) -> None:
        super().__init__(status_code=reply.status, headers=reply.headers, media_type=reply.media_type)
        del self.headers["content-length"]
        self.headers["cache-control"] = "no-cache"
        self.headers["x-accel-buffering"] = "no"
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

        async def write(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        await self._reply.run(write)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def answer(operation: Operation, request: Request) -> Response:
    """The response to a request on the operation's own route."""
    return await _answered(lambda: gateway.current().serve(operation, request))


async def answer_path(request: Request) -> Response:
    """The response to a request on any other path."""
    return await _answered(lambda: gateway.current().serve_path(request))


async def _answered(serve: Callable[[], Awaitable[Reply]]) -> Response:
    reply: Reply
    try:
        reply = await serve()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        reply = _refusal(ClientClosedRequest("The request was cancelled."))
    except BaseException as error:
        log.exception("a handler failed")
        reply = _refusal(InternalError("The gateway failed. Its log names the reason."))
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
    if isinstance(reply, StreamedReply):
        return StreamedResponse(reply)
    return Response(reply.body, reply.status, reply.headers, media_type=reply.media_type)


def _refusal(error: SpillwayError) -> BufferedReply:
    return BufferedReply(error.status, error.body(), error.headers())
