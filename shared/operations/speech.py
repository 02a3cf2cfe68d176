"""`POST /v1/audio/speech`: streamed as it is made, kept on the way; and `GET /v1/audio/speech/{id}`, what was kept.

cache wanted and known ─ from storage, nothing is sent upstream      x-spillway-cache: hit
else ─────────────────── the stream, with a recorder beside it       x-spillway-speech-id
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from shared.errors import BadRequest, SpillwayError
from shared.operations import streamed
from shared.operations.audio import as_events, speech_usage
from shared.operations.connection import ClientConnection
from shared.operations.context import Context
from shared.operations.exchange import Exchange
from shared.operations.operation import Call, EventTranslator
from shared.operations.passed_bytes import PassedBytes
from shared.operations.ranges import Part, asked, part_headers
from shared.operations.reply import StreamedReply, Write
from shared.operations.speech_store import Kept, SpeechStore
from shared.operations.typed_events import TypedEvents
from shared.storage.recorder import Recorder
from shared.usage.usage import Usage, spoken_usage

CACHE_HEADER = "x-spillway-speech-cache"
KEPT_WAIT_S = 1.0
"""Behind the last byte of audio the end of the answer waits so long for storage: who then asks for the id finds it."""
_CONTENT_TYPES = {"opus": "audio/ogg", "mp3": "audio/mpeg"}
_FORMAT = re.compile(r"[a-z0-9]{1,10}")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


async def serve(
    exchange: Exchange, client: ClientConnection, headers: Mapping[str, str], store: SpeechStore
) -> StreamedReply:
    """The reply to a speech call. Raises SpillwayError when it failed before its first byte."""
    call = exchange.call
    try:
        wanted = _cache_wanted(headers, any(one.speech_cache for one in exchange.candidates))
        key = cache_key(call) if wanted and not as_events(call) else None
        kept = await store.find(call.seal, key) if key is not None else None
    except BaseException as failure:
        if isinstance(failure, SpillwayError):
            exchange.fail(failure)
        exchange.close()
        raise
    if kept is not None:
        return _from_cache(exchange, client, store, kept)
    recording = store.record(call.seal, key)
    if recording is None:
        return await streamed.serve(exchange, client)
    recorder = recording.recorder
    _close_with(exchange, recorder)
    exchange.operation = replace(exchange.operation, translator=lambda call: _recorded(call, recorder))
    reply = await streamed.serve(exchange, client)
    recording.content_type = _content_type(call) if as_events(call) else reply.media_type
    reply.headers["x-spillway-speech-id"] = recording.id
    if key is not None:
        reply.headers["x-spillway-cache"] = "miss"
    return replace(reply, run=_kept_behind(reply, recorder))


async def retrieve(context: Context) -> StreamedReply:
    """The audio of an id, or the part that `Range` asks for. Raises NotFound, RangeNotSatisfiable, Unavailable or
    StorageFailed."""
    store = context.parts.speech
    part = asked(context.request.headers)
    wanted = part or Part()
    kept = await store.open(context.seal, context.params["id"], wanted.start, wanted.length)
    about = {"x-spillway-speech-id": kept.id, "accept-ranges": "bytes"}
    if part is not None:
        about |= part_headers(kept.blob)

    async def run(write: Write) -> None:
        async for piece in store.chunks(kept):
            await write(piece)

    return StreamedReply(run, about, 200 if part is None else 206, media_type=kept.blob.about.content_type)


def cache_key(call: Call) -> str:
    """SHA-256 of everything that decides how the speech sounds; what is left out counts as its default."""
    body = {name: value for name, value in call.body.items() if value is not None and name not in ("model", "user")}
    body["response_format"] = body.get("response_format", "mp3")
    body["speed"] = float(body.get("speed", 1.0))
    body["instructions"] = body.get("instructions", "")
    body.pop("stream_format", None)
    asked = [call.seal.owner.hex(), call.model, body]
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()


class RecordedBytes(PassedBytes):
    """Audio, forwarded as it arrives and recorded."""

    def __init__(self, usage: Usage, recorder: Recorder) -> None:
        super().__init__(usage)
        self._recorder = recorder

    def feed(self, event: bytes) -> bytes:
        self._recorder.feed(event)
        return super().feed(event)

    def finish(self) -> bytes:
        self._recorder.finish()
        return super().finish()


class RecordedEvents(TypedEvents):
    """Speech as events, forwarded as they arrive; the audio in them is recorded."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(frozenset({"speech.audio.done"}), spoken_usage)
        self._recorder = recorder

    def finish(self) -> bytes:
        self._recorder.finish()
        return super().finish()

    def _forwarded(self, event: bytes, payload: dict[str, Any]) -> bytes:
        audio = payload.get("audio")
        if isinstance(audio, str):
            try:
                self._recorder.feed(base64.b64decode(audio, validate=True))
            except binascii.Error:
                self._recorder.close()
        return event


def _recorded(call: Call, recorder: Recorder) -> EventTranslator:
    return RecordedEvents(recorder) if as_events(call) else RecordedBytes(speech_usage(call), recorder)


def _close_with(exchange: Exchange, recorder: Recorder) -> None:
    """The recorder hears of the call's end, whichever it is."""
    on_close = exchange.on_close

    def closed() -> None:
        recorder.close()
        on_close()

    exchange.on_close = closed


def _kept_behind(reply: StreamedReply, recorder: Recorder) -> Any:
    run = reply.run

    async def run_and_wait(write: Write) -> None:
        await run(write)
        await recorder.wait(KEPT_WAIT_S)

    return run_and_wait


def _from_cache(exchange: Exchange, client: ClientConnection, store: SpeechStore, kept: Kept) -> StreamedReply:
    """The stored audio, at no cost."""

    async def run(write: Write) -> None:
        try:
            await _forward(store.chunks(kept), write, exchange, client)
        except SpillwayError as failure:
            exchange.fail(failure)
            raise
        finally:
            client.stop()
            exchange.close()

    headers = {**exchange.reply_headers(), "x-spillway-speech-id": kept.id, "x-spillway-cache": "hit"}
    return StreamedReply(run, headers, media_type=kept.blob.about.content_type)


async def _forward(chunks: AsyncIterator[bytes], write: Write, exchange: Exchange, client: ClientConnection) -> None:
    async for piece in chunks:
        if client.gone:
            exchange.record.outcome = "disconnected"
            return
        await write(piece)
        exchange.first_byte()


def _cache_wanted(headers: Mapping[str, str], configured: bool) -> bool:
    written = headers.get(CACHE_HEADER)
    if written is None:
        return configured
    if written.strip().lower() not in _TRUTH:
        raise BadRequest(f"Invalid header `{CACHE_HEADER}`: expected true or false.", code="invalid_value")
    return _TRUTH[written.strip().lower()]


def _content_type(call: Call) -> str:
    written = call.body.get("response_format")
    kind = written if isinstance(written, str) and _FORMAT.fullmatch(written) else "mp3"
    return _CONTENT_TYPES.get(kind, f"audio/{kind}")
