"""The host's side of Azure's real Python worker: routes a request, forwards it, and sends the invocation beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import azure_functions_runtime
import httpx

from devtools.host import forwarding
from devtools.host.body import BodyTooLarge, ClientGone, Receive, content_length, prepare
from devtools.host.invoke import Send, respond
from devtools.host.routes import LoadError, Match, Route, RouteTable, checked, join_prefix
from devtools.host.worker import protos
from devtools.serving import Scope

BODY_BYTES_MAX = 210_000_000
runtime: Any = azure_functions_runtime  # it has no types


@dataclass(frozen=True)
class Indexed:
    """A function as the worker reports it to the host: the first binding with a trigger's type."""

    name: str
    function_id: str
    trigger: dict[str, Any]

    @classmethod
    def from_metadata(cls, metadata: Any) -> Indexed:
        bindings = [json.loads(binding) for binding in metadata.raw_bindings]
        trigger = next(binding for binding in bindings if binding["type"].endswith("Trigger"))
        return cls(metadata.name, metadata.function_id, trigger)

    def route(self, prefix: str) -> Route:
        """Raises LoadError."""
        route = checked(self.name, self.trigger.get("route") or self.name)
        methods = frozenset(str(method) for method in self.trigger.get("methods") or ())
        return Route(self.name, join_prefix(prefix, route), methods)


@dataclass
class Invocation:
    """What became of one invocation: `running` for ever is how a trap shows."""

    function: str
    state: str = "running"
    error: str = ""


class Front:
    """An ASGI app that plays the host. `GET /_worker` tells its functions and invocations."""

    def __init__(self, functions: list[Indexed], prefix: str, worker_url: str, idle_timeout_s: float) -> None:
        self.functions = {function.name: function for function in functions}
        self.table = RouteTable(_routes(functions, prefix))
        self.invocations: list[Invocation] = []
        self._worker_url = worker_url
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(idle_timeout_s), limits=httpx.Limits(max_connections=None), trust_env=False
        )
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path == "/_worker":
            state = {"functions": list(self.functions), "invocations": [asdict(one) for one in self.invocations]}
            await respond(send, 200, (), json.dumps(state).encode())
            return
        if path.startswith("/admin/functions/"):
            await self._run_timer(path.rpartition("/")[2])
            await respond(send, 202)
            return
        match = self.table.match(scope["method"], path)
        if match is None:
            await respond(send, 404)
            return
        with contextlib.ExitStack() as files:
            await self._invoked(match, scope, receive, send, files)

    async def _invoked(
        self, match: Match, scope: Scope, receive: Receive, send: Send, files: contextlib.ExitStack
    ) -> None:
        worker = forwarding.worker_scope(scope, match.params)
        try:
            body = await prepare(scope["headers"], receive, BODY_BYTES_MAX, _never, files)
        except ClientGone:
            return
        except BodyTooLarge:
            await respond(send, 413)
            return
        invocation_id = dict(worker["headers"])[b"x-ms-invocation-id"].decode()
        function = self.functions[match.name]
        self._start(function, protos.http_invocation(
            function.function_id, invocation_id, function.trigger["name"], match.params))  # fmt: skip
        await self._forward(worker, body, send)

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forwards until the answer is complete or the client goes, which closes the worker's connection."""
        body_read = asyncio.Event()
        forward = asyncio.ensure_future(self._exchange(self._request(scope, receive, body_read), send))
        gone = asyncio.ensure_future(_disconnect(receive, body_read))
        await asyncio.wait((forward, gone), return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if not forward.done():
            forward.cancel()
        await asyncio.gather(forward, gone, return_exceptions=True)

    async def _exchange(self, request: httpx.Request, send: Send) -> None:
        started = False
        try:
            response = await self._client.send(request, stream=True)
            try:
                headers = forwarding.client_headers(_lower(response.headers.raw), ())
                await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
                started = True
                async for chunk in response.aiter_raw():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            finally:
                await response.aclose()
        except httpx.TimeoutException:
            if not started:
                await respond(send, 504)
        except httpx.TransportError:
            if not started:
                await respond(send, 502)

    def _request(self, scope: Scope, receive: Receive, body_read: asyncio.Event) -> httpx.Request:
        query = scope["query_string"].decode()
        url = f"{self._worker_url}{scope['raw_path'].decode()}{'?' + query if query else ''}"
        headers = [header for header in scope["headers"] if header[0] not in (b"host", b"transfer-encoding")]
        has_body = content_length(scope["headers"]) or len(headers) < len(scope["headers"]) - 1
        if not has_body:
            body_read.set()
        return httpx.Request(
            scope["method"], url, headers=headers, content=_body(receive, body_read) if has_body else None
        )

    async def _run_timer(self, name: str) -> None:
        function = self.functions[name]
        message = protos.timer_invocation(function.function_id, str(uuid.uuid4()), function.trigger["name"])
        await self._start(function, message)

    def _start(self, function: Indexed, message: protos.Message) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._invoke(function.name, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _invoke(self, name: str, message: protos.Message) -> None:
        invocation = Invocation(name)
        self.invocations.append(invocation)
        response = await runtime.invocation_request(message)
        succeeded = response.result.status == protos.StatusResult.Success
        invocation.state = "succeeded" if succeeded else "failed"
        invocation.error = "" if succeeded else response.result.exception.message


def _routes(functions: list[Indexed], prefix: str) -> Iterator[Route]:
    for function in functions:
        if function.trigger["type"] == "httpTrigger":
            with contextlib.suppress(LoadError):
                yield function.route(prefix)


async def _body(receive: Receive, read: asyncio.Event) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        yield message["body"]
        if not message.get("more_body"):
            read.set()
            return


async def _disconnect(receive: Receive, body_read: asyncio.Event) -> None:
    await body_read.wait()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _never() -> None:
    """A chunked body over the limit is the other host's affair."""


def _lower(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Names in lower case, and no framing: the server that answers the client does its own."""
    return [(name.lower(), value) for name, value in headers if name.lower() != b"transfer-encoding"]
