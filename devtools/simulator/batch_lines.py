"""Answers single lines of a batch with the simulator's own operations, and writes their results as Azure does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

import orjson

from devtools.simulator import chat, chat_plain, content_filter, embeddings, errors, responses
from devtools.simulator.admission import BATCH_PRICE
from devtools.simulator.batch_check import normal
from devtools.simulator.batches_store import Batch
from devtools.simulator.errors import AzureError
from devtools.simulator.exchange import Batched, Call, Reply, Request
from devtools.simulator.faults import BATCH_LINE, Rule
from devtools.simulator.resources import Resource
from devtools.simulator.surfaces import V1
from devtools.simulator.world import World

SERVES: dict[str, Callable[[Call], Awaitable[Reply]]] = {
    "chat/completions": chat.serve,
    "responses": responses.serve,
    "embeddings": embeddings.serve,
}
EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}
FILTERED = errors.prompt_filtered(content_filter.of_prompt("jailbreak"))
"""What a line is that a fault ends with 400 and no body."""
_REQUEST = Request("POST", "", {}, {}, b"")


class Result(NamedTuple):
    """The result of one line, to be written as it is; `completed` says into which file."""

    line: bytes
    completed: bool


def run(world: World, batch: Batch, resource: Resource, raw: bytes) -> Result | None:
    """The result of one line; None when a fault lets it vanish."""
    request = orjson.loads(raw)
    custom_id: str = request["custom_id"]
    rule = world.faults.strike(BATCH_LINE, batch.resource, batch.deployment, custom_id)
    if rule is None:
        status, body = _answer(world, batch, resource, request)
    else:
        if rule.billed:
            _answer(world, batch, resource, request)
        if rule.reset:
            return None
        if rule.expired:
            return expired(custom_id)
        status, body = _struck(rule)
    return Result(
        b'{"custom_id":%b,"response":{"body":%b,"request_id":"%b","status_code":%d},"error":null}\n'
        % (orjson.dumps(custom_id), body, world.uuid().encode(), status),
        status == 200,
    )


def expired(custom_id: str) -> Result:
    """The result of a line that did not run in time."""
    line = {"custom_id": custom_id, "response": None, "error": EXPIRED}
    return Result(orjson.dumps(line) + b"\n", completed=False)


def custom_id_of(raw: bytes) -> str:
    """The id of a line that was validated."""
    return str(orjson.loads(raw)["custom_id"])


def _answer(world: World, batch: Batch, resource: Resource, request: dict[str, Any]) -> tuple[int, bytes]:
    url, body = normal(request["url"]), request["body"]
    deployment = resource.deployments.get(batch.deployment)
    batched = Batched(batch.id, request["custom_id"])
    if url == "chat/completions" and deployment is not None:
        model = deployment.base
        plain = chat_plain.answer(world.seed, model, body)
        if plain is not None:
            world.bill.open(
                time=world.time(), resource=resource.name, deployment=batch.deployment, model=model.name, operation=url,
                api_version=V1, surface=V1, stream=False, status=200, prompt_tokens=plain.prompt_tokens,
                completion_tokens=plain.completion_tokens, finished=True, batch=batched.batch,
                custom_id=batched.custom_id, price_factor=BATCH_PRICE,
            )  # fmt: skip
            return 200, plain.body(world.seed, model, world.id("chatcmpl-", 29), world.time())
    call = Call(
        world, _REQUEST, url, V1, V1, resource, batch.deployment, deployment, body=body, batched=batched
    )  # fmt: skip
    try:
        if call.deployment is None:
            raise errors.deployment_not_found()
        for name in ("stream", "background"):
            if body.get(name):
                raise errors.invalid_request(f"The parameter '{name}' is not supported in a batch.", name)
        reply = _at_once(SERVES[url](call))
    except AzureError as error:
        return error.status, orjson.dumps(error.body)
    return reply.status, reply.body


def _at_once(answering: Awaitable[Reply]) -> Reply:
    """The reply of an operation that never waits for anything."""
    assert isinstance(answering, Coroutine)
    try:
        answering.send(None)
    except StopIteration as stop:
        reply: Reply = stop.value
        return reply
    raise RuntimeError("an operation of a batch line must not wait")


def _struck(rule: Rule) -> tuple[int, bytes]:
    status = rule.status or 500
    default = FILTERED.body if status == FILTERED.status else errors.body_for(status)
    return status, orjson.dumps(rule.body or default)
