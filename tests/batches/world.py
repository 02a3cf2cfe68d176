"""Batches without an account: tables, blobs and resources in memory, workers that can be killed at any request."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared import config
from shared.batches import machine
from shared.batches.document import Batch
from shared.batches.driver import Driver
from shared.batches.store import BatchStore
from shared.batches.work import Lost, Means
from shared.callers.key_store import KeyStore
from shared.callers.shares import BUDGET, EMPTY, Shares, pots_of
from shared.callers.shares_row import read
from shared.callers.tasks import Tasks
from shared.callers.virtual_key import VirtualKey
from shared.files.identity import BATCH, FILE, Owner, new_id
from shared.files.store import FileStore, Storage
from shared.seal import Sealer
from shared.spend.entry import Entry, fold
from shared.spend.records import entries_of
from shared.supervisor import Supervisor
from shared.upstream.credentials import api_key
from shared.upstream.deployment import Deployment, deployment_of
from shared.upstream.endpoint import of_entry
from tests.batches.azure import Azure
from tests.memory_blobs import MemoryBlobs
from tests.memory_table import MemoryTable, Rows

NOW = 1_800_000_000.0
ANN = Owner("ann")
SEALER = Sealer(["secret"])
BUDGET_MAX, ESTIMATE = 10**12, 40_000_000
"""Picodollars; nine requests cost more than the estimate when some are made twice."""
CONFIG = """
model_list:
""" + "".join(
    f"""
  - model_name: m
    litellm_params:
      model: azure/d{number}
      api_base: https://r{number}.openai.azure.com
      api_key: k
    model_info: {{id: dep{number}, mode: batch, base_model: azure/gpt-4o-mini}}
