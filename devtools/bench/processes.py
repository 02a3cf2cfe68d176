"""The processes of a measurement: each pinned to a core where the machine has two, and ended with the block."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GATEWAY_CORE, LOAD_CORE = 0, 1
START_S = 30.0


def pin(core: int) -> None:
    """Keeps this process on one core; does nothing on a machine with a single one."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


@contextmanager
def running(
    core: int,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    program: Sequence[str] = (sys.executable,),
    quiet: bool = False,
) -> Iterator[subprocess.Popen[str]]:
    """`python ARGUMENTS` (or `program`) on `core`; killed at the end of the block. `quiet`: nothing it says is read."""
    process = subprocess.Popen(
        [*program, *arguments],
        cwd=ROOT,
        env={**os.environ, **(environ or {})},
        stdout=subprocess.DEVNULL if quiet else subprocess.PIPE,
        stderr=subprocess.DEVNULL if quiet else None,
        text=True,
    )
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(process.pid, {core})
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def upstream(**pace: float) -> Iterator[int]:
    """The instant upstream; yields its port. `pace`: first_ms, chunks, delay_ms."""
    options = [part for name, value in pace.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    with running(LOAD_CORE, "-m", "devtools.bench.upstream", *options) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


@contextmanager
def simulator() -> Iterator[str]:
    """The simulated Azure; yields its URL."""
    port = _free_port()
    with running(LOAD_CORE, "-m", "devtools", "simulator", "--port", str(port)) as process:
        wait_until_open(process, port)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def gateway(config: str, folder: Path, **environ: str) -> Iterator[tuple[str, int]]:
    """Spillway on `devtools host` with this configuration; yields its URL and process id. The key is `sk-bench`."""
    path = folder / "bench.yaml"
    path.write_text(config)
    port = _free_port()
    environ |= {"SPILLWAY_CONFIG": str(path), "SPILLWAY_MASTER_KEY": "sk-bench", "SPILLWAY_ALLOW_ANONYMOUS": "false"}
    with running(GATEWAY_CORE, "-m", "devtools", "host", "--port", str(port), environ=environ) as process:
        wait_until_open(process, port)
        yield f"http://127.0.0.1:{port}", process.pid


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_open(process: subprocess.Popen[str], port: int, seconds: float = START_S) -> None:
    """Returns when something listens on the port. Raises RuntimeError."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise RuntimeError(f"a process did not start to listen (exit code {process.poll()})")


def memory_mb(pid: int, *, peak: bool = False) -> float:
    """Resident memory of a process, or the most it ever had, in MB of 1,000,000 bytes. Raises OSError when it is gone,
    RuntimeError when nothing is told."""
    name = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"no memory figure for process {pid}")
