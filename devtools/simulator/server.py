"""Runs the simulator as a process of its own."""

from __future__ import annotations

import asyncio
import signal
from importlib.util import find_spec
from pathlib import Path

from devtools.serving import listen, server
from devtools.simulator.app import create_app

DEFAULT_PORT = 9100


def run(port: int = DEFAULT_PORT, host: str = "127.0.0.1", settings: Path | None = None, seed: int = 0) -> None:
    """Serves until interrupted; prints one line with the URL when it is ready. Port 0 chooses a free one.

    SIGINT and SIGTERM end it in the same way, so that its temporary files go with it.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sock = listen(port, host)
    app = create_app(settings, seed=seed)
    http = "httptools" if find_spec("httptools") else "h11"
    uvicorn_server = server(app, http=http, h11_max_incomplete_event_size=1024 * 1024)
    print(f"Azure OpenAI simulator on http://{host}:{sock.getsockname()[1]}/<resource>: "
          f"{', '.join(sorted(app.world.resources))}", flush=True)  # fmt: skip
    serve = uvicorn_server.serve(sockets=[sock])
    try:
        if find_spec("uvloop"):
            import uvloop

            uvloop.run(serve)
        else:
            asyncio.run(serve)
    except KeyboardInterrupt:
        pass
    finally:
        sock.close()
        app.world.scratch.close()
