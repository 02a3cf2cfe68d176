"""The ledger and its totals, to be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shared.errors import StorageFailed
from shared.spend.sweep import Sweep
from shared.storage.tables import Table


@dataclass(frozen=True, slots=True)
class Books:
    """`ledger` has every attempt, `spend` what they come to by day; both are None without a storage account. `clock`
    gives seconds since 1970."""

    ledger: Table | None
    spend: Table | None
    clock: Callable[[], float]

    @property
    def log(self) -> Table:
        """The table of attempts. Raises StorageFailed."""
        return _there(self.ledger)

    @property
    def totals(self) -> Table:
        """The table of totals. Raises StorageFailed."""
        return _there(self.spend)

    async def sweep(self, monotonic: Callable[[], float], days_kept: int) -> None:
        """Does what no instance does for itself, and removes what is old. Raises StorageFailed."""
        if self.ledger is not None and self.spend is not None:
            await Sweep(self.ledger, self.spend, self.clock, monotonic, days_kept=days_kept).run()

    async def close(self) -> None:
        """Lets the storage account go."""
        for table in (self.ledger, self.spend):
            if table is not None:
                await table.close()


def _there(table: Table | None) -> Table:
    if table is None:
        raise StorageFailed("There is no storage account here, so there is no ledger.", should_retry=False)
    return table
