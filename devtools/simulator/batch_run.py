"""Moves batches on: what is due by the clock, in slices of a few milliseconds, so that other calls go on meanwhile.

validating -> in_progress -> finalizing -> completed; validating -> failed; cancelling -> cancelled; and `expired`,
which comes only when the control routes ask for it, because Azure's batches do not expire.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from devtools.simulator import batch_lines
from devtools.simulator.batch_lines import Result
from devtools.simulator.batches_store import Batch, Results
from devtools.simulator.files_store import StoredFile
from devtools.simulator.resources import Resource
from devtools.simulator.world import World

SLICE_S = 0.01
"""How long one step may take, apart from its last line."""
PAUSE_S = 0.02
BLOCK_LINES = 500
BLOCK_BYTES = 1024 * 1024
"""Lines are read in blocks of so many or so much, and results are out of order within one."""
SETTLE_S = 0.03
EVERY = 10
"""Of so many results a quirk strikes the first."""
TOKEN_LIMIT = (
    "Enqueued token limit reached for {} in resource {}. Limit: {:,} enqueued tokens. Please try again once some "
    "in_progress batches have been completed."
)


def step(world: World, batch: Batch) -> bool:
    """Does the next thing that is due, for SLICE_S at most; tells whether there may be more due already."""
    resource = world.resources.get(batch.resource)
    if batch.held or batch.ended or resource is None:
        return False
    return _STEPS[batch.status](world, batch, resource)


def settle(world: World, *batches: Batch) -> None:
    """Brings small batches to where the clock has them; large ones get nearer, for SETTLE_S in all."""
    until = time.perf_counter() + SETTLE_S
    for batch in batches:
        while time.perf_counter() < until and step(world, batch):
            pass


async def let_others() -> None:
    """Lets the event loop turn to others for a moment."""
    await asyncio.sleep(0)


async def catch_up(world: World) -> None:
    """Brings every batch to where the clock has it, however long that takes."""
    for batch in world.batches.open():
        while step(world, batch):
            await let_others()


async def run_all(world: World) -> None:
    """Moves the batches on by themselves, until there are none."""
    while batches := world.batches.open():
        busy = False
        for batch in batches:
            busy = step(world, batch) or busy
            await let_others()
        if not busy:
            await asyncio.sleep(PAUSE_S)


def token_limit_message(world: World, batch: Batch, resource: Resource) -> str | None:
    """Why the deployment of a batch cannot take it now; None when it can."""
    deployment = resource.deployments.get(batch.deployment)
    quota = deployment.enqueued_tokens if deployment else None
    if quota is None or world.batches.enqueued_tokens(resource.name, batch.deployment) + batch.tokens <= quota:
        return None
    return TOKEN_LIMIT.format(batch.deployment, resource.name, quota)


def _validate(world: World, batch: Batch, resource: Resource) -> bool:
    if not batch.check.done:
        batch.check.go_on(SLICE_S)
        return True
    due = batch.since + resource.authoring.batch_stage_s
    if world.now() < due:
        return False
    batch.errors = batch.check.errors
    if not batch.errors and not batch.enqueued_tokens:
        message = token_limit_message(world, batch, resource)
        if message is not None:
            batch.errors = [{"code": "token_limit_exceeded", "message": message, "param": None, "line": None}]
    if batch.errors:
        batch.become("failed", due)
        return False
    batch.enqueued_tokens = batch.tokens
    batch.total = batch.check.lines
    batch.become("in_progress", due)
    return True


def _run(world: World, batch: Batch, resource: Resource) -> bool:
    if batch.expiring:
        return _expire(world, batch)
    settings = resource.authoring
    seconds = max(settings.batch_stage_s, batch.total / settings.batch_lines_per_s)
    elapsed = world.now() - batch.since
    due = batch.total if elapsed >= seconds else int(batch.total * elapsed / seconds)
    if batch.done < due:
        _run_lines(world, batch, lambda raw: batch_lines.run(world, batch, resource, raw), due)
        return True
    if elapsed < seconds:
        return False
    batch.become("finalizing", batch.since + seconds)
    return True


def _run_lines(world: World, batch: Batch, result_of: Callable[[bytes], Result | None], due: int) -> None:
    """Gives lines their results, until `due` of all have one or the slice is over."""
    until = time.perf_counter() + SLICE_S
    outputs: list[bytes] = []
    failures: list[bytes] = []
    quirks = world.resources[batch.resource].authoring
    while batch.done < due:
        if not batch.waiting:
            _read_block(batch, random.Random(f"{world.seed}{batch.id}{batch.blocks}"), quirks.has("ordered_results"))
        result = result_of(batch.waiting.pop())
        if result is None or not result.completed:
            batch.failed += 1
        else:
            batch.completed += 1
        if result is not None:
            times = 1
            if batch.done % EVERY == 1:
                times += quirks.has("duplicate_results") - quirks.has("missing_results")
            (outputs if result.completed else failures).extend([result.line] * times)
        if time.perf_counter() >= until:
            break
    batch.output.write(outputs)
    batch.error.write(failures)


def _read_block(batch: Batch, rng: random.Random, ordered: bool) -> None:
    """Reads the next lines, which are answered from the end."""
    size = 0
    with batch.input.open("rb") as file:
        file.seek(batch.at)
        while len(batch.waiting) < BLOCK_LINES and size < BLOCK_BYTES:
            raw = file.readline()
            if not raw:
                break
            if raw.strip():
                batch.waiting.append(raw)
            size += len(raw)
        batch.at = file.tell()
    batch.blocks += 1
    if ordered:
        batch.waiting.reverse()
    else:
        rng.shuffle(batch.waiting)


def _expire(world: World, batch: Batch) -> bool:
    if batch.done < batch.total:
        _run_lines(world, batch, lambda raw: batch_lines.expired(batch_lines.custom_id_of(raw)), batch.total)
        return True
    _keep_files(world, batch)
    batch.become("expired", world.now())
    return False


def _finalize(world: World, batch: Batch, resource: Resource) -> bool:
    due = batch.since + resource.authoring.batch_stage_s
    if world.now() < due:
        return False
    _keep_files(world, batch, completed=True)
    batch.become("completed", due)
    return False


def _cancel(world: World, batch: Batch, resource: Resource) -> bool:
    due = batch.since + resource.authoring.batch_cancel_s
    if world.now() < due:
        return False
    _keep_files(world, batch)
    batch.become("cancelled", due)
    return False


def _keep_files(world: World, batch: Batch, *, completed: bool = False) -> None:
    """Makes files of the results. One that completed has an error file even when nothing failed."""
    quirks = world.resources[batch.resource].authoring
    if batch.output.size and not (completed and quirks.has("no_output_file")):
        batch.output_file_id = _keep(world, batch, batch.output, "output")
    if batch.error.size or (completed and not quirks.has("no_error_file")):
        batch.error_file_id = _keep(world, batch, batch.error, "error")


def _keep(world: World, batch: Batch, results: Results, name: str) -> str:
    results.path.touch()
    now = world.time()
    file = StoredFile(
        id=world.hex_id("file-", 32),
        filename=f"{batch.id}_{name}.jsonl",
        purpose="batch_output",
        bytes=results.size,
        created_at=now,
        path=results.path,
        expires_at=None if batch.output_expiry_s is None else now + batch.output_expiry_s,
    )
    world.files.put(batch.resource, file)
    return file.id


_STEPS: dict[str, Callable[[World, Batch, Resource], bool]] = {
    "validating": _validate,
    "in_progress": _run,
    "finalizing": _finalize,
    "cancelling": _cancel,
}
