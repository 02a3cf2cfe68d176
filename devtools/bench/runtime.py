"""Calls through azure-functions-runtime, the library that Azure runs for Python 3.13: how many, and what each leaves.

A function that answers a constant is what the library and the web server cost; Spillway, with everything on before an
instant upstream, is measured beside it. Microsoft's HTTP extension is measured where it is installed: it shows what
the library keeps of each call when nobody removes it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import aiohttp
import click

from devtools.bench.processes import GATEWAY_CORE, LOAD_CORE, ROOT, memory_mb, pin, running, upstream, wait_until_open
from devtools.bench.speed.load import cpu_s
from devtools.bench.speed.targets import config
from devtools.storage import storage

_BARE = """
import sys
import azure.functions as func
{extension}

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="{{*path}}", methods=["POST"])
async def bare(req: Request) -> Response:
    await req.body()
    return Response(b'{{"answer": "a constant"}}', media_type="application/json")
"""
OURS = f"sys.path.append({str(ROOT)!r})\nfrom shared.hosting import Request, Response"
MICROSOFTS = "from azurefunctions.extensions.http.fastapi import Request, Response"
_BODY = json.dumps({"model": "bench", "messages": [{"role": "user", "content": "Say hello."}]}).encode()
_HEADERS = {"authorization": "Bearer sk-bench", "content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Grown:
    """Calls a second, CPU microseconds of the worker and bytes of its memory for each."""

    rate: float
    cpu_us: float
    bytes_a_call: float


@click.command()
@click.option("--calls", default=20_000, show_default=True, help="Calls that are measured.")
@click.option("--warm-up", default=5_000, show_default=True, help="Calls before them, until memory has settled.")
@click.option("--connections", default=16, show_default=True)
@click.option("--kept-bytes-max", default=0.0, help="Fail when a call to Spillway leaves more.")
def main(calls: int, warm_up: int, connections: int, kept_bytes_max: float) -> None:
    """Calls through Azure's worker library, and the memory each leaves."""
    if importlib.util.find_spec("azure_functions_runtime") is None:
        print("azure-functions-runtime, which needs Python 3.13, is not installed: not measured")
        return
    pin(LOAD_CORE)
    print(f"{'':46}{'calls/s':>9}{'CPU':>10}{'left by each':>15}")

    def measured(name: str, url: str, pid: int) -> Grown:
        grown = asyncio.run(_measured(f"{url}/v1/chat/completions", pid, calls, warm_up, connections))
        print(f"{name:46}{grown.rate:9,.0f}{grown.cpu_us:7,.0f} µs{grown.bytes_a_call:10,.0f} bytes", flush=True)
        return grown

    with ExitStack() as stack:
        measured("a function that answers a constant", *stack.enter_context(_bare(OURS)))
    name = "  with Microsoft's HTTP extension"
    if _installed("azurefunctions-extensions-http-fastapi"):
        with ExitStack() as stack:
            measured(name, *stack.enter_context(_bare(MICROSOFTS)))
    else:
        print(f"{name:46}not installed here: pip install azurefunctions-extensions-http-fastapi to compare")
    with ExitStack() as stack:
        spillway = measured("Spillway, chat, the ledger in Azurite", *stack.enter_context(_spillway()))
    if kept_bytes_max and spillway.bytes_a_call > kept_bytes_max:
        raise SystemExit(1)


@contextmanager
def _bare(extension: str) -> Iterator[tuple[str, int]]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "function_app.py").write_text(_BARE.format(extension=extension))
        with _worker(Path(folder), "bare", {}) as found:
            yield found


@contextmanager
def _spillway() -> Iterator[tuple[str, int]]:
    with upstream() as port, storage() as account, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.yaml"
        path.write_text(config(port))
        environ = {"SPILLWAY_CONFIG": str(path), "SPILLWAY_MASTER_KEY": "sk-bench", "AzureWebJobsStorage": account}
        with _worker(ROOT, "chat_completions", environ) as found:
            yield found


@contextmanager
def _worker(app_dir: Path, function: str, environ: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """A worker that serves this function; yields its URL and process id."""
    module = "devtools.bench.runtime_worker"
    with running(GATEWAY_CORE, "-m", module, str(app_dir), function, environ=environ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        wait_until_open(process, int(url.rpartition(":")[2]))
        yield url, process.pid


async def _measured(url: str, pid: int, calls: int, warm_up: int, connections: int) -> Grown:
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector, headers=_HEADERS) as session:
        await _call(session, url, warm_up, connections)
        memory, cpu, began = memory_mb(pid), cpu_s(pid), time.perf_counter()
        await _call(session, url, calls, connections)
        took, cpu, memory = time.perf_counter() - began, cpu_s(pid) - cpu, memory_mb(pid) - memory
    return Grown(calls / took, cpu / calls * 1e6, memory * 1e6 / calls)


async def _call(session: aiohttp.ClientSession, url: str, calls: int, connections: int) -> None:
    left = iter(range(calls))

    async def one() -> None:
        for _ in left:
            async with session.post(url, data=_BODY) as answer:
                await answer.read()
                answer.raise_for_status()

    await asyncio.gather(*(one() for _ in range(connections)))


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
