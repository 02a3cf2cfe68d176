"""Load over keep-alive connections: `wrk` where it is installed, else a loop of our own, which is slower."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import httpx
import uvloop

from devtools.bench.processes import LOAD_CORE, pin

TOOL = "wrk" if shutil.which("wrk") else "a Python loop"
FIRST_TRIES = 600
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


Measured = tuple[int, float, float, float, int]
"""Answers, of them a second, the median and the 99th percentile in milliseconds, failures."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked: the URL that `/chat/completions` is appended to, its headers, the process that serves it."""

    name: str
    url: str
    headers: Mapping[str, str]
    pid: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one load: requests a second, milliseconds, answers that were not 2xx, CPU microseconds a request."""

    rate: float
    p50_ms: float
    p99_ms: float
    failed: int
    cpu_us: float


def load(target: Target, path: str, body: bytes, connections: int, seconds: float) -> Figures:
    """Posts `body` over `connections` for so many seconds, each connection as fast as it is answered."""
    before = cpu_s(target.pid)
    measure = _wrk if TOOL == "wrk" else _loops
    count, rate, p50, p99, failed = measure(target, f"{target.url}{path}", body, connections, seconds)
    return Figures(rate, p50, p99, failed, (cpu_s(target.pid) - before) / max(count, 1) * 1e6)


def first_answer_s(target: Target, body: bytes) -> float:
    """Seconds from the start of the target's process until a first call was answered. Raises RuntimeError."""
    headers = {"content-type": "application/json", **target.headers}
    for _ in range(FIRST_TRIES):
        try:
            httpx.post(f"{target.url}/chat/completions", content=body, headers=headers).raise_for_status()
            return _age_s(target.pid)
        except httpx.HTTPError:
            time.sleep(0.05)
    raise RuntimeError(f"{target.name} does not answer")


def _age_s(pid: int) -> float:
    """Seconds since a process was started."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - ticks / 100


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process and those it started have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / 100
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(cpu_s(int(child)) for child in children)


def _wrk(target: Target, url: str, body: bytes, connections: int, seconds: float) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        script, content = Path(folder) / "post.lua", Path(folder) / "body"
        content.write_bytes(body)
        headers = {"content-type": "application/json", **target.headers}
        script.write_text(
            'wrk.method = "POST"\n'
            f'wrk.body = io.open({json.dumps(str(content))}, "rb"):read("*a")\n'
            + "".join(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}\n" for name, value in headers.items())
        )
        pinned = ["taskset", "-c", str(LOAD_CORE)] if shutil.which("taskset") else []
        options = [f"-c{connections}", f"-d{seconds:g}s", "-t1", "--timeout", "30s", "--latency", "-s", str(script)]
        told = subprocess.run([*pinned, "wrk", *options, url], capture_output=True, text=True, check=True).stdout
    count = int(_found(r"(\d+) requests in", told))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", told)
    failed = int(refused[1]) if refused else 0
    failed += sum(int(part) for part in broken.groups()) if broken else 0
    return count, float(_found(r"Requests/sec:\s+([\d.]+)", told)), _ms("50%", told), _ms("99%", told), failed


def _ms(share: str, told: str) -> float:
    found = re.search(rf"{share}\s+([\d.]+)(us|ms|s|m)\b", told)
    if found is None:
        raise RuntimeError(f"wrk told no latency:\n{told}")
    return float(found[1]) * _UNITS[found[2]]


def _found(pattern: str, told: str) -> str:
    found = re.search(pattern, told)
    if found is None:
        raise RuntimeError(f"wrk said:\n{told}")
    return found[1]


def _loops(target: Target, url: str, body: bytes, connections: int, seconds: float) -> Measured:
    return uvloop.run(_loop(target, url, body, connections, seconds))


async def _loop(target: Target, url: str, body: bytes, connections: int, seconds: float) -> Measured:
    pin(LOAD_CORE)
    took: list[float] = []
    failed = 0
    headers = {"content-type": "application/json", **target.headers}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections), headers=headers) as session:

        async def one(until: float) -> None:
            nonlocal failed
            while (started := time.monotonic()) < until:
                async with session.post(url, data=body) as answer:
                    await answer.read()
                    failed += answer.status >= 300
                took.append((time.monotonic() - started) * 1000)

        started = time.monotonic()
        await asyncio.gather(*(one(started + seconds) for _ in range(connections)))
        wall = time.monotonic() - started
    took.sort()
    return len(took), len(took) / wall, took[len(took) // 2], took[min(len(took) - 1, int(len(took) * 0.99))], failed
