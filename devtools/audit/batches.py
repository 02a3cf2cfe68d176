"""The audit of batches: many requests over several deployments with quotas, whatever happens to the hosts meanwhile."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from devtools.audit import batch_books, batch_files
from devtools.audit.batch_books import Books
from devtools.audit.batch_files import MODEL, Results
from devtools.audit.load import KEY
from devtools.audit.stage import Host, closed_totals, hosts, listed
from devtools.bench.processes import memory_mb, simulator
from devtools.simulator import ControlClient
from devtools.storage import storage
from shared.batches.store import TABLE, BatchStore
from shared.spend.entry import Entry
from shared.storage.account import Account
from shared.storage.tables import AzureTable

DEPLOYMENT = "gpt-4o-mini-batch"
API_VERSION = "2025-04-01-preview"
BYTES_PER_TOKEN = 4
LOOK_S = 0.5
WATCH_S = 0.02
TIMER = "* * * * * *"
"""Every second, in every process: the timers are concurrent."""
FAULTS = ({"probability": 0.004, "status": 429}, {"probability": 0.004, "status": 500})
"""Requests that fail for a passing reason, which `retry_failed` sends again."""
RETRIES = "2"
_HEADERS = {"authorization": f"Bearer {KEY}"}


@dataclass(slots=True)
class Figures:
    """What came of the batches. `peak_mb` is the most memory that a host process ever had, `seconds` run from the
    creation of the first batch to the end of the last, `by_resource` counts shards. `totals` are attempts and cost, in
    picodollars, of the ledger's own totals. `wrong` says in words what must not be."""

    results: list[Results] = field(default_factory=list)
    completed: int = 0
    books: Books = field(default_factory=Books)
    seconds: float = 0.0
    upload_s: float = 0.0
    download_s: float = 0.0
    peak_mb: float = 0.0
    kills: int = 0
    by_resource: Counter[str] = field(default_factory=Counter)
    told_cost: int = 0
    totals: tuple[int, int] = (0, 0)
    left: int = 0
    wrong: list[str] = field(default_factory=list)

    def sum(self, name: str) -> int:
        """Of all batches, a count of Results."""
        return sum(getattr(one, name) for one in self.results)


