"""The beginning of a streamed answer: attempts, until one gives its first data event."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from shared.errors import StreamBroken, UpstreamFailed, UpstreamNoReply
from shared.operations.attached import learning
from shared.operations.exchange import Exchange
from shared.operations.operation import EventTranslator
from shared.routing.attempts import Attempt
from shared.upstream.sse import EventTooLarge
from shared.upstream.transport import chunks_of, close, read
from shared.upstream.wire import Response

log = logging.getLogger("spillway")

TAIL_S = 1.0
"""After `[DONE]` the upstream is given so long to end the response, so that its connection can be used again."""


@dataclass(slots=True)
class OpenStream:
    """An upstream stream whose beginning is known: `first` is what its first events are for the client."""

    attempt: Attempt
    response: Response
    chunks: AsyncIterator[bytes]
    translator: EventTranslator
    first: bytes = b""
    at_end: bool = False
    pending: asyncio.Task[bytes | None] | None = None

    async def next(self) -> bytes | None:
        """The next chunk, None at the end. Raises StreamBroken."""
        if self.pending is not None:
            pending, self.pending = self.pending, None
            return await pending
        return await anext(self.chunks, None)

    def translate(self, chunk: bytes) -> bytes:
        """What the client gets of `chunk`. Stops at the upstream's end or error. Raises StreamBroken."""
        try:
            events = self.translator.splitter.feed(chunk)
        except EventTooLarge as error:
            raise StreamBroken("The model sent an event that is too large.") from error
        translator = self.translator
        if len(events) == 1:
            return translator.feed(events[0])
        out: list[bytes] = []
        for one in events:
            out.append(translator.feed(one))
            if translator.ended or translator.error is not None:
                break
        return b"".join(out)

    async def close(self) -> None:
        """Closes the upstream connection, wherever it is."""
        if self.pending is not None:
            self.pending.cancel()
        await close(self.response)


async def open_stream(exchange: Exchange) -> OpenStream:
    """The first attempt whose stream begins; nothing has reached the client before. Raises SpillwayError."""
    try:
        return await exchange.attempts(lambda attempt: _attempt(exchange, attempt))
    except asyncio.CancelledError:
        exchange.close()
        raise


async def _attempt(exchange: Exchange, attempt: Attempt) -> OpenStream:
    """One deployment's stream, read until its first data event, at most `hold_back_s`. Raises SpillwayError.

    Azure reports a rate limit inside a 200 stream, after events that hold no data: until data comes, the attempt
    can still fail as if it had answered with the error's own status. An error behind data, even in the same chunk,
    is the stream's: what was generated is billed.
    """
    response = await exchange.send(attempt)
    operation = exchange.operation
    assert operation.translator is not None
    chunks = _simulated(response, attempt, operation.simulate) if attempt.simulates_stream else chunks_of(response)
    sent = exchange.sent
    if operation.files_told is not None and sent.resource is not None:
        chunks = learning(chunks, exchange.copies, sent.resource)
    stream = OpenStream(attempt, response, chunks, operation.translator(sent))
    opened = False
    try:
        await _read_beginning(stream, exchange.settings.hold_back_s)
        exchange.account.accepted()
        if stream.translator.error is not None and not stream.translator.began:
            raise stream.translator.error
        await exchange.account.before_reply()
        opened = True
        return stream
    finally:
        if not opened:
            await stream.close()


async def _simulated(response: Response, attempt: Attempt, simulate: Callable[[bytes], bytes]) -> AsyncIterator[bytes]:
    """A whole answer as the bytes of a stream, for the few models that cannot stream (o1)."""
    yield simulate(await read(response, idle_s=attempt.deployment.timeouts.idle_s))


async def _read_beginning(stream: OpenStream, hold_back_s: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + hold_back_s
    translator = stream.translator
    while not (translator.began or translator.ended or translator.error):
        pending = asyncio.ensure_future(anext(stream.chunks, None))
        pending.add_done_callback(_seen)
        stream.pending = pending
        await asyncio.wait({pending}, timeout=deadline - loop.time())
        if not pending.done():
            stream.first += translator.release()
            return
        stream.pending = None
        try:
            chunk = pending.result()
        except StreamBroken as error:
            raise UpstreamNoReply("The model's answer broke off before it began.") from error
        if chunk is None and translator.whole:
            return
        if chunk is None:
            raise UpstreamFailed("The model's answer ended before it began.")
        stream.first += stream.translate(chunk)


async def read_tail(stream: OpenStream) -> None:
    """Reads the end of the response behind `[DONE]`."""
    try:
        async with asyncio.timeout(TAIL_S):
            while await stream.next() is not None:
                pass
    except (TimeoutError, StreamBroken):
        log.debug("a stream did not end after [DONE]; its connection is closed")
    finally:
        await stream.close()


def _seen(task: asyncio.Task[bytes | None]) -> None:
    """Marks a failure as seen: who still wants the chunk gets it, and nobody else is told."""
    if not task.cancelled():
        task.exception()
