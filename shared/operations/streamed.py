"""A call whose answer is streamed.

opening ─ attempts, until the first data event (nothing has reached the client: failing over is free)
   │        └ after keepalive_s of silence the client gets 200 and comments; a failure is then an error event
running ─ upstream chunk → events → translator → client, on the invocation's own task
   │        └ the client leaves: the upstream is read on for drain_s, unheard
ended ── [DONE], or an error event and no [DONE]; usage settled, connection given back
"""

from __future__ import annotations

import asyncio
import logging
import math

import orjson

from shared.errors import (
    ClientClosedRequest,
    InternalError,
    SpillwayError,
    StreamBroken,
    Unavailable,
    UpstreamTimeout,
)
from shared.operations.connection import ClientConnection
from shared.operations.exchange import Exchange
from shared.operations.opening import OpenStream, open_stream, read_tail
from shared.operations.reply import StreamedReply, Write
from shared.operations.watch import StreamLimits, Watch
from shared.upstream.sse import comment, event
from shared.usage.usage import Usage

log = logging.getLogger("spillway")

KEEP_ALIVE = comment("keep-alive")
_AT_END = ("x-spillway-deployment", "x-spillway-attempts", "x-spillway-cost-usd", "x-spillway-ledger")
LAST_WORD_S = 5.0
"""A client that reads nothing is given so long to take the event that says why its stream ends."""


async def serve(exchange: Exchange, client: ClientConnection) -> StreamedReply:
    """The reply to a streamed call, once its first data is here or the silence has lasted `keepalive_s`.

    Raises SpillwayError when it failed before: the status is then the true one.
    """
    opening = exchange.start(open_stream(exchange), "stream opening")
    stream = StreamedCall(exchange, client, opening)
    # Silence can be filled in an event stream alone; other bytes are waited for as a whole answer is.
    silence_s = exchange.keepalive_s if exchange.speaks_events else exchange.settings.edge_timeout_s
    try:
        opened = await client.outlasts(opening, silence_s)
    except asyncio.CancelledError:
        client.leave()
        stream.go_on_unheard()
        raise
    if opened:
        try:
            opening.result()
        except Exception as failure:
            exchange.fail(failure if isinstance(failure, SpillwayError) else InternalError("The gateway failed."))
            exchange.close()
            raise
        return StreamedReply(stream.run, exchange.reply_headers(), media_type=_media_type(exchange))
    if client.gone:
        stream.go_on_unheard()
        raise ClientClosedRequest("The client closed the request.")
    if not exchange.speaks_events:
        client.leave()
        stream.go_on_unheard()
        raise UpstreamTimeout(f"The model did not begin to answer within {silence_s:g} seconds.")
    stream.early = True
    return StreamedReply(stream.run, {})


def _media_type(exchange: Exchange) -> str:
    headers = exchange.response_headers
    if exchange.speaks_events or headers is None:
        return "text/event-stream"
    return str(headers.get("content-type", "application/octet-stream"))


