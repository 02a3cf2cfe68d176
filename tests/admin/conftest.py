"""A ledger with some calls in it, and the books to read it by."""

from __future__ import annotations

from typing import Any

import pytest

from shared.admin.books import Books
from shared.spend.entry import Settlement
from tests.memory_table import MemoryTable
from tests.spend.world import Instance, World


class Told:
    """One instance that wrote what tests let it, and the books of the same storage account."""

    def __init__(self) -> None:
        self.world = World()
        self.instance: Instance = self.world.start()
        self.books = Books(MemoryTable(self.world.ledger), MemoryTable(self.world.spend), self.world.clock)

    async def call(self, settlement: Settlement | None, **values: Any) -> str:
        """One attempt, still open without a settlement; its id."""
        handle = self.instance.open(**values)
        await self.instance.run(5)
        if settlement is not None:
            handle.settle(settlement)
        await self.instance.run()
        return handle.entry.entry_id

    async def counted(self) -> None:
        """Writes the instance's totals and its heartbeat."""
        await self.instance.write_totals()
        await self.instance.beat()


@pytest.fixture
def told() -> Told:
    return Told()
