"""`python -m devtools bench speed`: requests a second, added latency, streams and memory, side by side."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import click
import uvloop

from devtools.bench.processes import ROOT, memory_mb, upstream
from devtools.bench.speed import targets
from devtools.bench.speed.load import TOOL, Figures, Target, first_answer_s, load
from devtools.bench.streams import measure
from devtools.docs.tables import table

PAGE = "docs/benchmarks.md"
CHAT = b'{"model":"bench","messages":[{"role":"user","content":"Hello."}]}'
STREAMED = CHAT[:-1] + b',"stream":true}'
LONG = json.dumps({"model": "bench", "messages": [{"role": "user", "content": "Hello, world. " * 75_000}]}).encode()
INPUTS = json.dumps({"model": "bench", "input": [f"sentence {n} of a hundred" for n in range(100)]}).encode()
EMBEDDINGS = INPUTS[:-1] + b',"encoding_format":"base64"}'
CHUNKS = 200
SLOW_MS = 100.0
CONNECTIONS = (1, 16, 64)


@dataclass(slots=True)
class Results:
    """What was measured, by the target's name."""

    buffered: dict[str, dict[int, Figures]] = field(default_factory=dict)
    slow: dict[str, Figures] = field(default_factory=dict)
    other: dict[str, dict[str, Figures]] = field(default_factory=dict)
    chunks: dict[str, Figures] = field(default_factory=dict)
    first_ms: dict[str, Sequence[float]] = field(default_factory=dict)
    memory: dict[str, tuple[float, float]] = field(default_factory=dict)
    first_answer_s: dict[str, float] = field(default_factory=dict)


@click.command()
@click.option("--seconds", default=6.0, show_default=True, help="Seconds a figure.")
@click.option("--only", multiple=True, help="A target's function (bare, spillway, litellm, portkey); all by default.")
@click.option("--write", is_flag=True, help=f"Write {PAGE}.")
def main(seconds: float, only: tuple[str, ...], write: bool) -> None:
    """The speed table, on two pinned cores: one for the gateway, one for load, upstream and storage."""
    results = Results()
    chosen = [one for one in targets.measured() if not only or one.__name__ in only]
    with upstream(chunks=CHUNKS) as port:
        for start in chosen:
            with start(port) as target:
                _throughput(target, results, seconds)
    with upstream(first_ms=SLOW_MS, chunks=20, delay_ms=20) as port:
        for start in (targets.direct, *chosen):
            with start(port) as target:
                _latency(target, results, seconds)
    page = _page(results, seconds)
    print(page)
    if write:
        (ROOT / PAGE).write_text(page, encoding="utf-8")


def _throughput(target: Target, results: Results, seconds: float) -> None:
    """Against an upstream that answers at once."""
    results.first_answer_s[target.name] = first_answer_s(target, CHAT)
    idle = memory_mb(target.pid)
    load(target, "/chat/completions", CHAT, 16, min(seconds, 2))  # warm
    results.buffered[target.name] = {
        count: load(target, "/chat/completions", CHAT, count, seconds) for count in CONNECTIONS
    }
    results.chunks[target.name] = load(target, "/chat/completions", STREAMED, 16, seconds)
    results.other[target.name] = {
        "embeddings of 100 inputs": load(target, "/embeddings", EMBEDDINGS, 16, seconds),
        "1 MB prompts": load(target, "/chat/completions", LONG, 16, seconds),
    }
    results.memory[target.name] = (idle, memory_mb(target.pid))
    _say(target, "throughput")


def _latency(target: Target, results: Results, seconds: float) -> None:
    """Against one that takes its time, as a model does."""
    load(target, "/chat/completions", CHAT, 16, 2)  # warm
    results.slow[target.name] = load(target, "/chat/completions", CHAT, 16, seconds)
    seen = uvloop.run(measure(target.url, 1000, 100, 20, target.headers))
    broken = sum(not one.whole for one in seen)
    if broken:
        print(f"{target.name}: {broken} of {len(seen)} streams were not whole", file=sys.stderr)
    results.first_ms[target.name] = sorted(one.first_ms for one in seen)
    _say(target, "latency")


def _say(target: Target, what: str) -> None:
    print(f"{target.name}: {what} measured", file=sys.stderr, flush=True)


