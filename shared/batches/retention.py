"""How long batches that are over are kept. The agenda of files has an entry for each, written before its batch is
closed; the sweep that comes to it removes the row."""

from __future__ import annotations

from shared.batches.document import Batch
from shared.batches.work import Means
from shared.files.identity import BATCH


async def note(means: Means, batch: Batch) -> None:
    """A batch is over: it is to be removed when its time has come. Raises StorageFailed; may be repeated."""
    await means.files.agenda.note(due_at(batch, means.kept_s), BATCH, batch.id)


async def review(means: Means, batch_id: str) -> None:
    """Looks at a batch whose time has come: it goes, or waits where it is kept for longer by now. Raises
    StorageFailed; may be repeated."""
    found = await means.store.load(batch_id)
    if found is None or not found[0].tidy:
        return
    if means.clock() < due_at(found[0], means.kept_s):
        await note(means, found[0])
    else:
        await means.store.remove(found[0])


def due_at(batch: Batch, kept_s: float) -> float:
    """When a batch that is over is removed."""
    return max(batch.times.values(), default=batch.created_at) + kept_s
