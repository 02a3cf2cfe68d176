"""Child processes that never outlive us: started in their own group, ended by their own id, gone when we are gone."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def start(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    output: int | IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Starts `command` as the leader of its own group, stdout and stderr to `output`. A terminal's Ctrl-C passes by it.

    On Linux the kernel ends it when we die, even by SIGKILL. That is bound to the starting thread, so it is asked for
    only from the main one.
    """
    bound = sys.platform == "linux" and threading.current_thread() is threading.main_thread()
    return subprocess.Popen(
        command,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        start_new_session=True,
        preexec_fn=_dying_with(os.getpid()) if bound else None,
    )


def stop(process: subprocess.Popen[bytes], grace_s: float = 3.0) -> int:
    """Asks the process to end, insists after `grace_s`, and returns its exit code. Ended ones are left alone."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError:
            return False
    return True


def free_port(block: int = 1, host: str = "127.0.0.1") -> int:
    """The first of `block` neighbouring free ports, somewhere the system chooses."""
    for _ in range(100):
        with socket.socket() as sock:
            sock.bind((host, 0))
            first: int = sock.getsockname()[1]
        if first + block <= 65536 and all(is_free(first + offset, host) for offset in range(block)):
            return first
    raise RuntimeError(f"No {block} neighbouring free ports were found on {host}.")


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """True when something listens there."""
    with socket.socket() as sock:
        sock.settimeout(1.0)
        return sock.connect_ex((host, port)) == 0


def _dying_with(parent: int) -> Callable[[], None]:
    """Runs between fork and exec, so it uses only what was made ready before the fork."""
    prctl = ctypes.CDLL(None).prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return prepare
