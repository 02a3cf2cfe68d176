"""One key with a small budget, many calls at once on several instances: is it ever exceeded, and by how much.

The key's row is read all the while; at the end it is held against what the answers said and the simulator's own bill.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import click
import uvloop

from devtools.bench.processes import LOAD_CORE, gateway, pin, simulator
from devtools.simulator import ControlClient
from devtools.storage import storage
from shared.callers.key_store import TABLE, shares_place
from shared.callers.shares import BUDGET, Pot
from shared.callers.shares_row import read
from shared.config.pricing import PICO
from shared.storage.account import Account
from shared.storage.tables import AzureTable

_MASTER = {"authorization": "Bearer sk-bench"}
INPUT, OUTPUT = 10**7, 4 * 10**7
"""Picodollars a token: 10 and 40 USD per million."""
TOKENS = 40
SETTLE_S = 15.0
POLL_S = 0.02


@dataclass
class Seen:
    """What the row said at its highest, and what the answers told. Of the end: `held` is set aside by the row, `billed`
    by the simulator's bill, in picodollars, and `told` the overshoot in USD by `/key/info`."""

    committed: int = 0
    settled: int = 0
    held: int = 0
    billed: int = 0
    told: float = 0.0
    looks: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    cost: float = 0.0
    waits_ms: list[float] = field(default_factory=list)


@click.command()
@click.option("--instances", default=4, show_default=True, help="Host processes.")
@click.option("--at-once", default=200, show_default=True, help="Calls at once.")
@click.option("--calls", default=1000, show_default=True, help="Calls in all.")
@click.option("--budget", default=0.5, show_default=True, help="max_budget, in USD.")
def main(instances: int, at_once: int, calls: int, budget: float) -> None:
    """Concurrent calls on one key with a small budget, on several instances."""
    pin(LOAD_CORE)
    for what, most in (("that name their longest answer", TOKENS + 10), ("that do not", None)):
        seen = spent(instances, at_once, calls, budget, most)
        print(f"{calls} calls {what}, {at_once} at once on {instances} instances, max_budget {budget:g} USD:")
        print(f"  answers {dict(sorted(seen.statuses.items()))}")
        limit = round(budget * PICO)
        print(f"  settled + reserved, at most, of {seen.looks} looks: {_usd(seen.committed)} of {_usd(limit)} USD")
        print(
            f"  spent by the key's row {_usd(seen.settled)}, by the answers {seen.cost:.6f}, by the bill "
            f"{_usd(seen.billed)}"
        )
        print(f"  overshoot {_usd(max(0, seen.settled - limit))} USD; /key/info says {seen.told:.6f}")
        waits = sorted(seen.waits_ms) or [0.0]
        print(f"  a refusal took {waits[len(waits) // 2]:.0f} ms in the median, {waits[-1]:.0f} ms at most")


def spent(instances: int, at_once: int, calls: int, budget: float, most: int | None) -> Seen:
    """What becomes of so many calls on one key with this budget in USD; `most` is their `max_tokens`."""
    with ExitStack() as stack:
        connection = stack.enter_context(storage())
        sim = stack.enter_context(simulator())
        control = stack.enter_context(ControlClient(sim))
        urls = []
        for _ in range(instances):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            urls.append(stack.enter_context(gateway(_config(sim), folder, AzureWebJobsStorage=connection))[0])
        seen = uvloop.run(_run(urls, connection, budget, at_once, calls, most))
        seen.billed = sum(one["prompt_tokens"] * INPUT + one["completion_tokens"] * OUTPUT for one in control.bill())
    return seen


async def _run(urls: list[str], connection: str, budget: float, at_once: int, calls: int, most: int | None) -> Seen:
    seen = Seen()
    table = AzureTable(Account(connection), TABLE)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        async with session.post(f"{urls[0]}/key/generate", json={"max_budget": budget}, headers=_MASTER) as answer:
            key = await answer.json()
        headers = {"authorization": f"Bearer {key['key']}"}
        watching = asyncio.create_task(_watch(table, key["key_id"], seen))
        left = iter(range(calls))

        async def worker() -> None:
            for number in left:
                await _call(session, urls[number % len(urls)], headers, most, seen)

        await asyncio.gather(*(worker() for _ in range(at_once)))
        for _ in range(round(SETTLE_S / POLL_S)):  # idle instances give back what they hold
            await asyncio.sleep(POLL_S)
            if not seen.held:
                break
        watching.cancel()
        await _look(table, key["key_id"], seen)
        async with session.get(f"{urls[0]}/key/info", params={"key": key["key_id"]}, headers=_MASTER) as answer:
            seen.told = float((await answer.json())["info"]["budget_overspent"])
    await table.close()
    return seen


async def _call(
    session: aiohttp.ClientSession, url: str, headers: dict[str, str], most: int | None, seen: Seen
) -> None:
    content = f"hello [[sim chunks={TOKENS} first_ms=100 delay_ms=2]]"
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": content}]}
    if most is not None:
        body["max_tokens"] = most
    began = time.monotonic()
    async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as answer:
        await answer.read()
        seen.statuses[answer.status] += 1
        if answer.status == 200:
            seen.cost += float(answer.headers["x-spillway-cost-usd"])
        else:
            seen.waits_ms.append((time.monotonic() - began) * 1000)


async def _watch(table: AzureTable, key_id: str, seen: Seen) -> None:
    while True:
        await _look(table, key_id, seen)
        await asyncio.sleep(POLL_S)


async def _look(table: AzureTable, key_id: str, seen: Seen) -> None:
    row = await table.get(shares_place(key_id), key_id)
    if row is None:
        return
    shares = read(row)
    pot = Pot(None, 0, 0)  # every bucket: the key has only one period
    spent = shares.spent(BUDGET, pot)
    seen.settled = max(seen.settled, spent)
    seen.held = shares.held(BUDGET, pot, 0.0)
    seen.committed = max(seen.committed, spent + seen.held)
    seen.looks += 1


def _usd(picodollars: int) -> str:
    return f"{picodollars / PICO:.6f}"


def _config(sim: str) -> str:
    return (
        f"model_list:\n  - model_name: m\n    litellm_params: {{model: azure/gpt-4o, api_base: {sim}/east,"
        f" api_key: sim-key-east, api_version: '2024-10-21', input_cost_per_token: {INPUT / PICO},"
        f" output_cost_per_token: {OUTPUT / PICO}}}\n"
    )
