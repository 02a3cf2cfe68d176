"""The limit: one Starlette route that forwards to one upstream over the transport that Spillway uses, and nothing else.

It reads the body, sends it on, and gives the answer back, whole or as it comes.
"""

from __future__ import annotations

import asyncio

import click
import httpx
import uvicorn
import uvloop
from httpx_aiohttp import AiohttpTransport
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from devtools.serving import listen, server

_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=1000)


def application(port: int) -> Starlette:
    """The route, before an upstream on this port."""
    transport = AiohttpTransport(limits=_LIMITS)
    base = f"http://127.0.0.1:{port}"

    async def forward(request: Request) -> Response:
        body = await request.body()
        outgoing = httpx.Request(
            "POST",
            f"{base}{request.url.path}",
            headers={"api-key": "bench", "content-type": "application/json"},
            content=body,
        )
        answer = await transport.handle_async_request(outgoing)
        media_type = answer.headers["content-type"]
        if media_type == "text/event-stream":
            return StreamingResponse(answer.aiter_raw(), media_type=media_type)
        return Response(await answer.aread(), media_type=media_type)

    return Starlette(routes=[Route("/{path:path}", forward, methods=["POST"])])


@click.command()
@click.option("--upstream", "port", required=True, type=int)
def main(port: int) -> None:
    """Serve until killed; prints the port."""

    async def serve() -> None:
        sock = listen()
        print(sock.getsockname()[1], flush=True)
        running: uvicorn.Server = server(application(port))
        await running.serve(sockets=[sock])

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(serve())


if __name__ == "__main__":
    main()
