"""`python -m devtools up` (`make run`): storage, simulator and host together; one Ctrl-C ends all of them."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
import yaml
from click.core import ParameterSource

from devtools import storage
from devtools.processes import accepts, free_port, is_free, start, stop

ROOT = Path(__file__).resolve().parents[1]
STATE_DIR = ROOT / ".spillway"
SIMULATOR_PORT = 9100
LOCAL_KEY = "sk-spillway-local"
READY_S_MAX = 60.0
APP_SETTINGS = {"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "210000000"}
"""What the Function App has set in Azure too: its body limit is half of that otherwise."""
LAST_LINES = 15


@dataclass(frozen=True)
class Ports:
    host: int
    simulator: int
    storage: int


@dataclass(frozen=True)
class Plan:
    """What is started: the environment of the host, and which of the two others it needs."""

    env: dict[str, str]
    ports: Ports
    key: str
    model: str
    simulator: bool
    storage: bool


@dataclass
class Child:
    """A started command; its output is passed on line by line, and the last lines are kept for its obituary."""

    name: str
    process: subprocess.Popen[bytes]
    last: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))

    def follow(self) -> None:
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            line = raw.decode(errors="replace").rstrip()
            self.last.append(line)
            if line:
                print(f"{self.name}: {line}", flush=True)


class ChildEnded(Exception):
    """One of the commands ended by itself, so the others cannot go on."""


@click.command("up")
@click.option("--port", default=7071, show_default=True, help="Port of Spillway.")
@click.option("--simulator-port", default=SIMULATOR_PORT, show_default=True, help="Port of the simulated Azure.")
@click.option("--storage-port", default=storage.DEFAULT_PORT, show_default=True, help="First of three storage ports.")
@click.pass_context
def main(ctx: click.Context, port: int, simulator_port: int, storage_port: int) -> None:
    """Run storage, simulator and host together.

    A real Azure is used, and no simulator, when AZURE_API_BASE or SPILLWAY_CONFIG is set; your own storage account
    when AzureWebJobsStorage is set.
    """
    ports = Ports(
        _usable(ctx, "port", port), _usable(ctx, "simulator_port", simulator_port),
        _usable(ctx, "storage_port", storage_port, storage.PORTS),
    )  # fmt: skip
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _leave)
    children: list[Child] = []
    try:
        _run(make_plan(os.environ, ports), children)
    except (ChildEnded, storage.StorageError) as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        sys.exit(1)
    finally:
        _end(children)


def make_plan(environ: Mapping[str, str], ports: Ports) -> Plan:
    """Decides between a real Azure and the simulator, and completes the environment accordingly."""
    env = {**APP_SETTINGS, **environ, "PYTHONUNBUFFERED": "1"}
    own_storage = any(name.partition("__")[0] == "AzureWebJobsStorage" and value for name, value in environ.items())
    if not own_storage:
        env["AzureWebJobsStorage"] = storage.connection_string(ports.storage)
    real = bool(environ.get("AZURE_API_BASE") or environ.get("SPILLWAY_CONFIG"))
    if real:
        key = environ.get("SPILLWAY_MASTER_KEY") or f"sk-{secrets.token_urlsafe(24)}"
    else:
        key = environ.get("SPILLWAY_MASTER_KEY") or LOCAL_KEY
        env["SPILLWAY_CONFIG"] = str(sample_config(ports.simulator))
        env.pop("IDENTITY_ENDPOINT", None)
    env["SPILLWAY_MASTER_KEY"] = key
    return Plan(env, ports, key, first_model(env.get("SPILLWAY_CONFIG")), not real, not own_storage)


def sample_config(simulator_port: int, state_dir: Path = STATE_DIR) -> Path:
    """config.yaml, or a copy of it when the simulator is not on the port that the file names."""
    sample = ROOT / "config.yaml"
    if simulator_port == SIMULATOR_PORT:
        return sample
    copy = state_dir / "config.yaml"
    state_dir.mkdir(exist_ok=True)
    copy.write_text(sample.read_text().replace(f"127.0.0.1:{SIMULATOR_PORT}", f"127.0.0.1:{simulator_port}"))
    return copy


def first_model(config: str | None) -> str:
    """A model name to show in the example call; a placeholder when the config has none that can be called."""
    placeholder = "azure/<your deployment>"
    if not config or not Path(config).is_file():
        return placeholder
    try:
        entries = (yaml.safe_load(Path(config).read_text()) or {}).get("model_list") or []
        names = [str(entry["model_name"]) for entry in entries]
    except (yaml.YAMLError, AttributeError, KeyError, TypeError):
        return placeholder
    return next((name for name in names if "*" not in name), placeholder)


def banner(plan: Plan) -> str:
    """What a newcomer needs: where, with which key, one call, how to stop."""
    url = f"http://localhost:{plan.ports.host}/v1"
    body = f'{{"model": "{plan.model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    upstream = f"simulated, http://127.0.0.1:{plan.ports.simulator}" if plan.simulator else "yours"
    return "\n".join(
        (
            "",
            f"Spillway is up.  URL {url}   key {plan.key}   Azure OpenAI: {upstream}",
            "",
            f"  curl {url}/chat/completions -H 'Authorization: Bearer {plan.key}' \\",
            f"    -H 'Content-Type: application/json' -d '{body}'",
            "",
            "Ctrl-C stops everything.",
        )
    )


def _run(plan: Plan, children: list[Child]) -> None:
    ports = plan.ports
    if plan.storage:
        storage.command(ports.storage, None)  # says at once what is not installed
        _begin("storage", ["storage", "--port", str(ports.storage)], plan.env, children)
    if plan.simulator:
        _begin("simulator", ["simulator", "--port", str(ports.simulator)], plan.env, children)
    awaited = [ports.simulator] * plan.simulator + [ports.storage + 2] * plan.storage
    _wait_for(awaited, children)
    _begin("host", ["host", "--port", str(ports.host)], plan.env, children)
    _wait_for([ports.host], children)
    print(banner(plan), flush=True)
    while True:
        _check(children)
        time.sleep(0.2)


def _begin(name: str, arguments: Sequence[str], env: Mapping[str, str], children: list[Child]) -> None:
    command = [sys.executable, "-m", "devtools", *arguments]
    child = Child(name, start(command, env=env, cwd=ROOT, output=subprocess.PIPE))
    children.append(child)
    threading.Thread(target=child.follow, name=name, daemon=True).start()


def _wait_for(ports: Sequence[int], children: Sequence[Child]) -> None:
    deadline = time.monotonic() + READY_S_MAX
    while not all(accepts(port) for port in ports):
        _check(children)
        if time.monotonic() > deadline:
            raise ChildEnded(f"Nothing answers on port {', '.join(map(str, ports))} after {READY_S_MAX:.0f} s.")
        time.sleep(0.1)


def _check(children: Sequence[Child]) -> None:
    for child in children:
        code = child.process.poll()
        if code is not None:
            time.sleep(0.2)  # its last words are still on their way
            words = "\n".join(f"  {line}" for line in child.last)
            raise ChildEnded(f"{child.name} ended with code {code}, so everything stops. Its last output:\n{words}")


def _end(children: Sequence[Child]) -> None:
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    for child in reversed(children):
        if child.process.poll() is None:
            child.process.terminate()
    for child in reversed(children):
        stop(child.process)


def _usable(ctx: click.Context, option: str, port: int, block: int = 1) -> int:
    """The port, or a free one instead of a default that is taken."""
    if all(is_free(port + offset) for offset in range(block)):
        return port
    if ctx.get_parameter_source(option) is not ParameterSource.DEFAULT:
        raise click.UsageError(f"Port {port} is taken.")
    free = free_port(block)
    print(f"Port {port} is taken: {option.replace('_', ' ')} is {free} instead.", flush=True)
    return free


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    sys.exit(0)
