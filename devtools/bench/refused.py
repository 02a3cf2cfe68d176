"""How long a client waits for a 429 where every deployment is full, over sockets, from its first byte to its last."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path

import aiohttp
import uvloop

from devtools.bench.processes import LOAD_CORE, gateway, pin, upstream
from devtools.storage import storage

_HEADERS = {"authorization": "Bearer sk-bench"}
_BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 10}
FILLING_MAX = 10
"""Calls for each deployment after which none may have room any more."""
WARM = 50
"""Refusals before those that count."""


def refused_ms(deployments: int, calls: int) -> list[float]:
    """Milliseconds of so many refused calls, one after another, sorted: every deployment of the model is full.

    The gateway shares its limits through a storage account, as in Azure, and its host does nothing else.
    Raises RuntimeError when anything but a refusal with its wait is answered.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        connection, port = stack.enter_context(storage()), stack.enter_context(upstream())
        url, _ = stack.enter_context(gateway(_config(port, deployments), folder, AzureWebJobsStorage=connection))
        pin(LOAD_CORE)
        return sorted(uvloop.run(_refusals(url, deployments, calls)))


async def _refusals(url: str, deployments: int, calls: int) -> list[float]:
    async with aiohttp.ClientSession(headers=_HEADERS) as session:

        async def call() -> tuple[int, bool, float]:
            started = time.perf_counter()
            async with session.post(f"{url}/v1/chat/completions", json=_BODY) as answer:
                await answer.read()
                took_ms = (time.perf_counter() - started) * 1000
                return answer.status, "retry-after-ms" in answer.headers, took_ms

        for _ in range(FILLING_MAX * deployments):
            status, _, _ = await call()
            if status == HTTPStatus.TOO_MANY_REQUESTS:
                break
        await asyncio.sleep(2)  # the others' rows are read, and nothing of the calls before is left
        took: list[float] = []
        for number in range(WARM + calls):
            status, says_when, took_ms = await call()
            if status != HTTPStatus.TOO_MANY_REQUESTS or not says_when:
                raise RuntimeError(f"expected a refusal with its wait, found {status}")
            if number >= WARM:
                took.append(took_ms)
        return took


def told(took: list[float]) -> str:
    """The median, the 99th percentile and the longest of sorted milliseconds."""
    p99 = took[min(len(took) - 1, len(took) * 99 // 100)]
    return f"median {statistics.median(took):.2f} ms, p99 {p99:.2f} ms, longest {took[-1]:.2f} ms"


def _config(port: int, deployments: int) -> str:
    entries = "".join(
        f"  - model_name: m\n    litellm_params: {{model: azure/d{number}, api_base: 'http://127.0.0.1:{port}',"
        f" api_key: k, api_version: '2024-10-21', rpm: 1}}\n"
        "    model_info: {base_model: gpt-4o}\n"
        for number in range(deployments)
    )
    return f"model_list:\n{entries}"
