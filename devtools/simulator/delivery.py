"""Sends a reply at its pace, keeps its line in the bill up to date, and breaks it where a fault says so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from devtools.simulator.connection import Connection
from devtools.simulator.exchange import Event, Reply
from devtools.simulator.faults import Rule
from devtools.simulator.recorder import Record

NO_CONTENT = 204


async def deliver(reply: Reply, rule: Rule | None, record: Record, connection: Connection) -> None:
    """Sends `reply`. A client that leaves ends generation, and the line then says what was generated until then."""
    try:
        record.disconnected = not await _deliver(reply, rule, record, connection)
    finally:
        if reply.limit is not None and reply.line is not None:
            line = reply.line
            reply.limit.correct(reply.estimate, line.prompt_tokens - line.cached_tokens + line.completion_tokens)


async def _deliver(reply: Reply, rule: Rule | None, record: Record, connection: Connection) -> bool:
    """Whether the client was there to the end."""
    before_ms = reply.first_ms + (rule.delay_ms if rule else 0)
    if before_ms and not await connection.pause(before_ms / 1000):
        return False
    if rule and rule.reset:
        await connection.reset()
        return True
    record.status = reply.status
    pieces: Sequence[Event]
    if reply.file is not None:
        reply.headers["content-length"] = str(reply.file.size)
        pieces = reply.file.pieces()
    elif reply.events is None:
        if reply.status != NO_CONTENT:
            reply.headers["content-length"] = str(len(reply.body))
        pieces = [Event(reply.body)]
    else:
        pieces = reply.events
    cut_at, stall_at = (break_offsets(rule, pieces)) if rule else (None, None)
    if rule and rule.chunk_bytes:
        pieces = reply.file.pieces(rule.chunk_bytes) if reply.file else rechunk(pieces, rule.chunk_bytes)
    await connection.start(reply.status, reply.headers)
    if rule and rule.first_byte_delay_ms and not await connection.pause(rule.first_byte_delay_ms / 1000):
        return False
    if reply.events is not None or reply.file is not None or rule:
        connection.watch()
    stall_s = rule.stall_s if rule else 0.0
    return await _send_pieces(reply, pieces, record, connection, cut_at, stall_at, stall_s)


async def _send_pieces(
    reply: Reply,
    pieces: Sequence[Event],
    record: Record,
    connection: Connection,
    cut_at: int | None,
    stall_at: int | None,
    stall_s: float,
) -> bool:
    last = len(pieces) - 1
    delay_s = reply.delay_ms / 1000
    for index, piece in enumerate(pieces):
        if index and not connection.gone:
            await asyncio.sleep(delay_s)
        if stall_at is not None and record.bytes_sent >= stall_at:
            stall_at = None
            await connection.pause(stall_s)
        if connection.gone:
            return False
        if cut_at is not None and record.bytes_sent >= cut_at:
            break
        data = piece.data
        if cut_at is not None and record.bytes_sent + len(data) > cut_at:
            data = data[: cut_at - record.bytes_sent]
            last = index
        _generated(reply, piece, finished=index == last and cut_at is None)
        record.bytes_sent += len(data)
        await connection.body(data, more=index < last or cut_at is not None)
        if index == last:
            break
    if cut_at is not None:
        await connection.close()
    return True


def _generated(reply: Reply, piece: Event, *, finished: bool) -> None:
    line = reply.line
    if line is None or reply.events is None:
        return
    piece.charge(line)
    line.finished = finished and not reply.broken


def break_offsets(rule: Rule, pieces: Sequence[Event]) -> tuple[int | None, int | None]:
    """Where the body is cut and where it stalls, in bytes from its start; None for never."""

    def offset(events: int) -> int:
        return sum(len(piece.data) for piece in pieces[:events])

    cut_at = rule.cut_after_bytes
    if cut_at is None and rule.cut_after_events is not None:
        cut_at = offset(rule.cut_after_events)
    return cut_at, None if rule.stall_after_events is None else offset(rule.stall_after_events)


def rechunk(pieces: Sequence[Event], size: int) -> list[Event]:
    """The same bytes in pieces of `size`, whatever the event boundaries; tokens go with an event's first byte."""
    data = b"".join(piece.data for piece in pieces)
    chunks = [Event(data[start : start + size]) for start in range(0, len(data), size)] or [Event(b"")]
    start = 0
    for piece in pieces:
        at = min(start // size, len(chunks) - 1)
        chunks[at] = chunks[at].plus(piece)
        start += len(piece.data)
    return chunks