def run(
    batches: Sequence[int],
    shares: dict[str, float],
    *,
    host_count: int = 1,
    kill_s: float = 0.0,
    deadline_s: float = 900.0,
    log: Path | None = None,
) -> Figures:
    """Runs batches of so many requests at resources whose quotas are these shares of the tokens of all; 0 is none.

    `kill_s`: so often a host is killed, in turn. `log`: where the hosts write what they have to say. Raises
    RuntimeError when they are not over by the deadline.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sim = stack.enter_context(simulator())
        control = stack.enter_context(ControlClient(sim))
        connection = stack.enter_context(storage())
        inputs = [folder / f"batch-{number}.jsonl" for number in range(len(batches))]
        for number, (path, lines) in enumerate(zip(inputs, batches, strict=True)):
            batch_files.write(path, number, lines)
        tokens = sum(path.stat().st_size for path in inputs) // BYTES_PER_TOKEN
        for resource, share in shares.items():
            control.deployment(resource, DEPLOYMENT, enqueued_tokens=int(tokens * share) or None)
        for rule in FAULTS:
            control.fault(operation="batches/line", times=None, **rule)
        served = stack.enter_context(
            hosts(host_count, _config(sim, shares), folder, connection, log=log, SPILLWAY_BATCH_SCHEDULE=TIMER)
        )
        figures = Figures([Results(number, lines) for number, lines in enumerate(batches)])
        with _watching(served, figures):
            ids = _run(served, connection, inputs, figures, kill_s, deadline_s)
        for one in served:
            one.end()
        _hold(figures, ids, connection, control)
        figures.left = sum(_files_left(sim, resource) for resource in shares)
        return figures


def _run(
    served: Sequence[Host], connection: str, inputs: Sequence[Path], figures: Figures, kill_s: float, deadline_s: float
) -> list[str]:
    """Uploads, runs and downloads; the ids of the batches."""
    with httpx.Client(headers=_HEADERS, timeout=120) as client, ThreadPoolExecutor(1) as beside:
        started = time.monotonic()
        files = [_upload(client, served[0].url, path) for path in inputs]
        figures.upload_s = time.monotonic() - started
        started = time.monotonic()
        running = beside.submit(_finish, client, served, connection, files, started + deadline_s)
        if kill_s:
            figures.kills = _kill(served, running, kill_s)
        ids, shown, ended = running.result()
        figures.seconds = ended - started
        started = time.monotonic()
        for one, batch in zip(figures.results, shown, strict=True):
            _told(figures, batch)
            for name in ("output_file_id", "error_file_id"):
                if batch[name]:
                    with client.stream("GET", f"{served[0].url}/v1/files/{batch[name]}/content") as answer:
                        answer.raise_for_status()
                        one.take(_lines(answer), errors=name == "error_file_id")
        figures.download_s = time.monotonic() - started
    return ids


def _finish(
    client: httpx.Client, served: Sequence[Host], connection: str, files: Sequence[str], deadline: float
) -> tuple[list[str], list[dict[str, Any]], float]:
    """Creates batches and waits for them; their ids, how they ended, and when the last of them did."""
    ids = [_create(client, served, one) for one in files]
    shown = [_ended(client, served, one, deadline) for one in ids]
    ended = time.monotonic()
    _await_tidy(connection, deadline)
    return ids, shown, ended


def _kill(served: Sequence[Host], running: Future[Any], every_s: float) -> int:
    """Kills the hosts in turn until that is over; how often. One that does not serve yet is waited for."""
    kills, due = 0, time.monotonic() + every_s
    while not wait({running}, max(due - time.monotonic(), 0.0)).done:
        due = time.monotonic() + every_s
        one = served[kills % len(served)]
        kills += 1
        one.kill()
        one.start()
        one.wait()
    return kills


def _upload(client: httpx.Client, url: str, path: Path) -> str:
    with path.open("rb") as file:
        answer = client.post(f"{url}/v1/files", data={"purpose": "batch"}, files={"file": (path.name, file)})
    answer.raise_for_status()
    return str(answer.json()["id"])


def _create(client: httpx.Client, served: Sequence[Host], file: str) -> str:
    """Creates a batch, once, however often that has to be asked."""
    body = {
        "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h",
        "metadata": {"retry_failed": RETRIES},
    }  # fmt: skip
    while True:
        for one in served:
            with suppress(httpx.TransportError):
                answer = client.post(f"{one.url}/v1/batches", json=body, headers={"idempotency-key": file})
                answer.raise_for_status()
                return str(answer.json()["id"])
        time.sleep(0.1)


def _ended(client: httpx.Client, served: Sequence[Host], batch: str, deadline: float) -> dict[str, Any]:
    """The batch when it is over. Raises RuntimeError."""
    shown: dict[str, Any] = {}
    while time.monotonic() < deadline:
        for one in served:
            with suppress(httpx.TransportError):
                answer = client.get(f"{one.url}/v1/batches/{batch}")
                answer.raise_for_status()
                shown = answer.json()
                break
        if shown.get("status") in ("completed", "failed", "expired", "cancelled"):
            return shown
        time.sleep(LOOK_S)
    raise RuntimeError(f"a batch is not over: {shown}")


def _await_tidy(connection: str, deadline: float) -> None:
    """Returns when nothing is left to do for any batch. Raises RuntimeError."""

    async def wait() -> None:
        store = BatchStore(AzureTable(Account(connection), TABLE))
        try:
            while await store.open():
                if time.monotonic() > deadline:
                    raise RuntimeError("a batch has left something behind")
                await asyncio.sleep(LOOK_S)
        finally:
            await store.close()

    asyncio.run(wait())


def _told(figures: Figures, batch: dict[str, Any]) -> None:
    """Counts what the batch object tells."""
    figures.completed += batch["status"] == "completed"
    if batch["status"] != "completed":
        figures.wrong.append(f"{batch['id']}: {batch['status']} ({batch['errors']})")
    figures.told_cost += round(batch["spillway"]["cost_usd"] * 10**12)
    for shard in batch["spillway"]["shards"]:
        figures.by_resource[str(shard["deployment_id"])] += 1


def _lines(answer: httpx.Response) -> Iterator[bytes]:
    rest = b""
    for chunk in answer.iter_bytes(1024 * 1024):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _hold(figures: Figures, ids: Sequence[str], connection: str, control: ControlClient) -> None:
    """Holds the ledger's list, its totals and the bill against each other."""
    by_batch: dict[str, list[Entry]] = {one: [] for one in ids}
    for entry in asyncio.run(listed(connection)):
        by_batch[entry.entry_id.rpartition("_")[0]].append(entry)
    billed: dict[int, list[dict[str, Any]]] = {number: [] for number in range(len(ids))}
    for batch in control.call("GET", "/batches")["batches"]:
        lines = control.bill_of(batch["id"])
        if lines:
            billed[int(lines[0]["custom_id"].split("-")[1])] += lines
    for number, batch_id in enumerate(ids):
        entries = by_batch[batch_id]
        books = batch_books.compared(billed[number], entries, figures.results[number])
        figures.books.add(books)
        figures.wrong += figures.results[number].wrong + books.wrong
    sums = asyncio.run(closed_totals(connection))
    attempts = sum(totals.attempts for _, totals in sums)
    figures.totals = attempts, sum(totals.cost for _, totals in sums)
    listed_totals = figures.books.entries + figures.books.failed, figures.books.entered
    if figures.totals != listed_totals:
        figures.wrong.append(f"the totals have {figures.totals}, the list {listed_totals}")
    if figures.books.entered != figures.books.billed:
        figures.wrong.append(f"the ledger has {figures.books.entered}, the bill {figures.books.billed}")
    if figures.told_cost != figures.books.billed:
        figures.wrong.append(f"the batches tell {figures.told_cost}, the bill {figures.books.billed}")


def _files_left(sim: str, resource: str) -> int:
    """Files that the resource still has."""
    headers = {"api-key": f"sim-key-{resource}"}
    answer = httpx.get(f"{sim}/{resource}/openai/files?api-version={API_VERSION}", headers=headers)
    answer.raise_for_status()
    return len(answer.json()["data"])


@contextmanager
def _watching(served: Sequence[Host], figures: Figures) -> Iterator[None]:
    """Watches the memory of the hosts."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(WATCH_S):
            for pid in [one.pid for one in served]:
                with suppress(OSError, RuntimeError):  # it has just been killed
                    figures.peak_mb = max(figures.peak_mb, memory_mb(pid or 0, peak=True))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _config(sim: str, resources: dict[str, float]) -> str:
    entries = "".join(
        f"  - model_name: {MODEL}\n"
        f"    litellm_params: {{model: azure/{DEPLOYMENT}, api_base: {sim}/{resource}, "
        f'api_key: sim-key-{resource}, api_version: "{API_VERSION}"}}\n'
        f"    model_info: {{id: {resource}, mode: batch, base_model: azure/gpt-4o-mini-2024-07-18}}\n"
        for resource in resources
    )
    return f"model_list:\n{entries}litellm_settings: {{enable_loadbalancing_on_batch_endpoints: true}}\n"