class StreamedCall:
    """One streamed call from its first byte to its last. `early`: headers left before the upstream had answered."""

    def __init__(self, exchange: Exchange, client: ClientConnection, opening: asyncio.Task[OpenStream]) -> None:
        self.early = False
        self._exchange = exchange
        self._client = client
        self._opening = opening
        self._task: asyncio.Task[object] | None = None
        self._beat: asyncio.Task[None] | None = None
        self._write: Write = _nowhere

    def go_on_unheard(self) -> None:
        """Nobody waits any more: the upstream is read on for `drain_s`, so that what it bills is recorded."""
        self._exchange.abandoned = True
        self._exchange.supervisor.start(self.run(_nowhere), "drain")

    async def run(self, write: Write) -> None:
        """Writes the stream until its end; what goes wrong is told in the stream, and recorded."""
        exchange = self._exchange
        keepalive_s = exchange.keepalive_s if exchange.speaks_events else math.inf
        limits = StreamLimits(keepalive_s, exchange.settings.stream_total_s, exchange.drain_s)
        self._task, self._write = asyncio.current_task(), write
        watch = Watch(limits, self._keep_alive, self._cancel)
        self._watch = watch
        self._client.when_gone(watch.client_gone)
        stream: OpenStream | None = None
        try:
            stream = await asyncio.shield(self._opening)
            watch.upstream_began(stream.attempt.deployment.timeouts.idle_s)
            await self._finish(stream, await self._forward(stream))
        except SpillwayError as failure:
            await self._failed(stream, failure)
        except asyncio.CancelledError:
            await self._cancelled(stream)
        except Exception:
            log.exception("call %s failed while streaming", exchange.call.call_id)
            await self._failed(stream, InternalError("The gateway failed. Its log names the reason."))
        finally:
            watch.stop()
            if self._beat is not None:
                self._beat.cancel()
            self._client.stop()
            if stream is None:
                self._opening.cancel()
            elif not stream.at_end:
                await stream.close()
            exchange.close()

    async def _forward(self, stream: OpenStream) -> bytes:
        """Chunks to the client until the upstream's end, error or last chunk, which is given back."""
        translator, watch = stream.translator, self._watch
        out: bytes = stream.first
        while True:
            if translator.goes_on is not None:
                await self._exchange.note(stream.attempt, translator.goes_on)
            if translator.ended or translator.error is not None:
                return out
            if out:
                await self._send(out)
            chunk = await stream.next()
            if chunk is None:
                stream.at_end = True
                left = translator.splitter.flush()
                return translator.feed(left + b"\n\n") if left.strip() else b""
            watch.received()
            out = stream.translate(chunk)

    async def _finish(self, stream: OpenStream, last: bytes) -> None:
        """The last bytes of an answer that is whole, once it is settled. Raises SpillwayError when it is not whole."""
        translator, exchange = stream.translator, self._exchange
        if translator.error is not None or not (translator.ended or translator.whole):
            await self._send(last)
            raise translator.error or StreamBroken("The model's answer broke off.")
        exchange.settle(self._usage(stream))
        if not self._client.gone:
            await exchange.account.before_end()
        await self._send(last + translator.finish() + self._told() + translator.closing)
        if self._client.gone:
            exchange.record.outcome = "disconnected"
        if translator.failure is not None:
            exchange.fail(translator.failure)
        stream.attempt.end()
        if not stream.at_end:
            stream.at_end = True
            try:
                exchange.supervisor.start(read_tail(stream), "stream tail")
            except Unavailable:
                await stream.close()

    async def _failed(self, stream: OpenStream | None, failure: SpillwayError) -> None:
        exchange = self._exchange
        self._watch.stop()
        if stream is not None and stream.translator.began:
            exchange.record.outcome = "broken"
            self._settle_part(stream)
        exchange.fail(failure)
        if not exchange.speaks_events and not self._client.gone:
            raise failure  # the connection breaks: nothing else tells a reader of plain bytes that some are missing
        try:
            async with asyncio.timeout(LAST_WORD_S):
                await self._send(self._told() + event(failure.body()))
        except TimeoutError:
            log.debug("call %s ended unheard: its client reads nothing", exchange.call.call_id)

    def _told(self) -> bytes:
        """The comment with what its headers could not say yet: who served the call, and what it cost."""
        exchange = self._exchange
        if not exchange.speaks_events:
            return b""
        headers = exchange.reply_headers()
        told = headers if self.early else {name: headers[name] for name in _AT_END if name in headers}
        return comment("spillway " + orjson.dumps(told).decode())

    async def _cancelled(self, stream: OpenStream | None) -> None:
        """A deadline of the watch, or the server's own end."""
        exchange, reason = self._exchange, self._watch.expired
        if reason is None:
            exchange.record.outcome = "disconnected"
            self._settle_part(stream)
            raise asyncio.CancelledError
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        if reason == "drained":
            exchange.record.outcome = "disconnected"
            self._settle_part(stream)
            return
        what = "stopped for" if reason == "idle" else "did not end in"
        limit = self._watch.idle_s if reason == "idle" else self._watch.limits.total_s
        await self._failed(stream, UpstreamTimeout(f"The model's answer {what} {limit:g} seconds."))

    def _settle_part(self, stream: OpenStream | None) -> None:
        """Settles what has been read of a stream that did not end; one that never began is left to the call's end."""
        if stream is not None:
            self._exchange.settle(self._usage(stream))

    def _usage(self, stream: OpenStream) -> Usage:
        translator = stream.translator
        return translator.usage or self._exchange.estimate(translator.estimated_completion)

    async def _send(self, data: bytes) -> None:
        if not data or self._client.gone:
            return
        watch = self._watch
        watch.writing = True
        try:
            await self._write(data)
        except OSError:
            self._client.leave()
        finally:
            watch.writing = False
            watch.sent()
        self._exchange.first_byte()

    def _keep_alive(self) -> None:
        """Called in silence, between two events, while nothing is being written; one comment at a time."""
        if self._beat is None or self._beat.done():
            self._beat = self._exchange.supervisor.start(self._write_keep_alive(), "keep-alive")

    async def _write_keep_alive(self) -> None:
        await self._write(KEEP_ALIVE)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


async def _nowhere(data: bytes) -> None:
    """Where a stream goes that nobody reads."""