"""
    for number in range(3)
)


class Killed(BaseException):
    """The worker is gone: nothing of it runs any more."""


def deployments() -> list[Deployment]:
    """`d0`, `d1` and `d2`, each at a resource of its own."""
    parsed = config.parse(CONFIG, {})
    return [deployment_of(match, of_entry(match.entry)[0], api_key("k", bearer=False)) for match in parsed.matches("m")]


@dataclass
class Fleet:
    """The deployments of model `m` (shared.batches.work.Fleet)."""

    deployments: list[Deployment] = field(default_factory=deployments)

    def of(self, model: str) -> list[Deployment]:
        return self.deployments

    def known(self, model: str, deployment: str) -> Deployment | None:
        return next((one for one in self.deployments if one.id == deployment), None)


class Strike:
    """Kills a worker at its n-th moment, one before and one after each request; 0 never."""

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.count = 0

    def __call__(self, what: str) -> None:
        self.count += 1
        if self.at and self.count >= self.at:
            raise Killed


class World:
    """What outlives every worker."""

    def __init__(self, **azure: Any) -> None:
        self.now = NOW
        self.rows, self.ledger_rows, self.key_rows = Rows(), Rows(), Rows()
        self.key: VirtualKey | None = None
        self.blobs = MemoryBlobs()
        self.fleet = Fleet()
        self.azure = Azure(lambda: self.now, **azure)
        self.supervisor = Supervisor()
        self._names = itertools.count(1)
        self._random = itertools.count(1)
        self.lines: list[bytes] = []

    def random_bytes(self, count: int) -> bytes:
        return next(self._random).to_bytes(count, "big")

    def worker(self, strike: Callable[[str], None] | None = None) -> Driver:
        """One more worker, which dies when it is struck."""
        hit = strike or Strike()
        table = MemoryTable(self.rows, hit, hit)
        keys = MemoryTable(self.key_rows, hit, hit)
        blobs = MemoryBlobs(hit, hit)
        blobs.blobs, blobs.blocks = self.blobs.blobs, self.blobs.blocks
        files_table = MemoryTable(self.rows, hit, hit)
        files = FileStore(Storage(files_table, blobs), self.supervisor, lambda: self.now, self.random_bytes)
        means = Means(
            store=BatchStore(table), files=files, resources=self.azure.client(hit, hit), fleet=self.fleet,
            ledger=MemoryTable(self.ledger_rows, hit, hit), sealer=SEALER, clock=lambda: self.now,
            random_bytes=self.random_bytes, supervisor=self.supervisor, worker=f"w{next(self._names)}",
            tasks=Tasks(keys, KeyStore(keys, lambda: self.now, self.random_bytes), lambda: self.now, self._no_sleep),
        )  # fmt: skip
        return Driver(means)

    def files(self) -> FileStore:
        """The files as an instance has them that is not struck."""
        blobs = MemoryBlobs()
        blobs.blobs, blobs.blocks = self.blobs.blobs, self.blobs.blocks
        return FileStore(Storage(MemoryTable(self.rows), blobs), self.supervisor, lambda: self.now, self.random_bytes)

    async def create(
        self, custom_ids: Sequence[str], *, split: bool = True, rounds: int = 0, chunk_bytes: int = 300
    ) -> Batch:
        """A batch of so many requests, which is open; ESTIMATE of its key's budget is set aside for it."""
        keys = MemoryTable(self.key_rows)
        store = KeyStore(keys, lambda: self.now, self.random_bytes)
        if self.key is None:
            draft = VirtualKey("", "", "", self.now, self.now, max_budget=BUDGET_MAX, budget_from=self.now)
            _, self.key = await store.create(draft, None)
        owner = Owner(self.key.key_id)
        self.lines = [line(one) for one in custom_ids]
        data = b"\n".join(self.lines) + b"\n"
        file_id = new_id(FILE, owner, self.now, self.random_bytes)
        self.blobs.blobs[file_id] = data, None  # type: ignore[assignment]
        batch = machine.begun(
            Batch(
                new_id(BATCH, owner, self.now, self.random_bytes), owner.key_id, "/v1/chat/completions", file_id,
                len(data), "m", self.now, new_id(FILE, owner, self.now, self.random_bytes),
                new_id(FILE, owner, self.now, self.random_bytes), split=split, rounds=rounds, chunk_bytes=chunk_bytes,
                budgeted=True,
            )
        )  # fmt: skip
        batches = BatchStore(MemoryTable(self.rows))
        await batches.note(batch)
        await Tasks(keys, store, lambda: self.now, self._no_sleep).begin(self.key, batch.id, ESTIMATE)
        await batches.insert(batch)
        return batch

    async def _no_sleep(self, seconds: float) -> None:
        """Nobody waits."""

    def shares(self) -> Shares:
        """The row of the key's budget."""
        rows = [row for row in self.key_rows.kept.values() if row.partition.startswith("shares_")]
        return read(rows[0]) if rows else EMPTY

    @property
    def spent(self) -> int:
        """What the key has spent of its budget."""
        return 0 if self.key is None else self.shares().spent(BUDGET, pots_of(self.key, self.now)[BUDGET])

    async def batch(self, batch_id: str) -> Batch:
        found = await BatchStore(MemoryTable(self.rows)).load(batch_id)
        assert found is not None
        return found[0]

    async def change(self, batch: Batch) -> None:
        """Stores a batch as it is."""
        store = BatchStore(MemoryTable(self.rows))
        found = await store.load(batch.id)
        assert found is not None
        assert await store.save(batch, found[1]) is not None

    async def move(self, batch_id: str, driver: Driver | None = None) -> bool:
        """One look of a worker; whether it lived. Asserts that the key's budget has what was set aside, and no more
        than the ledger of what was spent."""
        lived = True
        try:
            await (driver or self.worker()).move(batch_id, self.now + 200)
        except Killed:
            lived = False
        except Lost:
            pass
        assert self.spent <= self.charged
        if batch_id in self.shares().tasks:
            ended = (await self.batch(batch_id)).ended
            assert ended or self.spent + self.shares().kept == max(ESTIMATE, self.spent)
        return lived

    async def finish(self, batch_id: str, seconds: float = 11.0, turns: int = 200) -> Batch:
        """Worker after worker looks at it, until nothing of it is open."""
        for _ in range(turns):
            await self.move(batch_id)
            if ("open", batch_id[-32:]) not in self.rows.kept:
                return await self.batch(batch_id)
            self.now += seconds
        raise AssertionError(f"not over: {await self.batch(batch_id)}")

    def file(self, file_id: str) -> list[dict[str, Any]]:
        """The lines of a file of results; none when there is no such file."""
        seen = [row for row in self.rows.kept.values() if row.properties.get("id") == file_id and row.key[:4] != "open"]
        if not seen:
            return []
        return [orjson.loads(one) for one in self.blobs.blobs[file_id][0].splitlines()]

    def results(self, batch: Batch) -> dict[str, str]:
        """What became of each custom_id: `ok`, a status or a code. Asserts that each is told once."""
        told = [*self.file(batch.output_id), *self.file(batch.error_id)]
        assert max(Counter(one["custom_id"] for one in told).values(), default=1) == 1
        assert len({one["id"] for one in told}) == len(told)
        found: dict[str, str] = {}
        for one in told:
            response = one["response"]
            if response is None:
                found[one["custom_id"]] = one["error"]["code"]
            else:
                status = response["status_code"]
                found[one["custom_id"]] = "ok" if status == 200 else str(status)
        return found

    def entries(self) -> list[Entry]:
        """What the ledger has, each attempt once."""
        rows = [row for row in self.ledger_rows.kept.values() if row.partition.startswith("batch_")]
        return list(fold([entry for row in rows for entry in entries_of(row)]).values())

    @property
    def charged(self) -> int:
        """What the ledger says was spent, in picodollars."""
        return sum(one.cost or 0 for one in self.entries())

    def assert_priced(self, custom_ids: Sequence[str]) -> None:
        """The ledger has what the resources billed, line by line, and the key has spent it, to the picodollar."""
        assert self.spent == self.charged
        assert self.shares().tasks == {}
        ours = Counter(custom_ids[_number(one)] for one in self.entries() if one.status in ("settled", "unknown"))
        assert ours == Counter(custom_id for custom_id, _ in self.azure.bill)

    def assert_nothing_left(self) -> None:
        """No file is left at a resource, nothing runs there, and no row helps to run what is over."""
        assert self.azure.files == {}
        assert {job.status for job in self.azure.jobs.values()} <= {"completed", "failed", "cancelled"}
        helping = ("open", "asked_", "picked_")
        assert [row for row in self.rows.kept.values() if row.partition.startswith(helping)] == []


def _number(entry: Entry) -> int:
    return int(entry.entry_id.rpartition(".")[0].rpartition("_")[2])


def line(custom_id: str) -> bytes:
    body = {"model": "m", "messages": [{"role": "user", "content": f"say {custom_id}"}]}
    return orjson.dumps({"custom_id": custom_id, "method": "POST", "url": "/chat/completions", "body": body})


def names(count: int) -> list[str]:
    """So many custom_ids."""
    return [f"task-{number}" for number in range(count)]
