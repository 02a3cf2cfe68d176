"""What a batch may cost is set aside of its key's budget, and what it did cost is counted there.

    begin     entry of `open` → task of the key → batch     whoever dies between leaves a task that `drop` removes
    book      ledger → batch, with its cost → task → batch, with what was told
    end       task removed → entry of `open` removed

The batch's document says what its lines in the ledger cost, and the task is told that sum, so it is counted once.
"""

from __future__ import annotations

from dataclasses import replace

from shared.batches.document import Batch
from shared.batches.placing import BYTES_PER_TOKEN
from shared.batches.work import Means, Work
from shared.callers.virtual_key import VirtualKey
from shared.config.pricing import PICO
from shared.files.stored_file import StoredFile
from shared.spend.pricing import charge
from shared.usage.usage import Usage


def estimate(means: Means, file: StoredFile, model: str) -> int:
    """What a batch may cost, in picodollars: as the check of its file estimated, else at its dearest deployment. At
    least 1: what has no price needs a budget that is not used up."""
    cost_usd: float | None = file.notes.get("cost_usd")
    if cost_usd is not None:
        return max(1, round(cost_usd * PICO))
    prompt = file.notes.get("prompt_tokens", file.bytes_count // BYTES_PER_TOKEN)
    usage = Usage(prompt, file.notes.get("completion_tokens", 0), source="estimated")
    return max(1, *(charge(usage, one.price, batch=True).cost or 0 for one in means.fleet.of(model)))


async def begin(means: Means, batch: Batch, key: VirtualKey | None, amount: int) -> Batch:
    """Sets money aside for a batch that is about to be written; the batch. Raises BudgetExceeded, StorageFailed."""
    if key is None or means.tasks is None:
        return batch
    await means.tasks.begin(key, batch.id, amount)
    return replace(batch, budgeted=True)


async def book(means: Means, work: Work) -> None:
    """Tells the key what its batch has cost by now. Raises Lost and StorageFailed."""
    batch = work.batch
    if means.tasks is not None:
        await means.tasks.book(batch.owner, batch.id, batch.cost, whole=batch.ended)
    await work.save(replace(batch, booked=batch.cost, released=batch.ended))


async def end(means: Means, batch: Batch) -> None:
    """The batch is over. Raises StorageFailed."""
    if batch.budgeted and means.tasks is not None:
        await means.tasks.end(batch.owner, batch.id, batch.cost)


async def drop(means: Means, batch_id: str) -> None:
    """The batch was never written: what was set aside for it goes back. Raises StorageFailed."""
    owner = await means.store.owner_of(batch_id[-32:])
    if owner is not None and means.tasks is not None:
        await means.tasks.end(owner, batch_id, 0)
