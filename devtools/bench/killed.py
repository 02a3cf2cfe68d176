"""Three deployments under load, one of which is killed: what clients see of that, whole answers and streams."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import click
import uvloop

from devtools.bench.processes import LOAD_CORE, gateway, pin, running, wait_until_open
from devtools.processes import free_port

_HEADERS = {"authorization": "Bearer sk-bench"}
NAMES = ("first", "second", "third")
ANSWER_MS, CHUNKS = 600, 10


@dataclass
class Seen:
    """What clients saw: answers that were whole, streams that broke after they had begun, and anything else."""

    whole: Counter[str] = field(default_factory=Counter)
    served_by: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    begun_and_broken: int = 0
    attempts: Counter[str] = field(default_factory=Counter)


@click.command()
@click.option("--seconds", default=20, show_default=True, help="Seconds of load; the kill comes in their middle.")
@click.option("--calls-per-s", default=40, show_default=True, help="Half of them are streamed.")
def main(seconds: int, calls_per_s: int) -> None:
    """One of three deployments is killed (SIGKILL, its connections are reset) while calls are under way there."""
    with ExitStack() as stack:
        ports = {}
        processes = {}
        for name in NAMES:
            port = ports[name] = free_port()
            process = stack.enter_context(running(LOAD_CORE, "-m", "devtools", "simulator", "--port", str(port)))
            wait_until_open(process, port)
            processes[name] = process
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, _ = stack.enter_context(gateway(_config(ports), folder))
        pin(LOAD_CORE)
        before, after = uvloop.run(_load(url, seconds, calls_per_s, processes["first"].kill))
    print(f"{calls_per_s} calls a second for {seconds} s, each answer takes {ANSWER_MS} ms; one of three is killed")
    print(f"  {'':28}{'before':>10}{'after':>10}")
    for kind in ("whole", "streamed"):
        print(f"  {kind + ' answers':28}{before.whole[kind]:10}{after.whole[kind]:10}")
    print(f"  {'errors':28}{_told(before.errors):>10}{_told(after.errors):>10}")
    print(f"  {'streams broken after begun':28}{before.begun_and_broken:10}{after.begun_and_broken:10}")
    print(f"  {'calls of two attempts':28}{before.attempts['2']:10}{after.attempts['2']:10}")
    for name in NAMES:
        print(f"  {'served by ' + name:28}{before.served_by[name]:10}{after.served_by[name]:10}")


def _told(errors: Counter[str]) -> str:
    return ", ".join(f"{count} x {what}" for what, count in errors.items()) or "0"


async def _load(url: str, seconds: int, calls_per_s: int, kill: Callable[[], None]) -> tuple[Seen, Seen]:
    """What the calls that ended before the kill saw, and those that were under way or came after."""
    seen = Seen(), Seen()
    killed = False
    content = f"hello [[sim chunks={CHUNKS} first_ms={ANSWER_MS // 2} delay_ms={ANSWER_MS // 2 // CHUNKS}]]"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=_HEADERS) as session:

        async def call(stream: bool) -> None:
            body = {"model": "m", "messages": [{"role": "user", "content": content}], "stream": stream}
            begun = False
            try:
                async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
                    text = b""
                    async for chunk in answer.content.iter_any():
                        text += chunk
                        begun = begun or b'"content"' in chunk
                    headers, status = answer.headers, answer.status
            except aiohttp.ClientError as error:
                seen[killed].errors[type(error).__name__] += 1
                return
            there = seen[killed]
            there.attempts[headers.get("x-spillway-attempts", "")] += 1
            if status == 200 and (not stream or text.endswith(b"data: [DONE]\n\n")):
                there.whole["streamed" if stream else "whole"] += 1
                there.served_by[headers["x-spillway-model-id"]] += 1
            elif status == 200 and begun:
                there.begun_and_broken += 1
            else:
                there.errors[str(status)] += 1

        tasks = []
        started = time.monotonic()
        for number in range(seconds * calls_per_s):
            at = number / calls_per_s
            await asyncio.sleep(max(0.0, started + at - time.monotonic()))
            if not killed and at >= seconds / 2:
                kill()
                killed = True
            tasks.append(asyncio.create_task(call(number % 2 == 1)))
        await asyncio.gather(*tasks)
    return seen


def _config(ports: dict[str, int]) -> str:
    entries = "".join(
        f"  - model_name: m\n    litellm_params: {{model: azure/gpt-4o, api_base: 'http://127.0.0.1:{port}/east',"
        f" api_key: sim-key-east, api_version: '2024-10-21', rpm: 6000}}\n"
        f"    model_info: {{id: {name}, resource: {name}}}\n"
        for name, port in ports.items()
    )
    return f"model_list:\n{entries}"
