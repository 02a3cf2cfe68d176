"""The simulator as an ASGI app: reads each request, has it answered, delivers the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson

from devtools.serving import Message, Scope
from devtools.simulator import control, errors, faults, service
from devtools.simulator.connection import Connection, Receive, Send
from devtools.simulator.delivery import deliver
from devtools.simulator.exchange import JSON, Reply, Request
from devtools.simulator.world import World

BODY_BYTES_MAX = 256 * 1024 * 1024
TOKEN_PATH = control.PREFIX + "/identity/token"


class Simulator:
    """An ASGI app. `world` is its state, for tests that run it in their own process."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._control = control.control_app(world)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"].startswith(control.PREFIX + "/") and scope["path"] != TOKEN_PATH:
            await self._control(scope, receive, send)
            return
        with Connection(receive, send) as connection:
            request = await _read(scope, receive)
            if request is not None:
                await self._serve(request, connection)

    async def _serve(self, request: Request, connection: Connection) -> None:
        world = self.world
        record = world.recorder.add(request, world.time())
        if request.path == TOKEN_PATH:
            record.operation = "identity"
            rule = world.faults.strike("identity")
            if rule is not None and rule.replaces:
                record.fault, reply = rule.id, faults.replacement(rule)
            else:
                reply = world.identity.token_endpoint(request, world.time())
        elif len(request.body) > BODY_BYTES_MAX:
            error = errors.body_too_large(BODY_BYTES_MAX, len(request.body))
            reply, rule = Reply(error.status, {"content-type": JSON}, orjson.dumps(error.body)), None
        else:
            reply, rule = await service.answer(world, request, record)
        await deliver(reply, rule, record, connection)


async def _read(scope: Scope, receive: Receive) -> Request | None:
    """The whole request, its body cut off just over BODY_BYTES_MAX; None when the client left before its end."""
    parts: list[bytes] = []
    size = 0
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            return None
        if size <= BODY_BYTES_MAX:
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        if not message.get("more_body", False):
            break
    query = scope["query_string"]
    return Request(
        method=scope["method"],
        path=scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0],
        query=dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {},
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=b"".join(parts) if len(parts) > 1 else parts[0],
    )


def create_app(
    settings: Mapping[str, Any] | Path | None = None,
    *,
    seed: int = 0,
    monotonic: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> Simulator:
    """A simulator with the resources of `settings`: a dict, the path of a JSON file, or None for the default ones."""
    values = orjson.loads(settings.read_bytes()) if isinstance(settings, Path) else settings
    return Simulator(World(values, seed=seed, monotonic=monotonic, wall=wall))
