"""The host as one ASGI app: admin paths, routing, body limits, invocation."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from azure.functions import FunctionRegister
from azurefunctions.extensions.base import RequestTrackerMeta

from devtools.host import forwarding
from devtools.host.body import BODY_BYTES_MAX_DEFAULT, BodyTooLarge, ClientGone, Receive, drain, prepare
from devtools.host.index import Index, IndexingError, index, load_app, read_host_json
from devtools.host.invoke import Exchange, Send, invoke, respond
from devtools.host.timers import Timers
from devtools.serving import Scope

# Azure's front end gives up after 230 s without a byte, before the host's own proxy does (240 s).
IDLE_TIMEOUT_S_DEFAULT = 230.0
BODY_LIMIT_SETTING = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"


class Host:
    """An ASGI app that serves a function app. `problems` are the load errors to show; timers run in `timers.run()`."""

    def __init__(self, indexed: Index, environ: Mapping[str, str], idle_timeout_s: float) -> None:
        self.index = indexed
        self.timers = Timers(indexed.timers, environ)
        self.problems = (*indexed.problems, *self.timers.problems)
        self._body_bytes_max = int(environ.get(BODY_LIMIT_SETTING) or BODY_BYTES_MAX_DEFAULT)
        self._idle_timeout_s = idle_timeout_s
        self._custom = forwarding.encoded(indexed.custom_headers)
        self._request_type: Any = RequestTrackerMeta.get_request_type()  # type: ignore[no-untyped-call]
        if self._request_type is None and indexed.table.routes:
            raise IndexingError("HTTP functions need a web extension that the app imports, as shared/hosting.py is one")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        if path.startswith(("/admin/", "/runtime/")):
            await self._administer(scope["method"], path, receive, send)
            return
        match = self.index.table.match(scope["method"], path)
        if match is None:
            await respond(send, 404, self._custom)
            return
        exchange = Exchange(send, self._custom, self._idle_timeout_s)
        try:
            with ExitStack() as files:
                worker_scope = forwarding.worker_scope(scope, match.params)
                await self._forward(match.name, worker_scope, receive, exchange, files)
        finally:
            exchange.close()

    async def _forward(self, name: str, scope: Scope, receive: Receive, exchange: Exchange, files: ExitStack) -> None:
        async def refuse() -> None:
            await exchange.answer(413)

        try:
            body = await prepare(scope["headers"], receive, self._body_bytes_max, refuse, files)
        except BodyTooLarge:
            await drain(receive)
            await refuse()
        except ClientGone:
            return
        else:
            await invoke(self.index.functions[name], self._request_type, scope, body, exchange)

    async def _administer(self, method: str, path: str, receive: Receive, send: Send) -> None:
        """The two of the host's own endpoints that a developer needs; the rest of its space is a 404."""
        if (method, path) == ("GET", "/admin/host/status"):
            await respond(send, 200, [(b"content-type", b"application/json")], b'{"state":"Running"}')
            return
        name = path.removeprefix("/admin/functions/")
        if method != "POST" or not self.timers.knows(name):
            await respond(send, 404)
        elif not await _is_object(receive):
            await respond(send, 400)
        else:
            self.timers.fire(name)
            await respond(send, 202)


def create_host(
    app: FunctionRegister | Path | str,
    environ: Mapping[str, str] | None = None,
    *,
    host_json: Mapping[str, Any] | None = None,
    idle_timeout_s: float = IDLE_TIMEOUT_S_DEFAULT,
) -> Host:
    """A host for a function app: a folder with `function_app.py` and host.json, or the app object itself.

    `environ` (default os.environ) gives the body limit and the `%SETTING%`s of schedules; `host_json` replaces the
    folder's. Raises what the app's import raises, or IndexingError.
    """
    if isinstance(app, FunctionRegister):
        settings = host_json or {}
    else:
        settings = read_host_json(Path(app)) if host_json is None else host_json
        app = load_app(Path(app))
    return Host(index(app, settings), os.environ if environ is None else environ, idle_timeout_s)


async def _is_object(receive: Receive) -> bool:
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > BODY_BYTES_MAX_DEFAULT:
            break
    try:
        return isinstance(json.loads(body or b"{}"), dict)
    except ValueError:
        return False
