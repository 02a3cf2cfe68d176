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
from devtools.simulator.recorder import BODY_BYTES_KEPT
from devtools.simulator.spool import Spool
from devtools.simulator.world import World

BODY_BYTES_MAX = 256 * 1024 * 1024
UPLOAD_PATHS = ("/files", "/parts")
"""The ends of the paths whose forms go to the disk."""
TOKEN_PATH = control.PREFIX + "/identity/token"


class Simulator:
    """An ASGI app. `world` is its state, for tests that run it in their own process."""

    def __init__(self, world: World, body_bytes_max: int = BODY_BYTES_MAX) -> None:
        self.world = world
        self._body_bytes_max = body_bytes_max
        self._control = control.control_app(world)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"].startswith(control.PREFIX + "/") and scope["path"] != TOKEN_PATH:
            await self._control(scope, receive, send)
            return
        with Connection(receive, send) as connection:
            request = await self._read(scope, receive)
            if request is None:
                return
            try:
                await self._serve(request, connection)
            finally:
                if request.spooled is not None:
                    request.spooled.discard()

    async def _serve(self, request: Request, connection: Connection) -> None:
        world = self.world
        record = world.recorder.add(request, world.time())
        if request.path == TOKEN_PATH:
            record.operation = faults.IDENTITY
            rule = world.faults.strike(faults.IDENTITY)
            if rule is not None and rule.replaces:
                record.fault, reply = rule.id, faults.replacement(rule)
            else:
                reply = world.identity.token_endpoint(request, world.time())
        elif request.spooled is None and len(request.body) > self._body_bytes_max:
            error = errors.body_too_large(self._body_bytes_max, len(request.body))
            reply, rule = Reply(error.status, {"content-type": JSON}, orjson.dumps(error.body)), None
        else:
            reply, rule = await service.answer(world, request, record)
        await deliver(reply, rule, record, connection)

    async def _read(self, scope: Scope, receive: Receive) -> Request | None:
        """The whole request, its body cut off just over the limit; None when the client left before its end."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        spool = None
        if scope["method"] == "POST" and scope["path"].endswith(UPLOAD_PATHS):
            spool = Spool(headers.get("content-type", ""), self.world.scratch)
        kept_max = self._body_bytes_max if spool is None else BODY_BYTES_KEPT - 1
        body = await _body(receive, kept_max, spool)
        if body is None:
            return None
        query = scope["query_string"]
        return Request(
            method=scope["method"],
            path=scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0],
            query=dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {},
            headers=headers,
            body=body,
            spooled=None if spool is None else spool.form,
        )


async def _body(receive: Receive, kept_max: int, spool: Spool | None) -> bytes | None:
    """The body until just over `kept_max`, all of it put into the spool; None when the client left before its end."""
    parts: list[bytes] = []
    size = 0
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            if spool is not None:
                spool.close()
                spool.form.discard()
            return None
        piece = message.get("body", b"")
        if spool is not None:
            spool.feed(piece)
        if size <= kept_max:
            parts.append(piece)
            size += len(piece)
        if not message.get("more_body", False):
            break
    if spool is not None:
        spool.close()
    return b"".join(parts) if len(parts) > 1 else parts[0]


def create_app(
    settings: Mapping[str, Any] | Path | None = None,
    *,
    seed: int = 0,
    monotonic: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    body_bytes_max: int = BODY_BYTES_MAX,
) -> Simulator:
    """A simulator with the resources of `settings`: a dict, the path of a JSON file, or None for the default ones.

    Both have the shape `{"resources": {name: resource}}` (resources.resource_from). A body over `body_bytes_max`
    is a 413. Raises SettingsError.
    """
    values = orjson.loads(settings.read_bytes()) if isinstance(settings, Path) else settings
    return Simulator(World(values, seed=seed, monotonic=monotonic, wall=wall), body_bytes_max)
