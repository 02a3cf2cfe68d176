"""The worker of `devtools bench runtime`: an app under azure-functions-runtime, without a host in front.

Each request that reaches the worker's server is given an invocation, as the host gives it one by gRPC before it
forwards the request. What is measured is so the worker's own: its library, its web server, the app.
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import azure_functions_runtime
import uvloop
from azurefunctions.extensions import base

from devtools.host.worker import protos
from devtools.host.worker.front import Indexed
from devtools.serving import ASGIApp, Scope

runtime: Any = azure_functions_runtime  # it has no types
ADDRESS = "127.0.0.1"


class Invoking:
    """The worker's ASGI app behind what the host does: an id for each request, and the invocation of that id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._invocations: set[asyncio.Task[Any]] = set()
        self.function_id = ""
        self.parameter = ""

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            invocation_id = str(uuid.uuid4())
            scope["headers"] = [*scope["headers"], (b"x-ms-invocation-id", invocation_id.encode())]
            message = protos.http_invocation(self.function_id, invocation_id, self.parameter, {})
            invocation = asyncio.get_running_loop().create_task(runtime.invocation_request(message))
            self._invocations.add(invocation)
            invocation.add_done_callback(self._invocations.discard)
        await self._app(scope, receive, send)


async def main(app_dir: Path, function: str) -> None:
    """Serves one function of the app, whatever the path, and prints the URL once."""
    servers: list[Any] = []
    made = base.WebServer.__init__

    def make(self: Any, hostname: str, port: int, web_app: Any) -> None:
        made(self, hostname, port, web_app)
        self.web_app = Invoking(self.web_app)
        servers.append(self)

    base.WebServer.__init__ = make  # type: ignore[method-assign]
    initialised = await runtime.worker_init_request(protos.init_request(str(app_dir), ADDRESS))
    if initialised.result.status != protos.StatusResult.Success:
        raise SystemExit(initialised.result.exception.message)
    runtime.start_threadpool_executor()
    found = await runtime.functions_metadata_request(None)
    indexed = next(one for one in map(Indexed.from_metadata, found.function_metadata_results) if one.name == function)
    await runtime.function_load_request(protos.load_request(indexed.function_id))
    servers[0].web_app.function_id = indexed.function_id
    servers[0].web_app.parameter = indexed.trigger["name"]
    print(initialised.capabilities["HttpUri"], flush=True)
    _say_no_more()
    await asyncio.get_running_loop().create_future()


def _say_no_more() -> None:
    """Microsoft's extension leaves uvicorn's access log on, and nobody reads what this process writes."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


if __name__ == "__main__":
    app_dir = Path(sys.argv[1]).resolve()
    sys.path[:] = [*(path for path in sys.path if path not in ("", os.getcwd())), str(app_dir)]
    os.chdir(app_dir)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(app_dir, sys.argv[2]))
