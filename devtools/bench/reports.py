"""How long reports take over a ledger of a million attempts, on Azurite, asked over HTTP.

The log is written as instances write it, counted and folded as the timer does; the last day is still running, with the
totals that its instances write themselves.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import httpx

from devtools.bench.processes import gateway
from devtools.storage import storage
from shared.ids import call_id, entry_id
from shared.spend import places, records
from shared.spend.entry import Entry
from shared.spend.folded import fold_day, fold_partition
from shared.spend.rollups import Rollups
from shared.spend.totals import Sums
from shared.storage.account import Account
from shared.storage.tables import AzureTable, Row

SEGMENT = 500
DAYS = 30
MODELS = ("gpt-4o", "gpt-4o-mini", "o4-mini", "gpt-4.1", "embed")
DEPLOYMENTS_EACH = 2
CONFIG = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: http://127.0.0.1:1, api_key: none}
"""
PATHS = (
    "/global/spend",
    "/global/spend/keys",
    "/global/spend/models",
    "/global/activity",
    "/user/daily/activity",
    "/spend/logs?limit=1000",
)


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Attempts in the ledger, over 30 days.")
@click.option("--keys", default=100, show_default=True, help="Virtual keys that made them.")
@click.option("--instances", default=4, show_default=True, help="Instances of each day.")
@click.option("--times", default=7, show_default=True, help="How often each report is asked for.")
def main(rows: int, keys: int, instances: int, times: int) -> None:
    """A month's reports over a ledger of many attempts."""
    with ExitStack() as stack:
        connection = stack.enter_context(storage())
        asyncio.run(_fill(connection, rows, keys, instances))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url, _ = stack.enter_context(gateway(CONFIG, folder, AzureWebJobsStorage=connection))
        client = stack.enter_context(
            httpx.Client(base_url=url, headers={"authorization": "Bearer sk-bench"}, timeout=60)
        )
        client.get("/global/spend").raise_for_status()  # the library is loaded and connected
        for path in PATHS:
            _ask(client, path, times)


def _ask(client: httpx.Client, path: str, times: int) -> None:
    took: list[float] = []
    for _ in range(times):
        started = time.perf_counter()
        answer = client.get(path).raise_for_status()
        took.append(time.perf_counter() - started)
    print(
        f"GET {path}: median {statistics.median(took) * 1e3:.0f} ms, slowest {max(took) * 1e3:.0f} ms, "
        f"{len(answer.content):,} bytes"
    )


async def _fill(connection: str, rows: int, keys: int, instances: int) -> None:
    """A month of attempts; all its days but the last are folded."""
    account = Account.read({"AzureWebJobsStorage": connection})
    assert account is not None
    ledger, spend = AzureTable(account, places.LEDGER_TABLE), AzureTable(account, places.SPEND_TABLE)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=number) for number in reversed(range(DAYS))]
    each = rows // (DAYS * instances)
    started = time.perf_counter()
    folding = running = 0.0
    for day in days:
        names = [f"{random.getrandbits(48):012x}" for _ in range(instances)]
        text = f"{day:%Y%m%d}"
        for name in names:
            sums = await _write_log(ledger, day, name, each, keys)
            if day == today:
                rollups = Rollups(spend, name)
                rollups.add(sums)
                running += len(sums)
                await rollups.write()
        if day != today:
            folding -= time.perf_counter()
            for name in names:
                await fold_partition(ledger, spend, places.log_partition(text, name))
            await fold_day(spend, text)
            folding += time.perf_counter()
    seconds = time.perf_counter() - started
    print(
        f"{each * DAYS * instances:,} attempts of {keys} keys, {len(MODELS)} models and "
        f"{len(MODELS) * DEPLOYMENTS_EACH} deployments on {DAYS} days; written and folded in {seconds:.0f} s, of which "
        f"folding {DAYS - 1} days took {folding:.0f} s; today is {running:,.0f} rows of running totals"
    )
    await ledger.close()
    await spend.close()


async def _write_log(ledger: AzureTable, day: datetime, instance: str, count: int, keys: int) -> Sums:
    text, begin = f"{day:%Y%m%d}", day.timestamp()
    partition = places.log_partition(text, instance)
    sums = Sums()
    writes: list[asyncio.Task[None]] = []
    for first in range(0, count, SEGMENT):
        entries = [_entry(text, instance, number, begin, keys) for number in range(first, min(first + SEGMENT, count))]
        sums.count(text, entries)
        (payload,) = records.encoded(entries)
        row = Row(partition, places.segment_key(first // SEGMENT + 1), records.properties(payload))
        writes.append(asyncio.create_task(ledger.put(row)))
    await asyncio.gather(*writes)
    return sums


def _entry(day: str, instance: str, number: int, begin: float, keys: int) -> Entry:
    key, model = number % keys, MODELS[(number // keys) % len(MODELS)]
    deployment = f"{model}-{number // 7 % DEPLOYMENTS_EACH}"
    prompt, completion = 200 + number * 7919 % 3000, number * 104_729 % 700
    return Entry(
        entry_id(call_id(day, instance, number + 1), 1),
        "chat_completions",
        f"key_{key:012x}",
        model,
        begin + number % 3000,
        key_alias=f"team-{key}",
        deployment=deployment,
        deployment_id=f"dep_{deployment}",
        base_model=model,
        estimate={"prompt": prompt + 11, "completion": 250, "source": "estimated"},
        reserved=5_000_000_000,
        status="settled",
        usage={"prompt": prompt, "completion": completion, "cached": prompt // 3},
        cost=prompt * 2_500_000 + completion * 10_000_000,
        price_source="base_model",
        http_status=200,
        outcome="ok",
        ended_at=begin + number % 3000 + 1.5,
        duration_ms=1500.0,
        first_byte_ms=300.0,
        request_id=f"{number:032x}",
    )
