"""Sends the shards of a batch: finds a deployment with room, uploads, creates, and looks up what is in doubt."""

from __future__ import annotations

import logging
import tempfile
from typing import IO

from shared.batches import placing, sending
from shared.batches.document import Batch, Shard, claims, upstream_name
from shared.batches.inputs import BadInput, Limits, Written, write
from shared.batches.lines import kind_of, upstream_endpoint
from shared.batches.placing import BYTES_PER_TOKEN, Later, Never, Seat
from shared.batches.seen import FULL, Seen, quota_of
from shared.batches.sending import Upload
from shared.batches.upstream import Refused
from shared.batches.work import Means, Work
from shared.errors import (
    BadRequest,
    NotFound,
    RateLimited,
    Replay,
    SpillwayError,
    StorageFailed,
    Unavailable,
    UpstreamMisconfigured,
)
from shared.upstream.deployment import Deployment

log = logging.getLogger("spillway")

MISCONFIGURED_S = 300.0
"""How long a deployment that refuses the gateway is left alone: an operator must act."""


class Sender:
    """The steps `place`, `ready`, `submit` and `search`. Each raises Lost or StorageFailed."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def place(self, work: Work, key: str) -> None:
        """Finds a deployment for a queued shard and uploads it there."""
        batch, now = work.batch, self._means.clock()
        shard = batch.shard(key)
        deployments = {one.id: one for one in self._means.fleet.of(batch.model)}
        seats = await self._seats(batch, list(deployments.values()))
        need = max(1, (shard.end - shard.start) // BYTES_PER_TOKEN)
        place = placing.place(need, seats, batch.avoid, now, split=batch.split)
        if isinstance(place, Never):
            error = {"code": FULL, "message": place.message, "param": None, "line": None}
            await work.save(sending.not_taken(batch, key, [error], now))
        elif isinstance(place, Later):
            for one in batch.shards:
                if one.state == "queued":
                    batch = batch.with_shard(one.key, due=place.until)
            work.batch = batch
        else:
            tokens = need if place.tokens is None else min(need, place.tokens)
            await work.save(sending.uploading(batch, key, place.seat, tokens, now))
            async with self._means.heavy:
                await self._upload(work, key, deployments[place.seat.deployment], place.tokens)

    async def _seats(self, batch: Batch, deployments: list[Deployment]) -> list[Seat]:
        means = self._means
        quotas = await means.store.quotas(means.clock())
        enqueued = dict(claims(batch))
        for opened in await means.store.open():
            if opened.id != batch.id:
                for deployment, tokens in opened.claims.items():
                    enqueued[deployment] = enqueued.get(deployment, 0) + tokens
        return [Seat(one.id, one.label, quotas.get(one.id), enqueued.get(one.id, 0), one.tier) for one in deployments]

    async def _upload(self, work: Work, key: str, deployment: Deployment, tokens: int | None) -> None:
        now = self._means.clock
        try:
            upload = await self._uploaded(work.batch, key, deployment, tokens)
        except BadInput as bad:
            await work.save(sending.broken(work.batch, bad.errors, now()))
        except StorageFailed:
            raise
        except SpillwayError as error:
            await self._not_sent(work, key, error)
        else:
            if upload is None:
                await work.save(sending.nothing_left(work.batch, key, now()))
            else:
                await work.save(sending.uploaded(work.batch, key, upload, now()))

    async def _uploaded(self, batch: Batch, key: str, deployment: Deployment, tokens: int | None) -> Upload | None:
        """Uploads what the deployment takes of a shard; None where its range has no request."""
        means, shard = self._means, batch.shard(key)
        with tempfile.TemporaryFile() as file:
            written = await self._written(batch, shard, file, deployment, tokens)
            if not written.asked:
                return None
            asked = f"{key}-{means.random_bytes(4).hex()}"
            await means.store.put_asked(batch.name, asked, written.asked)
            file.seek(0)
            name = upstream_name(batch, shard)
            upstream, is_ready = await means.resources.upload(deployment, name, file, written.bytes_count)
        return Upload(
            upstream, asked, len(written.asked), written.next_line, written.end, written.bytes_count, not is_ready
        )

    async def _written(
        self, batch: Batch, shard: Shard, file: IO[bytes], deployment: Deployment, tokens: int | None
    ) -> Written:
        means = self._means
        picked = await means.store.picked(batch.name, shard.picked) if shard.picked else None
        length = shard.end - shard.start
        blob = await means.files.storage.blobs.open(batch.input_file_id, shard.start, length)
        if blob is None:
            raise BadInput("file_not_found", "The input file was deleted before all of it was sent.", "input_file_id")
        limits = Limits(tokens, split=batch.split).after(shard.cut)
        kind = kind_of(batch.endpoint) or ""
        return await write(file, blob.chunks(), shard, picked, deployment.name, kind, limits)

    async def ready(self, work: Work, key: str) -> None:
        """Asks whether the uploaded file can be used by now."""
        batch, now = work.batch, self._means.clock
        shard = batch.shard(key)
        deployment = self._means.fleet.known(batch.model, shard.deployment)
        try:
            if deployment is None:
                raise NotFound("The deployment is no longer configured.")
            is_ready = await self._means.resources.is_ready(deployment, shard.file)
        except NotFound:
            work.batch = sending.queued(batch, key, now())
        except SpillwayError:
            work.batch = sending.troubled(batch, key, now())
        else:
            work.batch = sending.ready(batch, key, is_ready, now())

    async def submit(self, work: Work, key: str) -> None:
        """Creates the batch of an uploaded shard."""
        means = self._means
        shard = work.batch.shard(key)
        deployment = means.fleet.known(work.batch.model, shard.deployment)
        if deployment is None:
            await work.save(sending.queued(work.batch, key, means.clock()))
            return
        endpoint = upstream_endpoint(kind_of(work.batch.endpoint) or "", deployment.provider)
        await work.save(sending.submitting(work.batch, key, means.clock()))
        name = upstream_name(work.batch, shard)
        try:
            seen = await means.resources.create(deployment, shard.file, endpoint, name)
        except Refused as refused:
            await self._refused(work, key, refused)
        except SpillwayError as error:
            if error.replay is Replay.FREELY or isinstance(error, BadRequest | NotFound):
                await self._not_sent(work, key, error)
            else:
                await work.save(sending.doubtful(work.batch, key, means.clock()))
        else:
            await work.save(sending.submitted(work.batch, key, seen, means.clock()))
            await means.learn(deployment.id, seen.limit)

    async def _refused(self, work: Work, key: str, refused: Refused) -> None:
        means = self._means
        now = means.clock()
        deployment = work.batch.shard(key).deployment
        await means.learn(deployment, quota_of(refused.errors))
        await work.save(sending.refused(work.batch, key, refused.errors, now))

    async def _not_sent(self, work: Work, key: str, error: SpillwayError) -> None:
        """Nothing was created: another deployment is tried, and this one later."""
        pause_s = sending.pause_s(work.batch.shard(key).trouble)
        if isinstance(error, UpstreamMisconfigured | NotFound | BadRequest):
            pause_s = max(pause_s, MISCONFIGURED_S)
        elif isinstance(error, RateLimited | Unavailable) and error.retry_after_ms is not None:
            pause_s = error.retry_after_ms / 1000
        log.warning("a batch could not be sent (%s); another deployment is tried", error.code)
        await work.save(sending.queued(work.batch, key, self._means.clock(), pause_s))

    async def search(self, work: Work, key: str) -> None:
        """Looks up whether a shard's batch was created by somebody who did not come to say so. First its input is
        deleted at the resource, so that nobody can still create one."""
        means, batch = self._means, work.batch
        shard = batch.shard(key)
        deployment = means.fleet.known(batch.model, shard.deployment)
        try:
            if deployment is None:
                raise Unavailable("The deployment is no longer configured.")
            if shard.file:
                await means.resources.delete(deployment, shard.file)
            recent = await means.resources.recent(deployment, shard.since)
        except SpillwayError as error:
            log.warning("a batch that may exist could not be looked up (%s); it is tried again", error.code)
            work.batch = sending.troubled(batch, key, means.clock())
            return
        await work.save(sending.found(batch, key, _ours(batch, shard, recent), means.clock()))


def _ours(batch: Batch, shard: Shard, recent: list[Seen]) -> Seen | None:
    """The shard's batch among those of its resource."""
    known = {one.job for one in batch.shards if one.job}
    name = upstream_name(batch, shard)
    mine = [one for one in recent if one.name == name and one.job not in known]
    return next((one for one in mine if one.input_file == shard.file), None)
