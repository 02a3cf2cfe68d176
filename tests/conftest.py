"""Fixtures for tests over real sockets: one simulator and one host a session, a fresh gateway for each test."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, settings

from devtools.host import create_host
from devtools.serving import Message, Scope, serving
from devtools.simulator import ControlClient, create_app
from devtools.storage import storage
from shared import gateway, warmup

ROOT = Path(__file__).resolve().parent.parent
KEY = "sk-spillway-test-master"
PAST: set[str] = set()
"""The instances of earlier tests, one of whose calls may end in the time of a later test."""
DEADLINE_S = 5.0
"""How long a test waits for what must happen soon; a wait that ends well ends at once."""

warmup.FREEZE_AFTER_S = ()
"""Tests let go of what they made; a worker keeps it."""
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
"""No test fails because the machine is busy: how long things take is said by `make bench`."""

ONE_DEPLOYMENT = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o
      api_base: $SIM/east
      api_key: sim-key-east
      api_version: "2024-10-21"
    model_info: {id: east-gpt-4o, mode: chat}
"""


class LogKeeper(logging.Handler):
    """Keeps every message logged in this process, from whichever thread."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(self.format(record))


@dataclass
class Running:
    """Spillway, served at `url` on sockets for one test, and the simulator that it calls."""

    url: str
    key: str
    sim: ControlClient
    sim_url: str
    http: httpx.Client
    log: LogKeeper
    loop: asyncio.AbstractEventLoop = field(repr=False)

    @property
    def gateway(self) -> gateway.Gateway:
        """The gateway of the host's event loop; it exists after the first request."""
        return gateway._gateways[self.loop]

    def chat(self, text: str = "hello", *, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        """A chat request by raw HTTP, its answer read whole."""
        return self.http.post("/v1/chat/completions", json=question(text, **body), headers=headers)

    def calls(self, count: int = 1) -> list[dict[str, Any]]:
        """The records that the log has of the calls that ended; waits until there are `count`."""
        await_true(lambda: len(self._calls()) >= count, f"{count} call records")
        return self._calls()

    def _calls(self) -> list[dict[str, Any]]:
        lines = (line for line in self.log.messages if line.startswith("call {"))
        return [orjson.loads(line[5:]) for line in lines if not any(instance in line for instance in PAST)]

    def sent(self) -> list[dict[str, Any]]:
        """The requests that reached a deployment, with their JSON under `json`."""
        found = [one for one in self.sim.requests() if one["operation"] != "identity"]
        for one in found:
            one["json"] = orjson.loads(one["body"]) if one["body"] and not one["body_truncated"] else None
        return found

    def await_rest(self) -> None:
        """Waits until nothing of any call is left: no attempt in flight, no task, no call under way."""
        live = self.gateway
        await_true(lambda: live.router.under_way == 0, "no attempt in flight")
        await_true(lambda: len(live.supervisor) == 0, "no task left")
        await_true(lambda: live._under_way == 0, "no call under way")

    def assert_discreet(self, *texts: str) -> None:
        """Neither `texts` nor the log tell a key or where the upstream is."""
        for text in (*texts, *self.log.messages):
            for secret in (self.key, "sim-key-", "sim-identity-header", self.sim_url.removeprefix("http://")):
                assert secret not in text


def question(text: str = "hello", **body: Any) -> dict[str, Any]:
    """The JSON of a chat request."""
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **body}


def await_true(condition: Callable[[], bool], what: str) -> None:
    """Waits until `condition` holds."""
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until, f"waited {DEADLINE_S} s in vain for {what}"
        time.sleep(0.005)


@pytest.fixture(scope="session")
def _simulator() -> Iterator[tuple[str, ControlClient]]:
    with serving(create_app()) as url, ControlClient(url) as control:
        yield url, control


@pytest.fixture
def simulator(_simulator: tuple[str, ControlClient]) -> ControlClient:
    """The session's simulator, as at its start."""
    _, control = _simulator
    control.reset()
    return control


@pytest.fixture(scope="session")
def _host(_simulator: tuple[str, ControlClient]) -> Iterator[tuple[str, asyncio.AbstractEventLoop, httpx.Client]]:
    """The host of the whole app, its loop and an HTTP client; which gateway serves is each test's affair."""
    environ = {"AZURE_API_BASE": _simulator[0] + "/east", "AZURE_API_KEY": "none", "SPILLWAY_MASTER_KEY": KEY}
    gateway.use(gateway.read_plan(environ))
    sys.modules.pop("function_app", None)  # a FunctionApp gives its functions only once: each host takes a new one
    host = create_host(ROOT, environ | {"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "210000000"})
    sys.modules.pop("function_app", None)
    loops: list[asyncio.AbstractEventLoop] = []

    async def app(
        scope: Scope, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        loops.append(asyncio.get_running_loop())
        await host(scope, receive, send)

    with serving(app, gateway.close_current) as url, httpx.Client(base_url=url, timeout=20) as http:
        http.get("/admin/host/status").raise_for_status()
        http.headers["authorization"] = f"Bearer {KEY}"
        yield url, loops[0], http


@pytest.fixture(scope="module")
def azurite() -> Iterator[str]:
    """The connection string of an Azurite that runs as long as one module's tests."""
    with storage() as connection:
        yield connection


Spillway = Callable[..., Running]


@pytest.fixture
def spillway(
    _simulator: tuple[str, ControlClient],
    simulator: ControlClient,
    _host: tuple[str, asyncio.AbstractEventLoop, httpx.Client],
    tmp_path: Path,
) -> Iterator[Spillway]:
    """`spillway(config_yaml, **env)` starts Spillway afresh; `$SIM` in either is the simulator's URL.

    Without YAML the environment alone configures it. One is served at a time: a second call replaces the first.
    """
    url, loop, http = _host
    keeper = LogKeeper()
    logger = logging.getLogger("spillway")
    level = logger.level
    logger.setLevel(logging.INFO)
    logging.getLogger().addHandler(keeper)
    instances: set[str] = set()

    def end() -> None:
        served = gateway._gateways.get(loop)
        if served is not None:
            instances.add(served.call_ids.instance)
        asyncio.run_coroutine_threadsafe(gateway.close_current(), loop).result(DEADLINE_S)

    def start(config: str | None = ONE_DEPLOYMENT, **env: str) -> Running:
        environ = {"SPILLWAY_MASTER_KEY": KEY, **env}
        if config is not None:
            path = tmp_path / "config.yaml"
            path.write_text(config.replace("$SIM", _simulator[0]))
            environ["SPILLWAY_CONFIG"] = str(path)
        plan = gateway.read_plan({name: value.replace("$SIM", _simulator[0]) for name, value in environ.items()})
        end()
        gateway.use(plan)
        return Running(url, KEY, simulator, _simulator[0], http, keeper, loop)

    yield start
    end()
    PAST.update(instances)
    logging.getLogger().removeHandler(keeper)
    logger.setLevel(level)
