"""A large file through Spillway into Azurite and back: how fast, and in how much memory of the host.

The same bytes are sent as a file of no special purpose, as a batch (every line is checked on the way), and in parts.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import click
import uvloop

from devtools.bench.processes import LOAD_CORE, gateway, memory_mb, pin
from devtools.storage import storage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds by the clock and of the host's processor, and the most memory that the host took, in MB."""

    seconds: float
    cpu_s: float
    peak_mb: float


_HEADERS = {"authorization": "Bearer sk-bench"}
CONFIG = """
model_list:
  - model_name: chat
    litellm_params: {model: azure/gpt-4o, api_base: http://127.0.0.1:9, api_key: none}
    model_info: {mode: batch, base_model: azure/gpt-4o-2024-08-06}
"""
PART_BYTES = 64_000_000
CHUNK_BYTES = 1024 * 1024


@click.command()
@click.option("--size-mb", default=200, show_default=True, help="Size of the file, in MB of 1,000,000 bytes.")
@click.option("--memory-mb-max", default=0.0, help="Fail when the host takes more.")
def main(size_mb: int, memory_mb_max: float) -> None:
    """A large file, up and down, and the memory that takes."""
    with storage() as connection, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "lines.jsonl"
        lines = _write(path, size_mb * 1_000_000)
        settings = {"AzureWebJobsStorage": connection, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "210000000"}
        with gateway(CONFIG, folder, **settings) as (url, pid):
            pin(LOAD_CORE)
            peak = uvloop.run(_measured(url, pid, path, path.stat().st_size, lines))
    if memory_mb_max and peak > memory_mb_max:
        raise SystemExit(1)


async def _measured(url: str, pid: int, path: Path, size: int, lines: int) -> float:
    size_mb = size / 1e6
    digest = await asyncio.to_thread(_digest, path)
    timeout = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(headers=_HEADERS, timeout=timeout) as session:
        small = aiohttp.FormData({"purpose": "user_data"})
        small.add_field("file", b"loads what is loaded on first use", filename="a.txt")
        await _json(session, f"{url}/v1/files", small)
        idle = memory_mb(pid)
        print(f"{size_mb:.0f} MB, {lines:,} lines; the host takes {idle:.0f} MB when idle")
        peaks = []
        works: tuple[tuple[str, Callable[[], Awaitable[dict[str, Any]]]], ...] = (
            ("upload", lambda: _upload(session, url, path, "user_data")),
            ("upload for a batch, checked", lambda: _upload(session, url, path, "batch")),
            ("upload in parts", lambda: _in_parts(session, url, path, size)),
        )
        file: dict[str, Any] = {}
        for what, work in works:
            file, took = await _timed(work(), pid)
            _say(what, size_mb, took)
            peaks.append(took.peak_mb)
        found, took = await _timed(_download(session, f"{url}/v1/files/{file['id']}/content"), pid)
        _say("download", size_mb, took)
        if found != digest:
            raise SystemExit("what came back is not what was sent")
    return max(*peaks, took.peak_mb)


async def _timed(work: Awaitable[T], pid: int) -> tuple[T, Took]:
    """What it gives, and what that took."""
    started, before, peak = time.monotonic(), _cpu_s(pid), 0.0
    task = asyncio.ensure_future(work)
    while not task.done():
        await asyncio.wait({task}, timeout=0.02)
        peak = max(peak, memory_mb(pid))
    return task.result(), Took(time.monotonic() - started, _cpu_s(pid) - before, peak)


def _cpu_s(pid: int) -> float:
    """Seconds of processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _upload(session: aiohttp.ClientSession, url: str, path: Path, purpose: str) -> dict[str, Any]:
    with path.open("rb") as file:
        form = aiohttp.FormData({"purpose": purpose})
        form.add_field("file", file, filename=path.name)
        return await _json(session, f"{url}/v1/files", form)


async def _in_parts(session: aiohttp.ClientSession, url: str, path: Path, size: int) -> dict[str, Any]:
    about = {"purpose": "user_data", "filename": path.name, "mime_type": "application/jsonl", "bytes": size}
    upload = await _json(session, f"{url}/v1/uploads", json=about)
    parts = []
    with path.open("rb") as file:
        while data := file.read(PART_BYTES):
            form = aiohttp.FormData()
            form.add_field("data", data, filename="part")
            parts.append((await _json(session, f"{url}/v1/uploads/{upload['id']}/parts", form))["id"])
    done = await _json(session, f"{url}/v1/uploads/{upload['id']}/complete", json={"part_ids": parts})
    return dict(done["file"])


async def _json(session: aiohttp.ClientSession, url: str, form: Any = None, **options: Any) -> dict[str, Any]:
    async with session.post(url, data=form, **options) as answer:
        if answer.status != 200:
            raise SystemExit(f"{answer.status}: {await answer.text()}")
        return dict(await answer.json())


async def _download(session: aiohttp.ClientSession, url: str) -> str:
    digest = hashlib.sha256()
    async with session.get(url) as answer:
        answer.raise_for_status()
        async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _say(what: str, size_mb: float, took: Took) -> None:
    print(
        f"  {what:<28} {size_mb / took.seconds:6.0f} MB/s ({took.seconds:.1f} s, {took.cpu_s:.1f} s of it the host's "
        f"processor), host at {took.peak_mb:.0f} MB at peak",
        flush=True,
    )


def _write(path: Path, size: int) -> int:
    """A batch of about `size` bytes; tells its lines."""
    body = {"model": "chat", "messages": [{"role": "user", "content": "All work and no play. " * 80}]}
    count = 0
    with path.open("w") as file:
        while file.tell() < size - 2_000:
            for _ in range(100 if file.tell() < size - 400_000 else 1):
                count += 1
                line = {"custom_id": f"line-{count}", "method": "POST", "url": "/v1/chat/completions", "body": body}
                file.write(json.dumps(line) + "\n")
    return count


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
