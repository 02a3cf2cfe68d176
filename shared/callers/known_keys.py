"""What this instance knows of the keys that it is asked with: a short memory in front of the table.

    without a note since      taken as it is, up to key_changes.TRUSTED_S; read again meanwhile from REREAD_S on
    younger than FRESH_S      taken as it is
    younger than STALE_S      taken as it is, and read again meanwhile
    older                     read again first; where storage does not answer, taken as it is until LAST_S

The notes of key_changes.py name the keys that are being changed; where they cannot be seen, every key is read. So a
key that is blocked stops within STALE_S and one read on every instance, and a key in use waits for no storage. A key
that does not exist is remembered as well; without an answer it is no 401 but a 503. One read a key at a time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass

from shared.callers.virtual_key import VirtualKey
from shared.errors import SpillwayError, StorageFailed
from shared.supervisor import Supervisor

FRESH_S = 2.0
STALE_S = 4.0
REREAD_S = 600.0
LAST_S = 900.0
"""In an outage a key that was known is taken so long for what it was."""
WAIT_KNOWN_S = 0.5
WAIT_UNKNOWN_S = 10.0
"""Table Storage may be silent for some seconds, when it moves a partition: a late answer is better than a 503 then."""
PAUSE_S = 1.0
"""Between two reads of a key that storage did not answer."""
KEYS_MAX = 10_000
READS_MAX, TURNS_MAX = 200, 2000
"""Of keys that are not known here so many are read at once, and so many more wait for their turn."""
Find = Callable[[str, VirtualKey | None], Awaitable[VirtualKey | None]]
"""Reads the key with a hash; given what it was when it was known before. Raises StorageFailed."""


@dataclass(slots=True)
class _Known:
    """`key` None: there was none. `at`: when its read began, `failed_at`: when a later one failed."""

    key: VirtualKey | None
    at: float
    failed_at: float = float("-inf")


class KnownKeys:
    """`now` is a clock in seconds that goes forward. `settled` says whether a key, by its id, is still what was read of
    it then."""

    def __init__(
        self,
        find: Find,
        supervisor: Supervisor,
        now: Callable[[], float],
        settled: Callable[[str, float], bool] = lambda key_id, read_at: False,
        *,
        reads_max: int = READS_MAX,
        turns_max: int = TURNS_MAX,
    ) -> None:
        self._find = find
        self._settled = settled
        self._supervisor = supervisor
        self._now = now
        self._turn = asyncio.Semaphore(reads_max)
        self._reads_max = reads_max + turns_max
        self._keys: OrderedDict[str, _Known] = OrderedDict()
        self._unknown: OrderedDict[str, _Known] = OrderedDict()
        self._reads: dict[str, asyncio.Task[bool]] = {}

    async def get(self, hash: str) -> VirtualKey | None:
        """The key with this hash, None when there is none. Raises StorageFailed where nobody can tell."""
        known = self._known(hash)
        age = float("inf") if known is None else self._now() - known.at
        if known is not None and known.key is not None and self._settled(known.key.key_id, known.at):
            if age >= REREAD_S and self._now() - known.failed_at >= PAUSE_S:
                self._begin(hash, known)
            return known.key
        if known is None or age >= STALE_S:
            known = await self._read_first(hash, known)
        elif age >= FRESH_S and self._now() - known.failed_at >= PAUSE_S:
            self._begin(hash, known)
        return known.key

    def forget(self, hash: str) -> None:
        """The key was changed here: what is being read of it may be what it was before."""
        self._keys.pop(hash, None)
        self._unknown.pop(hash, None)
        self._reads.pop(hash, None)

    async def _read_first(self, hash: str, known: _Known | None) -> _Known:
        serves = known is not None and known.key is not None and self._now() - known.at < LAST_S
        if known is not None and serves and self._now() - known.failed_at < PAUSE_S:
            return known
        for _ in range(2):  # what is read while the key is changed here counts for nothing
            read = self._begin(hash, known)
            if read is not None:
                await asyncio.wait({read}, timeout=WAIT_KNOWN_S if serves else WAIT_UNKNOWN_S)
            found = self._known(hash)
            if found is not None and (self._now() - found.at < STALE_S or (serves and found.key is not None)):
                return found
            if read is None or not read.done() or read.cancelled() or not read.result():
                break
        raise StorageFailed("The key cannot be checked: the storage account does not answer.", retry_after_ms=1000)

    def _begin(self, hash: str, known: _Known | None) -> asyncio.Task[bool] | None:
        """The read of this key that is under way; None when there are too many of keys that nobody knows."""
        read = self._reads.get(hash)
        if read is None and (len(self._reads) < self._reads_max or hash in self._keys):
            try:
                read = self._supervisor.start(self._read(hash, known), "key")
            except SpillwayError:
                return None
            self._reads[hash] = read
        return read

    async def _read(self, hash: str, known: _Known | None) -> bool:
        """Whether storage answered."""
        own = asyncio.current_task()
        try:
            async with nullcontext() if hash in self._keys else self._turn:
                began = self._now()
                key = await self._find(hash, known.key if known is not None else None)
        except StorageFailed:
            if known is not None:
                known.failed_at = self._now()
            return False
        else:
            if self._reads.get(hash) is own:
                self._keep(hash, _Known(key, began))
            return True
        finally:
            if self._reads.get(hash) is own:
                del self._reads[hash]

    def _keep(self, hash: str, known: _Known) -> None:
        place, other = (self._unknown, self._keys) if known.key is None else (self._keys, self._unknown)
        other.pop(hash, None)
        place[hash] = known
        place.move_to_end(hash)
        if len(place) > KEYS_MAX:
            place.popitem(last=False)

    def _known(self, hash: str) -> _Known | None:
        known = self._keys.get(hash)
        if known is not None:
            self._keys.move_to_end(hash)
            return known
        return self._unknown.get(hash)
