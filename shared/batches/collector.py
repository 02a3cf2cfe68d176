"""Collects what becomes of a batch's shards: watches them, reads their results, publishes, and removes what is left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from shared.batches import machine, sending, watching
from shared.batches.blocks import block_of, file_of
from shared.batches.document import Batch, Shard, upstream_name
from shared.batches.lines import RESULT_BYTES_MAX, Asked, LineTooLong, custom_id_of, lines_of
from shared.batches.reading import Charged, Piece, Reader, Requests, Results
from shared.batches.results import Ids
from shared.batches.seen import Seen, quota_of
from shared.batches.work import Means, Work
from shared.catalog.price import UNPRICED
from shared.errors import NotFound, SpillwayError, StorageFailed
from shared.seal import Seal, tag
from shared.spend import outside
from shared.spend.pricing import Charge, charge
from shared.upstream.deployment import Deployment
from shared.usage.usage import Usage

log = logging.getLogger("spillway")

REST_LINES = 5000
"""Requests without a result that are told so at once."""
REST_BYTES = 4 * 1024 * 1024
BREATH_LINES = 100
TOUCH_S = 86_400.0
"""Staged blocks vanish a week after the last one was staged: one more keeps them."""
_TOUCH = "9" * 16


class Collector:
    """The steps `poll`, `cancel`, `read`, `publish` and `clean`. Each raises Lost or StorageFailed."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def poll(self, work: Work, key: str) -> None:
        """Looks at the batch of a shard. What is seen need not be stored: it can be seen again."""
        means, shard = self._means, work.batch.shard(key)
        await self._touch(work)
        deployment = means.fleet.known(work.batch.model, shard.deployment)
        seen: Seen | None = None
        try:
            if deployment is None:
                raise SpillwayError("The deployment is no longer configured.", code="deployment_not_configured")
            seen = await means.resources.get(deployment, shard.job)
            await means.learn(deployment.id, quota_of(seen.errors))
        except NotFound:
            seen = None
        except StorageFailed:
            raise
        except SpillwayError as error:
            log.warning("a batch could not be looked at (%s); it is tried again", error.code)
            work.batch = sending.troubled(work.batch, key, means.clock(), (error.retry_after_ms or 0) / 1000)
            return
        work.batch = machine.settled(watching.polled(work.batch, key, seen, means.clock()), means.clock())

    async def _touch(self, work: Work) -> None:
        batch, now = work.batch, self._means.clock()
        if not batch.staged_at or now - batch.staged_at < TOUCH_S:
            return
        blobs = self._means.files.storage.blobs
        for name in (batch.output_id, batch.error_id):
            await blobs.stage(name, _TOUCH, b"\n")
        work.batch = replace(batch, staged_at=now)

    async def cancel(self, work: Work, key: str) -> None:
        """Asks the resource to end the batch of a shard."""
        means, shard = self._means, work.batch.shard(key)
        deployment = means.fleet.known(work.batch.model, shard.deployment)
        try:
            if deployment is None:
                raise SpillwayError("The deployment is no longer configured.", code="deployment_not_configured")
            await means.resources.cancel(deployment, shard.job)
        except NotFound:
            pass
        except SpillwayError as error:
            log.warning("a batch could not be cancelled (%s); it is tried again", error.code)
            work.batch = sending.troubled(work.batch, key, means.clock())
            return
        work.batch = watching.asked_to_cancel(work.batch, key, means.clock())

    async def read(self, work: Work, key: str, until: float) -> None:
        """Reads the results of a shard, piece by piece, and begins no piece behind `until`."""
        async with self._means.heavy:
            try:
                await self._read(work, key, until)
            except StorageFailed:
                raise
            except SpillwayError as error:
                log.warning("results of a batch could not be read (%s); it is tried again", error.code)
                await work.save(sending.troubled(work.batch, key, self._means.clock()))

    async def _read(self, work: Work, key: str, until: float) -> None:
        means = self._means
        shard = work.batch.shard(key)
        asked = await means.store.asked(work.batch.name, shard.asked) if shard.asked else []
        deployment = means.fleet.known(work.batch.model, shard.deployment)
        reader = Reader(
            work.batch,
            Requests.of(asked),
            _charged(deployment),
            Ids(Seal(means.sealer, tag(work.batch.owner)), b"" if deployment is None else deployment.resource_tag),
            (deployment and deployment.base_model) or "",
        )
        while means.clock() < until:
            mark = work.batch.shard(key).mark
            if mark.part == "rest":
                await self._rest(work, key, reader, until)
                return
            file = shard.output if mark.part == "output" else shard.error
            whole = await self._file(work, key, reader, deployment, file, until) if file else True
            if whole:
                now_at = work.batch.shard(key)
                following = replace(now_at.mark, part="error" if mark.part == "output" else "rest", at=0)
                work.batch = watching.advanced(work.batch, replace(now_at, mark=following))

    async def _file(
        self, work: Work, key: str, reader: Reader, deployment: Deployment | None, file: str, until: float
    ) -> bool:
        """Reads on in a file of results; whether that is done."""
        means = self._means
        shard = work.batch.shard(key)
        start = shard.mark.at
        if deployment is None:
            raise SpillwayError("The deployment is no longer configured.", code="deployment_not_configured")
        piece, begun, count = Results(reader, shard), 0, 0
        try:
            async with aclosing(means.resources.content(deployment, file, start)) as content:
                async for line, at in lines_of(content, RESULT_BYTES_MAX):
                    if line:
                        piece.take(line)
                    count += 1
                    if count % BREATH_LINES == 0:
                        await asyncio.sleep(0)
                    if at - begun >= work.batch.chunk_bytes:
                        await self._keep(work, piece.end(start + at), key)
                        if means.clock() >= until:
                            return False
                        piece, begun, count = Results(reader, work.batch.shard(key)), at, 0
                if count:
                    await self._keep(work, piece.end(start + at), key)
        except NotFound:
            if means.clock() - shard.since < watching.GRACE_S:
                raise
            log.error("a batch's results are not at their resource any more")
        except LineTooLong:
            log.error("a batch has a result of more than %d bytes; what follows it is passed over", RESULT_BYTES_MAX)
        return True

    async def _keep(self, work: Work, piece: Piece, key: str) -> None:
        """Keeps a piece of results: what was done before the shard is stored is done again, the same, by whoever comes
        next."""
        means, batch = self._means, work.batch
        shard = batch.shard(key)
        blobs = means.files.storage.blobs
        writes = []
        if piece.output:
            writes.append(blobs.stage(batch.output_id, block_of(shard, shard.output_blocks), piece.output))
        if piece.error:
            writes.append(blobs.stage(batch.error_id, block_of(shard, shard.error_blocks), piece.error))
        if piece.entries:
            ledger_name = f"{shard.day}_{batch.name}-{shard.key}"
            writes.append(outside.add_lines(means.ledger, ledger_name, shard.chunks, piece.entries))
        failures = [one for one in await asyncio.gather(*writes, return_exceptions=True) if one is not None]
        if failures:
            raise failures[0]
        batch = watching.advanced(batch, replace(piece.shard, due=0.0, trouble=0))
        await work.save(replace(batch, staged_at=means.clock()))

    async def _rest(self, work: Work, key: str, reader: Reader, until: float) -> None:
        """Tells the requests without a result that they have none, then ends the shard."""
        means = self._means
        shard = work.batch.shard(key)
        told = not work.batch.stopping and not (shard.stray and shard.code != machine.NO_RESULT)
        if told and shard.asked:
            for start in range(shard.mark.line, len(reader.requests.lines), REST_LINES):
                shard = work.batch.shard(key)
                unseen = reader.unseen(shard, start, REST_LINES)
                if unseen:
                    await self._keep(work, reader.rest(shard, unseen, 0, start + REST_LINES), key)
                if means.clock() >= until:
                    return
        elif told:
            async for piece in self._unsent(work, key, reader):
                await self._keep(work, piece, key)
                if means.clock() >= until:
                    return
        shard = work.batch.shard(key)
        picked = reader.picked(shard) if shard.asked else None
        if picked is not None:
            await means.store.put_picked(work.batch.name, key, picked)
        lines = len(reader.requests.lines) or shard.lines or shard.failed
        await work.save(watching.done(work.batch, key, lines, key if picked is not None else "", means.clock()))

    async def _unsent(self, work: Work, key: str, reader: Reader) -> AsyncIterator[Piece]:
        """The requests of a range that was never sent, read from the input; none when that was deleted."""
        means, batch = self._means, work.batch
        shard = batch.shard(key)
        picked = await means.store.picked(batch.name, shard.picked) if shard.picked else None
        start, number = shard.start + shard.mark.at, shard.mark.line
        blob = await means.files.storage.blobs.open(batch.input_file_id, start, shard.end - start)
        if blob is None or start >= shard.end:
            return
        some: list[tuple[int, Asked]] = []
        begun = at = 0
        async for line, at in lines_of(blob.chunks(), RESULT_BYTES_MAX):
            if line.strip():
                custom_id = custom_id_of(line) if picked is None or picked.has(shard.first + number) else None
                if custom_id is not None:
                    some.append((shard.first + number, Asked(custom_id, 0)))
                number += 1
            if len(some) >= REST_LINES or at - begun >= REST_BYTES:
                yield reader.rest(work.batch.shard(key), some, start + at - shard.start, number)
                some, begun = [], at
        if at > begun:
            yield reader.rest(work.batch.shard(key), some, start + at - shard.start, number)

    async def publish(self, work: Work) -> None:
        """Makes files of what is staged, for the caller to see."""
        means, batch = self._means, work.batch
        batch = batch.at("finalizing_at", means.clock())
        if "finalizing_at" not in work.batch.times:
            await work.save(batch)
        for kind in ("output", "error"):
            file, blocks = file_of(work.batch, kind)
            if blocks:
                await means.files.commit(file, blocks)
                await means.files.publish(file)
        await work.save(machine.published(work.batch, means.clock()))

    async def clean(self, work: Work, key: str) -> None:
        """Removes what a shard left at its resources, and cancels what was made twice."""
        means, batch = self._means, work.batch
        shard = batch.shard(key)
        strays: list[tuple[str, str, Seen]] = []
        try:
            here = means.fleet.known(batch.model, shard.deployment) if shard.deployment else None
            for file in (shard.file, shard.output, shard.error):
                if here is not None and file:
                    await means.resources.delete(here, file)
            for left in shard.left:
                deployment = means.fleet.known(batch.model, left)
                if deployment is not None:
                    strays += await self._left(batch, shard, deployment)
        except StorageFailed:
            raise
        except SpillwayError as error:
            log.warning("what a batch left at its resource could not be removed (%s)", error.code)
            work.batch = watching.not_cleaned(batch, key, means.clock())
            return
        await work.save(watching.cleaned(batch, key, strays, means.clock()))

    async def _left(self, batch: Batch, shard: Shard, deployment: Deployment) -> list[tuple[str, str, Seen]]:
        """Removes uploads of the shard that nobody used; batches of it that nobody knew of."""
        means, name = self._means, upstream_name(batch, shard)
        recent = await means.resources.recent(deployment, batch.created_at)
        known = {one.job for one in batch.shards}
        for file, filename in (await means.resources.uploads(deployment)).items():
            if filename == f"{name}.jsonl":
                await means.resources.delete(deployment, file)
        unknown = [one for one in recent if one.name == name and one.job not in known and one.status != "failed"]
        return [(deployment.id, deployment.label, one) for one in unknown]


def _charged(deployment: Deployment | None) -> Charged:
    def charged(usage: Usage) -> Charge:
        return charge(usage, UNPRICED if deployment is None else deployment.price, batch=True)

    return charged
