"""A call whose answer comes whole."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson

from shared.errors import (
    ClientClosedRequest,
    InternalError,
    SpillwayError,
    UpstreamFailed,
    UpstreamNoReply,
    UpstreamTimeout,
)
from shared.operations.attached import learn
from shared.operations.connection import ClientConnection
from shared.operations.exchange import Exchange
from shared.operations.reply import BufferedReply
from shared.routing.attempts import Attempt
from shared.upstream.transport import read
from shared.usage.usage import Usage

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer from upstream, checked to be JSON where it must be, with its usage."""

    body: bytes
    usage: Usage
    media_type: str


async def serve(exchange: Exchange, client: ClientConnection) -> BufferedReply:
    """The reply to a call that is not streamed.

    The work goes on without the client: after a disconnect for `drain_s`, after the front end's limit until its own
    timeout, so that what Azure bills is read and recorded. Raises SpillwayError.
    """
    exchange.bounded = True
    work = exchange.start(_work(exchange), "buffered call")
    try:
        ended = await client.outlasts(work, exchange.settings.edge_timeout_s)
    except asyncio.CancelledError:
        exchange.abandoned = True
        exchange.supervisor.start(_end_after(work, exchange.drain_s), "drain")
        raise
    if not ended:
        exchange.abandoned = True
        if client.gone:
            exchange.supervisor.start(_end_after(work, exchange.drain_s), "drain")
            exchange.record.outcome = "disconnected"
            raise ClientClosedRequest("The client closed the request.")
        late = UpstreamTimeout(
            f"The answer takes longer than {exchange.settings.edge_timeout_s:g} seconds, which is as long as Azure's "
            "front end waits. Stream it."
        )
        exchange.fail(late)
        raise late
    answer = work.result()
    return BufferedReply(200, answer.body, exchange.reply_headers(), answer.media_type)


async def _work(exchange: Exchange) -> Answer:
    """Sends, reads and settles, whoever still listens."""
    try:
        async with asyncio.timeout(exchange.total_s):
            answer = await exchange.attempts(lambda attempt: _attempt(exchange, attempt))
        exchange.settle(answer.usage)
        await exchange.account.before_reply()
        return answer
    except TimeoutError as error:
        failure = UpstreamTimeout(f"The model did not answer within {exchange.total_s:g} seconds.")
        exchange.fail(failure)
        raise failure from error
    except Exception as failure:
        exchange.fail(failure if isinstance(failure, SpillwayError) else InternalError("The gateway failed."))
        raise
    finally:
        exchange.close()


async def _attempt(exchange: Exchange, attempt: Attempt) -> Answer:
    response = await exchange.send(attempt)
    body = await read(response, idle_s=attempt.deployment.timeouts.idle_s)
    operation = exchange.operation
    media_type = response.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    payload = _payload(body) if media_type == JSON or operation.replies_json else {}
    exchange.account.accepted()
    call = exchange.sent
    failure = operation.failed(call, payload) if operation.failed is not None else None
    if failure is not None:
        raise failure
    attempt.end()
    going_on = operation.goes_on(call, payload) if operation.goes_on is not None else None
    if going_on is not None:
        await exchange.note(attempt, going_on)
    told = operation.usage(payload)
    usage = operation.told(call, told) if told else exchange.estimate(operation.completion_tokens(payload))
    await learn(exchange.copies, operation.files_told, call.resource, payload)
    if operation.seal is not None and operation.seal(call, payload):
        body = _written(payload)
    return Answer(body, usage, media_type)


def _payload(body: bytes) -> dict[str, Any]:
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        payload = None
    if not isinstance(payload, dict):
        if body.lstrip().startswith(b"{"):
            raise UpstreamNoReply("The model's answer broke off in its middle.")
        raise UpstreamFailed("The model's deployment answered with something that is not JSON.")
    return payload


def _written(payload: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(payload)
    except orjson.JSONEncodeError:
        raise UpstreamFailed("The model's deployment answered with JSON that is nested too deeply.") from None


async def _end_after(work: asyncio.Task[Answer], seconds: float) -> None:
    await asyncio.wait({work}, timeout=seconds)
    work.cancel()
