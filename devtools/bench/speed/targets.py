"""What is measured, each as its users run it: one process on the gateway's core, before the same upstream."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from devtools.bench.processes import GATEWAY_CORE, ROOT, gateway, running, wait_until_open
from devtools.bench.speed.load import Target
from devtools.processes import free_port
from devtools.storage import storage

PEERS = ROOT / ".peers"
"""Where `make bench-peers` installs them."""
LITELLM = PEERS / "litellm" / "bin" / "litellm"
PORTKEY = PEERS / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
DEPLOYMENTS = 3
_KEY = {"authorization": "Bearer sk-bench"}


@contextmanager
def spillway(port: int) -> Iterator[Target]:
    """Everything on: keys, routing with limits over three deployments, prices, the ledger in Azurite."""
    with (
        storage() as account,
        tempfile.TemporaryDirectory() as folder,
        gateway(config(port), Path(folder), AzureWebJobsStorage=account) as (url, pid),
    ):
        yield Target("Spillway", f"{url}/v1", _KEY, pid)


@contextmanager
def bare(port: int) -> Iterator[Target]:
    """The forwarding route without a gateway."""
    with running(GATEWAY_CORE, "-m", "devtools.bench.speed.bare", "--upstream", str(port)) as process:
        assert process.stdout is not None
        yield Target("bare route", f"http://127.0.0.1:{int(process.stdout.readline())}/v1", {}, process.pid)


@contextmanager
def litellm(port: int) -> Iterator[Target]:
    """LiteLLM's proxy with one worker and a master key, without a database."""
    own = free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "litellm.yaml"
        path.write_text(config(port) + "general_settings:\n  master_key: sk-bench\n")
        command = (str(LITELLM), "--config", str(path), "--port", str(own), "--num_workers", "1")
        environ = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "NO_DOCS": "True"}
        with running(GATEWAY_CORE, *command, environ=environ, program=(), quiet=True) as process:
            wait_until_open(process, own, 120)
            yield Target("LiteLLM proxy", f"http://127.0.0.1:{own}/v1", _KEY, process.pid)


@contextmanager
def portkey(port: int) -> Iterator[Target]:
    """Portkey's gateway, told its upstream by headers, as its users do."""
    own = free_port()
    command = ("node", str(PORTKEY), f"--port={own}", "--headless")
    with running(GATEWAY_CORE, *command, environ={"NODE_ENV": "production"}, program=(), quiet=True) as process:
        wait_until_open(process, own, 60)
        told = {"provider": "openai", "api_key": "bench", "custom_host": f"http://127.0.0.1:{port}/v1"}
        headers = {"x-portkey-config": json.dumps(told)}
        yield Target("Portkey gateway", f"http://127.0.0.1:{own}/v1", headers, process.pid)


@contextmanager
def direct(port: int) -> Iterator[Target]:
    """The upstream itself; its CPU is not counted."""
    yield Target("the upstream itself", f"http://127.0.0.1:{port}/v1", {}, os.getpid())


Start = Callable[[int], AbstractContextManager[Target]]


def measured() -> list[Start]:
    """The targets that are installed here, the bare route first."""
    peers = [litellm] if LITELLM.exists() else []
    return [bare, spillway, *peers, *([portkey] if PORTKEY.exists() else [])]


def config(port: int, models: tuple[str, ...] = ("bench",)) -> str:
    """Three deployments of each model, with limits that the load does not reach."""
    entries = "".join(
        f"""
  - model_name: {model}
    litellm_params:
      model: azure/{model}-{number}
      api_base: http://127.0.0.1:{port}
      api_version: "2024-10-21"
      api_key: bench
      tpm: 500000000
      rpm: 5000000
    model_info: {{base_model: azure/gpt-4o}}"""
        for model in models
        for number in range(DEPLOYMENTS)
    )
    return f"model_list:{entries}\n"
