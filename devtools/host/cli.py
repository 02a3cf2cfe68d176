"""`python -m devtools host`: indexes the app, prints its functions like `func start`, serves until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
import uvicorn

from devtools.host.app import Host, create_host
from devtools.host.index import IndexingError
from devtools.serving import listen, server
from shared.errors import ConfigError

# Open streams get this long to end after Ctrl-C; then they are cut, and a little later the process is gone.
GRACE_S = 1
EXIT_S = 1.8


@click.command("host")
@click.option("--port", default=7071, show_default=True, help="Port to listen on; 0 chooses a free one.")
@click.option("--host", "address", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--app-dir",
    default=".",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder with function_app.py and host.json.",
)
def main(port: int, address: str, app_dir: Path) -> None:
    """Serve function_app.py as Azure Functions would, without Core Tools."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _leave)
    load_local_settings(app_dir)
    with asyncio.Runner(loop_factory=uvicorn.Config(app="").get_loop_factory()) as runner:
        runner.run(_serve(address, port, app_dir))


def load_local_settings(app_dir: Path) -> None:
    """`Values` of local.settings.json into the environment; what is set already stays."""
    path = app_dir / "local.settings.json"
    if path.exists():
        for name, value in json.loads(path.read_text()).get("Values", {}).items():
            os.environ.setdefault(name, str(value))


def listing(host: Host, base_url: str) -> str:
    """The functions as `func start` lists them, then those that were not loaded."""
    lines = ["Functions:", ""]
    for route in host.index.table.routes:
        methods = ",".join(host.index.functions[route.name].methods)
        lines += [f"\t{route.name}: [{methods}] {base_url}/{route.template}", ""]
    for name in host.timers.names():
        lines += [f"\t{name}: timerTrigger", ""]
    return "\n".join((*lines, *host.problems))


async def _serve(address: str, port: int, app_dir: Path) -> None:
    # Indexed on the running loop, as the worker does: an app that calls asyncio.run() at import fails here too.
    host = _create_host(app_dir)
    sock = _listen(address, port)
    name = "localhost" if address in ("127.0.0.1", "0.0.0.0") else address  # noqa: S104
    print(listing(host, f"http://{name}:{sock.getsockname()[1]}"), flush=True)
    timers = asyncio.create_task(host.timers.run())
    config = server(host, proxy_headers=False, timeout_graceful_shutdown=GRACE_S).config
    try:
        await _Server(config).serve(sockets=[sock])
    finally:
        timers.cancel()


def _create_host(app_dir: Path) -> Host:
    try:
        return create_host(app_dir)
    except ConfigError as error:
        _fail("The configuration cannot be used:", *(f"  {problem}" for problem in error.problems))
    except IndexingError as error:
        _fail(f"The app cannot be indexed: {error}")
    except Exception as error:
        traceback.print_exc()
        _fail(f"function_app.py cannot be imported: {type(error).__name__}: {error}")


class _Server(uvicorn.Server):
    """Ends in time whatever is still running, and says nothing about the streams that it cuts."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        if not self.should_exit:
            deadline = threading.Timer(EXIT_S, os._exit, (0,))
            deadline.daemon = True
            deadline.start()
        super().handle_exit(sig, frame)


def _listen(address: str, port: int) -> socket.socket:
    try:
        return listen(port, address)
    except OSError as error:
        _fail(f"Port {port} of {address} cannot be used: {error.strerror}. Choose another one with --port.")


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    """Azure kills its workers: an app gets no chance to close anything here either."""
    sys.stdout.flush()
    os._exit(0)


def _fail(*lines: str) -> NoReturn:
    print(*lines, sep="\n", file=sys.stderr, flush=True)
    sys.exit(1)
