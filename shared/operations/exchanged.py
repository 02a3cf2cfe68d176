"""Serves an exchange in the way of its kind, while its client's connection is watched."""

from __future__ import annotations

from starlette.requests import Request

from shared.errors import SpillwayError
from shared.operations import buffered, speech, streamed
from shared.operations.connection import ClientConnection
from shared.operations.exchange import Exchange
from shared.operations.reply import Reply
from shared.operations.speech_store import SpeechStore
from shared.operations.table import AUDIO_SPEECH
from shared.supervisor import Supervisor


async def exchanged(exchange: Exchange, request: Request, supervisor: Supervisor, store: SpeechStore) -> Reply:
    """The reply to a call under way, whole or streamed; speech is kept in `store` on its way. Raises SpillwayError."""
    try:
        client = ClientConnection(request.receive, supervisor)
    except SpillwayError as failure:
        exchange.fail(failure)
        exchange.close()
        raise
    try:
        if exchange.name == AUDIO_SPEECH.name:
            return await speech.serve(exchange, client, request.headers, store)
        if exchange.call.stream:
            return await streamed.serve(exchange, client)
        reply = await buffered.serve(exchange, client)
    except BaseException as error:
        if isinstance(error, SpillwayError):
            error.extra_headers |= exchange.reply_headers()
        client.stop()
        raise
    client.stop()
    return reply
