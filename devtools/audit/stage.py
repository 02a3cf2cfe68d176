"""The processes of an audit: hosts that are killed and started again, and the storage account, which may be away."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from devtools.audit.load import KEY
from devtools.bench.processes import START_S
from devtools.processes import free_port, start, stop
from devtools.storage import connection_string, launch
from shared.spend import places, report
from shared.spend.entry import Entry
from shared.spend.logs import LIMIT_MAX, Place, Wanted, page
from shared.spend.places import LEDGER_TABLE, SPEND_TABLE
from shared.spend.sweep import Sweep
from shared.spend.totals import Sums
from shared.storage.account import Account
from shared.storage.tables import AzureTable

ROOT = Path(__file__).resolve().parents[2]


class Host:
    """One host process, always on the same port."""

    def __init__(self, config: Path, connection: str, environ: Mapping[str, str], log: Path | None = None) -> None:
        self._log = log
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environ = {
            "PATH": "/usr/bin:/bin",
            "SPILLWAY_CONFIG": str(config),
            "SPILLWAY_MASTER_KEY": KEY,
            "AzureWebJobsStorage": connection,
            **environ,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and returns at once."""
        command = [sys.executable, "-m", "devtools", "host", "--port", str(self.port)]
        if self._log is None:
            self._process = start(command, env=self._environ, cwd=ROOT, output=subprocess.DEVNULL)
            return
        with self._log.open("ab") as log:
            self._process = start(command, env=self._environ, cwd=ROOT, output=log)

    def wait(self) -> None:
        """Returns when it serves. Raises RuntimeError."""
        assert self._process is not None
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            try:
                if httpx.get(self.url + "/health/readiness", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise RuntimeError(f"a host did not start to serve (exit code {self._process.poll()})")

    @property
    def pid(self) -> int | None:
        """Its process, None when it has ended."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def kill(self) -> None:
        """SIGKILL: it has no time for anything."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """Ends it in good order."""
        if self._process is not None:
            stop(self._process, 10.0)

    def sweep(self) -> None:
        """Fires its timer."""
        httpx.post(f"{self.url}/admin/functions/sweep", json={}, timeout=30).raise_for_status()


@contextmanager
def hosts(
    count: int, config: str, folder: Path, connection: str, *, log: Path | None = None, **environ: str
) -> Iterator[list[Host]]:
    """So many hosts over one storage account. `log`: the file that they write to, if any."""
    path = folder / "audit.yaml"
    path.write_text(config)
    made = [Host(path, connection, environ, log) for _ in range(count)]
    try:
        for one in made:
            one.start()
        for one in made:
            one.wait()
        yield made
    finally:
        for one in made:
            one.end()


class Storage:
    """Azurite on a disk, which can be stopped and started again with what it has."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port(3)
        self._folder = folder / "azurite"
        self.connection = connection_string(self._port)
        self._process = launch(self._port, self._folder)

    def stop(self) -> None:
        stop(self._process, 10.0)

    def start(self) -> None:
        self._process = launch(self._port, self._folder)


@contextmanager
def stoppable_storage(folder: Path) -> Iterator[Storage]:
    made = Storage(folder)
    try:
        yield made
    finally:
        made.stop()


async def listed(connection: str) -> list[Entry]:
    """The whole list of yesterday, today and tomorrow."""
    table = AzureTable(Account(connection), LEDGER_TABLE)
    found: list[Entry] = []
    after: Place | None = None
    try:
        while True:
            got = await page(table, *_days(), Wanted(), after=after, limit=LIMIT_MAX)
            found += [entry for _, entry in got.items]
            if not got.has_more:
                return found
            assert got.last is not None
            after = Place.read(str(got.last))
    finally:
        await table.close()


async def closed_totals(connection: str) -> Sums:
    """The totals once every instance has ended and the timer has done all that is left: its clock runs ahead."""
    ledger, spend = (AzureTable(Account(connection), name) for name in (LEDGER_TABLE, SPEND_TABLE))
    try:
        for ahead_s in (400, 470, 540, 610, 680, 750):
            await Sweep(ledger, spend, lambda: time.time() + ahead_s, time.monotonic, days_kept=400).run()  # noqa: B023
        return await report.totals(spend, *_days())
    finally:
        await ledger.close()
        await spend.close()


def disagreement(sums: Sums, entries: Sequence[Entry]) -> list[str]:
    """What the totals and the list do not say alike."""
    counted = Sums(None)
    for entry in entries:
        counted.count(entry.entry_id.split("_")[1], [entry])
    if sums == counted:
        return []
    told, found = ((sum(one.attempts for _, one in each), sum(one.cost for _, one in each)) for each in (sums, counted))
    return [f"the totals have {told[0]} attempts of {told[1]}, the list {found[0]} of {found[1]}"]


def _days() -> tuple[str, str]:
    now = time.time()
    return places.day_of(now - places.DAY_S), places.day_of(now + places.DAY_S)
