"""Speech that was made, kept in Blob Storage: under an id for its owner, and found again by what was asked for.

Container `spillway-speech`. Every name begins with the day on which it is deleted, so names sort by that day and
deleting never looks at what is still kept:

    {yyyymmdd}/{owner}/{random}           audio, deleted the day after its last one
    {yyyymmdd}/{owner}/key-{sha256}       the name of the audio that answers this request

An id is the audio's name, sealed. Everything here is allowed to fail: then nothing is kept, or found.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from shared.errors import NotFound, SpillwayError, Unavailable
from shared.seal import Seal, tag
from shared.storage.account import Account
from shared.storage.blobs import About, AzureBlobs, Blobs, StoredBlob
from shared.storage.recorder import Budget, Recorder
from shared.supervisor import Supervisor

log = logging.getLogger("spillway")

CONTAINER = "spillway-speech"
ID_PREFIX = "speech_"
LOOKUP_S = 0.5
"""A request waits so long for storage to say whether it was answered before."""
READERS_MAX = 200
"""Stored audio being sent on one instance; each holds a piece of it."""
SWEEP_MINUTE = 11
"""Of every hour: no instance has to remember when the last one deleted what is old."""
SWEEP_NAMES_MAX = 1000
SWEEPS_MAX = 10
"""Of one hour, each with so many names."""
_SWEEP_CONCURRENCY = 8
_DAY_S = 86_400
_TAG = tag(CONTAINER)
_SCHEMA = "1"


def container(account: Account | None) -> Blobs | None:
    """The container for speech, None without a storage account."""
    return None if account is None else AzureBlobs(account, CONTAINER)


@dataclass(frozen=True, slots=True)
class Kept:
    """Audio that is kept: its id, and its bytes or a part of them, whose first piece is here."""

    id: str
    blob: StoredBlob


class Recording:
    """Speech on its way to a client and into storage. `content_type` is set before its end."""

    def __init__(self, id: str, name: str) -> None:
        self.id = id
        self.name = name
        self.content_type = "application/octet-stream"
        self.recorder: Recorder


class SpeechStore:
    """What is kept of speech. `blobs` None, or 0 `retention_days`, keeps nothing. `clock` gives unix seconds."""

    def __init__(
        self,
        blobs: Blobs | None,
        supervisor: Supervisor,
        clock: Callable[[], float],
        retention_days: int,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._blobs = blobs if retention_days > 0 else None
        self._supervisor = supervisor
        self._clock = clock
        self._days = retention_days
        self._random_bytes = random_bytes
        self._budget = Budget()
        self._readers = 0
        self._said = False

    def record(self, seal: Seal, key: str | None = None) -> Recording | None:
        """A recording for the seal's owner, findable by `key` once it is kept; None when nothing is kept here."""
        if self._blobs is None:
            self._say_once()
            return None
        blobs, now = self._blobs, self._clock()
        owner, salt = seal.owner.hex(), self._random_bytes(10).hex()
        name = f"{_day(_ordinal(now) + self._days + 1)}/{owner}/{salt}"
        recording = Recording(seal.id(ID_PREFIX + name, _TAG), name)
        metadata = {"v": _SCHEMA, "created": str(int(now))}

        def about() -> About:
            return About(recording.content_type, metadata)

        async def point() -> None:
            await blobs.put(
                self._pointer(owner, str(key), self._period(now)), name.encode(), About("text/plain", metadata)
            )

        recording.recorder = Recorder(
            blobs, name, salt, self._supervisor, self._budget, about, point if key is not None else None
        )
        return recording

    async def find(self, seal: Seal, key: str) -> Kept | None:
        """What answered the same request of this owner before. Storage that is slow or fails has nothing."""
        if self._blobs is None or self._readers >= READERS_MAX:
            return None
        period = self._period(self._clock())
        owner = seal.owner.hex()
        try:
            async with asyncio.timeout(LOOKUP_S):
                names = [self._pointer(owner, key, one) for one in (period, period - 1)]
                for pointer in await asyncio.gather(*(self._blobs.open(name) for name in names)):
                    kept = await self._pointed(pointer, seal)
                    if kept is not None:
                        return kept
        except (TimeoutError, SpillwayError) as error:
            log.warning("stored speech was not looked for: storage does not answer (%s)", type(error).__name__)
        return None

    async def open(self, seal: Seal, our_id: str, start: int = 0, length: int | None = None) -> Kept:
        """The audio of an id, or the part of it that Blobs.open would give. Raises NotFound for an id that is not this
        caller's or is no more, Unavailable when too much is being read, or StorageFailed."""
        if self._readers >= READERS_MAX:
            raise Unavailable("Too much stored speech is being read on this instance.", retry_after_ms=1000)
        opened = seal.open_id(our_id)
        if opened is not None and opened.resource == _TAG and opened.upstream.startswith(ID_PREFIX):
            blob = await self._fresh(opened.upstream.removeprefix(ID_PREFIX), start, length)
            if blob is not None:
                return Kept(our_id, blob)
        raise NotFound("No speech found with this id, or it is no longer kept.", param="id")

    async def chunks(self, kept: Kept) -> AsyncIterator[bytes]:
        """The audio's bytes, once. Raises StorageFailed."""
        self._readers += 1
        try:
            async for piece in kept.blob.chunks():
                yield piece
        finally:
            self._readers -= 1

    async def sweep(self) -> int:
        """Deletes what is no longer kept, at most SWEEP_NAMES_MAX blobs; tells how many. Raises StorageFailed."""
        if self._blobs is None:
            return 0
        today = _day(_ordinal(self._clock()))
        due = [name for name in await self._blobs.first_names(SWEEP_NAMES_MAX) if name.partition("/")[0] <= today]
        for start in range(0, len(due), _SWEEP_CONCURRENCY):
            batch: list[Awaitable[None]] = [
                self._blobs.delete(name) for name in due[start : start + _SWEEP_CONCURRENCY]
            ]
            await asyncio.gather(*batch)
        return len(due)

    async def sweep_hourly(self) -> int:
        """Deletes what is no longer kept, in one minute of every hour; tells how much. Raises StorageFailed."""
        if int(self._clock() // 60) % 60 != SWEEP_MINUTE:
            return 0
        count = 0
        for _ in range(SWEEPS_MAX):
            some = await self.sweep()
            count += some
            if some < SWEEP_NAMES_MAX:
                break
        return count

    async def close(self) -> None:
        """Lets the storage account's connections go."""
        if self._blobs is not None:
            await self._blobs.close()

    async def _pointed(self, pointer: StoredBlob | None, seal: Seal) -> Kept | None:
        if pointer is None:
            return None
        name = b"".join([piece async for piece in pointer.chunks()]).decode()
        blob = await self._fresh(name)
        return None if blob is None else Kept(seal.id(ID_PREFIX + name, _TAG), blob)

    async def _fresh(self, name: str, start: int = 0, length: int | None = None) -> StoredBlob | None:
        """The audio of this name, unless it is older than what is kept."""
        blob = None if self._blobs is None else await self._blobs.open(name, start, length)
        created = "" if blob is None else blob.about.metadata.get("created", "")
        fresh = created.isdecimal() and self._clock() < int(created) + self._days * _DAY_S
        return blob if fresh else None

    def _pointer(self, owner: str, key: str, period: int) -> str:
        """Audio of one period may be kept until the end of the next; a request looks into the two latest."""
        return f"{_day((period + 2) * self._days)}/{owner}/key-{key}"

    def _period(self, now: float) -> int:
        return _ordinal(now) // self._days

    def _say_once(self) -> None:
        if not self._said:
            self._said = True
            log.info("speech is not kept: there is no storage account, or speech_retention_days is 0")


def _ordinal(now: float) -> int:
    return datetime.fromtimestamp(now, UTC).toordinal()


def _day(ordinal: int) -> str:
    return date.fromordinal(ordinal).strftime("%Y%m%d")
