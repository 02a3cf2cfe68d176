"""What writing one row costs: by azure-data-tables, and past its client as tables are written here."""

from __future__ import annotations

import random
import statistics
import time
from typing import Any
from uuid import uuid4

import click
import uvloop

from devtools.bench.processes import GATEWAY_CORE, pin
from devtools.storage import storage
from shared.storage.account import Account
from shared.storage.tables import AzureTable, Row


class Library(AzureTable):
    """A table to which the library alone writes."""

    def _load(self) -> Any:
        client = super()._load()
        self._writer = None
        return client


@click.command()
@click.option("--rows", default=200, show_default=True, help="Of a turn.")
@click.option("--rounds", default=9, show_default=True, help="Turns of each; the first is not counted.")
@click.option("--size", default=1500, show_default=True, help="Bytes in a row.")
def main(rows: int, rounds: int, size: int) -> None:
    """CPU of this process for one row written to Azurite, in turns."""
    with storage() as connection:
        pin(GATEWAY_CORE)
        found = uvloop.run(_measure(Account(connection), rows, rounds, size))
    print(f"{rows} rows of {size} bytes, one after another; CPU µs each, of {rounds - 1} turns")
    print(f"  {'':22}{'least':>8}{'median':>8}")
    for name, figures in found.items():
        print(f"  {name:22}{min(figures):8,.0f}{statistics.median(figures):8,.0f}")


async def _measure(account: Account, rows: int, rounds: int, size: int) -> dict[str, list[float]]:
    name = f"writes{uuid4().hex}"
    tables = {"azure-data-tables": Library(account, name), "shared/storage/writes": AzureTable(account, name)}
    some = [Row("p", f"{number:012}", {"d0": random.randbytes(size)}) for number in range(rows)]
    found: dict[str, list[float]] = {name: [] for name in tables}
    try:
        for number in range(rounds):
            for way, table in tables.items():
                started = time.process_time()
                for row in some:
                    await table.put(row)
                if number:
                    found[way].append((time.process_time() - started) / rows * 1e6)
    finally:
        for table in tables.values():
            await table.close()
    return found
