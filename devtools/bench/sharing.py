"""What sharing usage costs an instance: turns beside simulated peers' rows in Azurite, by Azure's own library."""

from __future__ import annotations

import asyncio
import random
import time

import click

from devtools.bench.choosing import figures, router
from devtools.bench.processes import GATEWAY_CORE, pin
from devtools.storage import storage
from shared.routing.figures import pack
from shared.routing.peers import PARTITION, TABLE, Peers
from shared.storage.account import SETTING, Account
from shared.storage.tables import AzureTable, Row

PUTS_MAX = 10


@click.command()
@click.option("--instances", default=50, show_default=True, help="Instances that share their usage.")
@click.option("--deployments", default=50, show_default=True, help="Deployments that each of these uses.")
@click.option("--turns", default=10, show_default=True, help="Turns that are measured.")
def main(instances: int, deployments: int, turns: int) -> None:
    """Sharing usage: the processor time of one instance's turns, where every other has written since the last."""
    with storage() as connection:
        account = Account.read({SETTING: connection})
        assert account is not None
        pin(GATEWAY_CORE)
        for changed in (1.0, 0.1, 0.0):
            took, interval_s = asyncio.run(_turns(account, instances, deployments, turns, changed))
            print(
                f"a turn, {instances} instances x {deployments} deployments, {changed:4.0%} of the rows changed: "
                f"{took * 1e3:5.1f} ms every {interval_s:g} s, {100 * took / interval_s:.2f} % of a core"
            )


async def _turns(account: Account, instances: int, deployments: int, turns: int, changed: float) -> tuple[float, float]:
    """The shortest processor time of a turn in seconds, and the seconds between two of them."""
    found, clock = router(deployments)
    ids = [one.id for one in found.group("m")]
    theirs, table = AzureTable(account, TABLE), AzureTable(account, TABLE)
    peers = Peers(table, found, "this-one", time.time)

    async def write(number: int) -> None:
        rows = pack(figures(id) for id in ids)
        await theirs.put(Row(PARTITION, f"peer-{number}", {"written_at": time.time(), "p0": rows}))

    async def write_all(share: float) -> None:
        some = [number for number in range(instances - 1) if random.random() < share]
        for start in range(0, len(some), PUTS_MAX):
            await asyncio.gather(*map(write, some[start : start + PUTS_MAX]))

    await write_all(1.0)
    took = []
    began = time.monotonic()
    for number in range(1, turns + 1):
        found.called()
        for one in found.group("m"):
            found.state(one).reserve(clock(), 100).end()
        started = time.process_time()
        await peers.turn()
        took.append(time.process_time() - started)
        clock.now += peers.interval_s
        await write_all(changed)
        await asyncio.sleep(max(0.0, began + number * peers.interval_s - time.monotonic()))
    interval_s = peers.interval_s
    await peers.close()
    await theirs.close()
    return min(took[1:]), interval_s
