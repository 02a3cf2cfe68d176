"""The process of one worker: `python -m devtools.host.worker APP_DIR READY_FILE IDLE_TIMEOUT_S` in the repository.

As Azure's 3.13 worker: uvloop, the app's folder last on `sys.path`, one process, killed and never asked to stop.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import azure_functions_runtime
import uvloop

from devtools.host.index import ROUTE_PREFIX_DEFAULT, read_host_json
from devtools.host.worker import protos
from devtools.host.worker.front import Front, Indexed
from devtools.serving import listen, server

runtime: Any = azure_functions_runtime  # it has no types
ADDRESS = "127.0.0.1"


async def main(app_dir: Path, ready: Path, idle_timeout_s: float) -> None:
    front = await _index(app_dir, idle_timeout_s)
    sock = listen()
    serve = asyncio.create_task(server(front, proxy_headers=False).serve(sockets=[sock]))
    _write(ready, {"url": f"http://{ADDRESS}:{sock.getsockname()[1]}", "functions": list(front.functions)})
    await serve


async def _index(app_dir: Path, idle_timeout_s: float) -> Front:
    """What the host asks of a worker that starts: init (which imports the app), metadata, loads."""
    initialised = await runtime.worker_init_request(protos.init_request(str(app_dir), ADDRESS))
    if initialised.result.status != protos.StatusResult.Success:
        raise RuntimeError(initialised.result.exception.message)
    runtime.start_threadpool_executor()
    found = await runtime.functions_metadata_request(None)
    functions = [Indexed.from_metadata(metadata) for metadata in found.function_metadata_results or ()]
    for function in functions:
        await runtime.function_load_request(protos.load_request(function.function_id))
    http = read_host_json(app_dir).get("extensions", {}).get("http", {})
    worker_url = initialised.capabilities["HttpUri"]
    return Front(functions, http.get("routePrefix", ROUTE_PREFIX_DEFAULT), worker_url, idle_timeout_s)


def _write(ready: Path, report: dict[str, object]) -> None:
    partial = ready.with_suffix(".partial")
    partial.write_text(json.dumps(report))
    partial.rename(ready)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)  # the worker hands every record from INFO up to the host
    app_dir, ready = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    sys.path[:] = [*(path for path in sys.path if path not in ("", os.getcwd())), str(app_dir)]
    os.chdir(app_dir)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main(app_dir, ready, float(sys.argv[3])))
    except RuntimeError as error:
        _write(ready, {"error": str(error)})
