"""The web server of the Functions worker: Spillway's own HTTP extension, on `azurefunctions-extensions-base`.

The worker hands an invocation's HTTP side to a module that registers a request type, a response type, a `WebApp` and a
`WebServer`. Microsoft's `azurefunctions-extensions-http-fastapi` is such a module; this one is another, because that
one imports FastAPI for a server with one route, which costs a fifth of a cold start; FastAPI's own `/docs`, `/redoc`
and `/openapi.json` answer before any function sees the request, whose invocation then waits for ever; and uvicorn's
defaults cannot be set through it. Here a request is starlette's, a response is whatever derives from starlette's
`Response`, and between uvicorn and the worker's one handler there is nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from azurefunctions.extensions import base
from starlette.requests import Request as Request
from starlette.responses import PlainTextResponse
from starlette.responses import Response as Response
from starlette.types import Receive, Scope, Send

BATCH_SCHEDULE = "SPILLWAY_BATCH_SCHEDULE"
"""The app setting with the NCRONTAB schedule of the timer `batches`."""
INVOCATION_ID = "x-ms-invocation-id"
KEEP_ALIVE_S = 75
"""An idle connection stays open longer than the host's pool keeps it, which is a minute."""

log = logging.getLogger("spillway")

Handler = Callable[[Request], Awaitable[object]]


def schedule(setting: str, default: str) -> str:
    """A timer's schedule: an app setting, as the host reads it, or the default where there is no such setting, which
    the host would refuse to load."""
    return f"%{setting}%" if os.environ.get(setting) else default


class RouteParameters(base.RequestSynchronizer):
    """Carries what the host found in the path, which comes by gRPC, to the request, which comes by HTTP."""

    def sync_route_params(self, request: Request, path_params: MutableMapping[str, str]) -> None:
        """Called once for each invocation, before its handler."""
        request.scope["path_params"] = dict(path_params)


class Requests(metaclass=base.RequestTrackerMeta):
    """Registers the type that a handler's request is annotated with."""

    request_type = Request
    synchronizer = RouteParameters()


class Responses(metaclass=base.ResponseTrackerMeta):
    """Registers the type that a handler's answer derives from."""

    label = base.ResponseLabels.STANDARD
    response_type = Response


class WebApp(base.WebApp):
    """The ASGI app in the worker: every request, whatever its path and method, goes to the worker's one handler.

    That handler waits until the invocation of the same id has given it an answer, and raises what that raised.
    """

    def __init__(self) -> None:
        self._handler: Handler | None = None
        self._waiting: MutableMapping[str, object] | None = None

    def route(self, func: Handler) -> Handler:
        """Takes the worker's handler. Called once."""
        self._handler, self._waiting = func, _waiting(func)
        return func

    def get_app(self) -> WebApp:
        """What the server serves."""
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._handler is not None
        request = Request(scope, receive, send)
        try:
            response = await self._handler(request)
            if not isinstance(response, Response):
                raise TypeError(f"a handler answered {type(response).__name__}, which is no response")
        except Exception:
            log.exception("the worker has no answer")
            response = PlainTextResponse("Internal Server Error", 500)
        finally:
            if self._waiting is not None:
                self._waiting.pop(request.headers.get(INVOCATION_ID, ""), None)
        await response(scope, receive, send)


class WebServer(base.WebServer):
    """uvicorn on the address that the worker chose, on the worker's loop.

    The worker makes it when the app is indexed, which no other host does, and then tells the host the address: what
    can take time is done before.
    """

    def __init__(self, hostname: str, port: int, web_app: base.WebApp) -> None:
        import uvicorn

        super().__init__(hostname, port, web_app)
        config = uvicorn.Config(
            self.web_app,
            host=hostname,
            port=port,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        config.load()
        self._server = uvicorn.Server(config)

    async def serve(self) -> None:
        """Serves until the worker is killed."""
        await self._server.serve()


def _waiting(handler: Handler) -> MutableMapping[str, object] | None:
    """The worker's map of invocations to what they exchange, which azure-functions-runtime 1.3.0 only ever adds to.

    None where the worker has no such map: then it has its own way to forget them.
    """
    coordinator: Any = getattr(handler, "__globals__", {}).get("http_coordinator")
    found = getattr(coordinator, "_context_references", None)
    return found if isinstance(found, dict) else None