def _page(results: Results, seconds: float) -> str:
    """The whole page, in Markdown."""
    bare = results.buffered.get("bare route")
    parts = [
        "# Benchmarks\n",
        "Made by `make bench`; peers are measured where `make bench-peers` has installed them. One process each, on "
        "one core; load, upstream and storage share another. Spillway runs with everything on: keys, routing over "
        "three deployments with limits, prices, and the ledger (`before_reply`) in Azurite.\n",
        _machine(seconds),
        "## Buffered chat, an upstream that answers at once\n",
        table(
            [
                "",
                *(f"{count} conn., req/s" for count in CONNECTIONS),
                "p50 / p99 at 16, ms",
                "CPU a call, µs",
                "of bare",
            ],
            [
                [
                    name,
                    *(f"{one[count].rate:,.0f}{_failed(one[count])}" for count in CONNECTIONS),
                    f"{one[16].p50_ms:.1f} / {one[16].p99_ms:.1f}",
                    f"{one[64].cpu_us:,.0f}",
                    f"{100 * one[64].rate / bare[64].rate:.0f} %" if bare else "",
                ]
                for name, one in results.buffered.items()
            ],
        ),
        _ratios(results),
        f"## Buffered chat, an upstream that takes {SLOW_MS:g} ms, 16 connections\n",
        _added(results),
        f"## Streamed chat\n\nChunks a second: streams of {CHUNKS} chunks that come at once, over 16 connections. "
        f"First byte: 100 concurrent streams that begin after {SLOW_MS:g} ms and bring a chunk every 20 ms; how long "
        "the first chunk travelled from the upstream to the reader.\n",
        _streams(results),
        "## Other calls, 16 connections\n",
        table(
            ["", *next(iter(results.other.values()))],
            [
                [name, *(f"{figures.rate:,.0f} req/s{_failed(figures)}" for figures in one.values())]
                for name, one in results.other.items()
            ],
        )
        if results.other
        else "",
        "## Memory and cold start\n\nFrom the start of the process until its first call is answered; the bytecode is "
        "compiled. `python -m devtools bench coldstart` measures the import alone.\n",
        table(
            ["", "after one call, MB", "after the load, MB", "first answer, s"],
            [
                [name, f"{idle:.0f}", f"{after:.0f}", f"{results.first_answer_s[name]:.2f}"]
                for name, (idle, after) in results.memory.items()
            ],
        ),
    ]
    return "\n".join(part for part in parts if part)


def _ratios(results: Results) -> str:
    own = results.buffered.get("Spillway")
    if own is None:
        return ""
    told = [
        f"Spillway to {name}: "
        + ", ".join(f"{own[n].rate / one[n].rate:.1f}× at {n}" for n in CONNECTIONS)
        + _chunks_ratio(results, name)
        for name, one in results.buffered.items()
        if name != "Spillway"
    ]
    return "".join(f"{line}.  \n" for line in told)


def _chunks_ratio(results: Results, name: str) -> str:
    own, other = results.chunks.get("Spillway"), results.chunks.get(name)
    return f"; {own.rate / other.rate:.1f}× its chunks a second" if own and other and other.rate else ""


def _added(results: Results) -> str:
    base = results.slow["the upstream itself"]
    return table(
        ["", "p50, ms", "p99, ms", "added p50", "added p99"],
        [
            [
                name,
                f"{one.p50_ms:.1f}",
                f"{one.p99_ms:.1f}{_failed(one)}",
                f"{one.p50_ms - base.p50_ms:.1f}",
                f"{one.p99_ms - base.p99_ms:.1f}",
            ]
            for name, one in results.slow.items()
        ],
    )


def _streams(results: Results) -> str:
    base = results.first_ms["the upstream itself"]
    rows = []
    for name, times in results.first_ms.items():
        chunks = results.chunks.get(name)
        rows.append(
            [
                name,
                "" if chunks is None else f"{chunks.rate * CHUNKS:,.0f}{_failed(chunks)}",
                f"{statistics.median(times) - statistics.median(base):.1f}",
                f"{times[int(len(times) * 0.99)] - base[int(len(base) * 0.99)]:.1f}",
            ]
        )
    return table(["", "chunks/s", "first byte added p50, ms", "p99, ms"], rows)


def _failed(figures: Figures) -> str:
    return f" ({figures.failed} failed)" if figures.failed else ""


def _machine(seconds: float) -> str:
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or "unknown",
    )
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("uvicorn", "httptools", "uvloop", "aiohttp"))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {versions}; load by {TOOL}, {seconds:g} s a figure; "
        f"{_peers()}.\n"
    )


def _peers() -> str:
    found = []
    if targets.LITELLM.exists():
        wheels = targets.PEERS.glob("litellm/lib/python*/site-packages/litellm-[0-9]*.dist-info")
        found += [one.name.removesuffix(".dist-info").replace("-", " ") for one in wheels]
    if targets.PORTKEY.exists():
        package = json.loads((targets.PORTKEY.parents[1] / "package.json").read_text())
        found.append(f"Portkey gateway {package['version']}")
    return ", ".join(found) or "no peers installed"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
