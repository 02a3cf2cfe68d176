"""Runs a function app under azure-functions-runtime, the library that Azure runs for Python 3.13, for tests.

The library keeps its state in module-level singletons, so one app is one process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from devtools.processes import start

ROOT = Path(__file__).resolve().parents[3]
READY_S_MAX = 30.0


class WorkerError(Exception):
    """The worker refused the app; the message is what it told the host, or its last output."""


@dataclass(frozen=True)
class Worker:
    """A running app: `url` is the host's address for clients, `functions` the indexed names, `log` all output."""

    url: str
    functions: list[str]
    log: Path
    pid: int

    def invocations(self) -> list[dict[str, Any]]:
        """`function`, `state` (running, succeeded, failed) and `error` of every invocation, oldest first."""
        with urlopen(f"{self.url}/_worker") as answer:  # noqa: S310 - our own loopback address
            found: list[dict[str, Any]] = json.load(answer)["invocations"]
        return found


@contextmanager
def runtime_worker(
    app_dir: Path, environ: Mapping[str, str] | None = None, *, idle_timeout_s: float = 230.0
) -> Iterator[Worker]:
    """Runs `function_app.py` of `app_dir` until the block ends, with `environ` added to this process's. 3.13+ only.

    Raises WorkerError when the app does not index.
    """
    with tempfile.TemporaryDirectory() as folder:
        ready, log = Path(folder) / "ready.json", Path(folder) / "log.txt"
        command = [sys.executable, "-m", "devtools.host.worker", str(app_dir), str(ready), str(idle_timeout_s)]
        with log.open("wb") as output:
            process = start(command, env={**os.environ, **(environ or {})}, cwd=ROOT, output=output)
        try:
            report = _await(process, ready, log)
            yield Worker(report["url"], report["functions"], log, process.pid)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def _await(process: subprocess.Popen[bytes], ready: Path, log: Path) -> dict[str, Any]:
    deadline = time.monotonic() + READY_S_MAX
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise WorkerError(f"The worker did not start:\n{log.read_text()[-4000:]}")
        time.sleep(0.02)
    report: dict[str, Any] = json.loads(ready.read_text())
    if "error" in report:
        raise WorkerError(report["error"])
    return report
