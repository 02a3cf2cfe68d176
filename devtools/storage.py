"""Azurite, Microsoft's storage emulator, from npm: blob on port N, queue on N+1, table on N+2."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

import click

from devtools.processes import accepts, free_port, is_free, start, stop

ROOT = Path(__file__).resolve().parents[1]
AZURITE = ROOT / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
DATA_DIR = ROOT / ".spillway" / "azurite"
DEFAULT_PORT = 10000
PORTS = 3
READY_S_MAX = 30.0
# The account that every Azurite has; its key is published in Azurite's README and opens nothing else.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
TRIES = 4


class StorageError(Exception):
    """Azurite cannot run; the message says which command helps."""


def connection_string(port: int = DEFAULT_PORT, host: str = "127.0.0.1") -> str:
    """What `AzureWebJobsStorage` must be for an Azurite whose blob port is `port`."""
    endpoints = "".join(
        f"{service}Endpoint=http://{host}:{port + offset}/{ACCOUNT};"
        for offset, service in enumerate(("Blob", "Queue", "Table"))
    )
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};{endpoints}"


def command(port: int, data_dir: Path | None, azurite: Path = AZURITE) -> list[str]:
    """The command line of Azurite, in memory without a `data_dir`. Raises StorageError when it is not there."""
    node = shutil.which("node")
    if node is None:
        raise StorageError("Storage needs Node.js 18 or newer (https://nodejs.org). Install it, then run: make setup")
    if not azurite.exists():
        raise StorageError("Azurite is not installed. Run: make setup (or only: npm ci)")
    place = ["--inMemoryPersistence"] if data_dir is None else ["--location", str(data_dir)]
    ports = [
        word
        for offset, service in enumerate(("blob", "queue", "table"))
        for word in (f"--{service}Port", str(port + offset))
    ]
    return [node, str(azurite), "--silent", "--disableTelemetry", "--skipApiVersionCheck", *ports, *place]


def launch(port: int, data_dir: Path | None) -> subprocess.Popen[bytes]:
    """Starts Azurite and returns when its three ports answer. Raises StorageError."""
    for taken in range(port, port + PORTS):
        if not is_free(taken):
            raise StorageError(f"Port {taken} is taken: choose another block of three with --port.")
    if data_dir is not None:
        data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as output:
        process = start(command(port, data_dir), output=output)
        try:
            _wait_until_ready(process, port, output)
        except BaseException:
            stop(process)
            raise
    return process


@contextmanager
def storage(port: int | None = None, data_dir: Path | None = None) -> Iterator[str]:
    """Runs Azurite until the block ends; yields its connection string. No port: three free ones; no folder: in memory.

    Raises StorageError when it cannot be started.
    """
    process, port = (launch(port, data_dir), port) if port is not None else _launch_somewhere(data_dir)
    try:
        yield connection_string(port)
    finally:
        stop(process)


def _launch_somewhere(data_dir: Path | None) -> tuple[subprocess.Popen[bytes], int]:
    """Starts Azurite on three free ports, which another process may take before it does: then on others."""
    for _ in range(TRIES - 1):
        port = free_port(PORTS)
        with suppress(StorageError):
            return launch(port, data_dir), port
    port = free_port(PORTS)
    return launch(port, data_dir), port


@click.command("storage")
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Blob port N; queue is N+1, table N+2.")
@click.option("--in-memory", is_flag=True, help="Keep nothing on disk.")
@click.option("--data-dir", default=DATA_DIR, type=click.Path(path_type=Path), show_default=".spillway/azurite")
def main(port: int, in_memory: bool, data_dir: Path) -> None:
    """Run Azurite, the storage emulator."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _leave)
    try:
        process = launch(port, None if in_memory else data_dir)
    except StorageError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    try:
        print(f"Azurite on ports {port} (blob), {port + 1} (queue), {port + 2} (table). Ctrl-C stops it.")
        print(f"AzureWebJobsStorage={connection_string(port)}", flush=True)
        code = process.wait()
    finally:
        stop(process)
    print(f"Azurite ended with code {code}.", file=sys.stderr)
    sys.exit(1)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, output: IO[bytes]) -> None:
    deadline = time.monotonic() + READY_S_MAX
    while not all(accepts(port + offset) for offset in range(PORTS)):
        if process.poll() is not None:
            output.seek(0)
            raise StorageError(f"Azurite ended at once:\n{output.read().decode(errors='replace')[-2000:].strip()}")
        if time.monotonic() > deadline:
            raise StorageError(f"Azurite did not listen within {READY_S_MAX:.0f} s.")
        time.sleep(0.05)


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    sys.exit(0)
