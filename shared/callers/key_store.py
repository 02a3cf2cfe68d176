"""The keys of the table `spillwaykeys`; nothing in it is a key.

key_{x}       {key_id}     the key's own row: what it may do, and the SHA-256 of the key that works
hash_{x}      {SHA-256}    which key_id a key belongs to; x is the first hex digit of the id or of the hash
alias         {alias}      which key_id has that name
changing      {key_id}.…   which keys are about to be changed: key_changes.py
holders       {instance}   which instances hold shares of limits: presence.py
shares_{x}    {key_id}     what is spent and held of its limits: shares.py

A key works when its hash leads to a row that names the same hash. So a row of `hash` alone lets nobody in, and every
change is one write of the key's own row; what is written before it and removed after it may be left behind by a kill,
and the same request, sent again, goes on from there.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from shared.callers import virtual_key
from shared.callers.key_changes import announce
from shared.callers.virtual_key import VirtualKey, hash_of, hint_of
from shared.errors import BadRequest, NotFound, StorageFailed
from shared.storage.tables import Row, Table, escaped

TABLE = "spillwaykeys"
ALIASES = "alias"
KEY_BYTES = 32
TRIES = 10
CLAIM_S = 60.0
"""A name that was taken so lately may be that of a key whose own row is about to be written."""
Change = Callable[[VirtualKey], VirtualKey]
_KEY_ID = re.compile(r"key_[0-9a-f]{24}")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Kept:
    """A key as its row has it, with the row's ETag."""

    key: VirtualKey
    etag: str


class KeyStore:
    """The keys of one storage account. Every method raises StorageFailed; a change may then have been made."""

    def __init__(self, table: Table, clock: Callable[[], float], random_bytes: Callable[[int], bytes]) -> None:
        self._table = table
        self._clock = clock
        self._random_bytes = random_bytes

    async def find(self, hash: str) -> VirtualKey | None:
        """The key with this hash, None when none works by it."""
        key_id = await self._id_of(hash)
        return None if key_id is None else await self.check(key_id, hash)

    async def check(self, key_id: str, hash: str) -> VirtualKey | None:
        """The key with this id, None when it does not work by this hash any more."""
        kept = await self._kept(key_id)
        return kept.key if kept is not None and kept.key.hash == hash else None

    async def get(self, key_id: str) -> VirtualKey:
        """The key with this id. Raises NotFound."""
        kept = await self._kept(key_id)
        if kept is None:
            raise unknown_key()
        return kept.key

    async def id_of(self, named: str) -> str:
        """The id of the key that is named by itself, by its hash or by its id. Raises NotFound."""
        if _KEY_ID.fullmatch(named):
            return named
        hash = named if _HASH.fullmatch(named) else hash_of(named) if virtual_key.may_be_key(named) else None
        found = None if hash is None else await self.find(hash)
        if found is None:
            raise unknown_key()
        return found.key_id

    async def id_of_alias(self, alias: str) -> str:
        """The id of the key with this name. Raises NotFound."""
        row = await self._table.get(ALIASES, escaped(alias))
        kept = None if row is None else await self._kept(str(row.properties["key_id"]))
        if kept is None or kept.key.alias != alias:
            raise NotFound("There is no key with this alias.", param="key_alias", code="key_not_found")
        return kept.key.key_id

    async def page(self, count: int, after: str = "") -> list[VirtualKey]:
        """The first keys by their id, at most `count`, those after the id `after`."""
        behind = (_key_place(after), after) if after else None
        return [_kept(row).key for row in await self._table.scan("key_", "key`", count, after=behind)]

    async def create(self, draft: VirtualKey, key: str | None) -> tuple[str, VirtualKey]:
        """Makes a key of the draft, whose id, hash and hint are set here; `key` None: a random one.

        The same call again, with the same `key`, goes on where the first was cut. Raises BadRequest.
        """
        secret = key or self._new_secret()
        made = await self._claimed(draft, secret)
        if made.alias:
            await self._claim_alias(made.alias, made.key_id)
        if not await self._table.insert(_row(made)):
            kept = await self._kept(made.key_id)  # this very write, or another request with the same key
            if kept is None or kept.key != made:
                raise BadRequest("A key like this one exists already.", param="key", code="key_exists")
        return secret, made

    async def change(self, key_id: str, change: Change) -> VirtualKey:
        """Changes a key; `change` may be called more than once. Raises NotFound, and what `change` raises."""
        for _ in range(TRIES):
            kept = await self._kept(key_id)
            if kept is None:
                raise unknown_key()
            new = replace(change(kept.key), key_id=key_id, updated_at=self._clock())
            if new.alias and new.alias != kept.key.alias:
                await self._claim_alias(new.alias, key_id)
            await self._announce(key_id)
            if await self._table.swap(_row(new), kept.etag) is None:
                continue
            if kept.key.alias and new.alias != kept.key.alias:
                await self._free_alias(kept.key.alias, key_id)
            return new
        raise StorageFailed("The key is being changed all the time; try again.", retry_after_ms=1000)

    async def regenerate(self, key_id: str, key: str | None, change: Change) -> tuple[str, VirtualKey, str]:
        """Another key for the same id: the key, its row, and the hash that works no more. Raises NotFound, BadRequest.

        The old key works until the new one does.
        """
        secret = key or self._new_secret()
        hash = hash_of(secret)
        await self.get(key_id)
        if not await self._table.insert(_hash_row(hash, key_id)) and await self._id_of(hash) != key_id:
            raise BadRequest("A key like this one exists already.", param="new_key", code="key_exists")
        old = hash

        def renewed(known: VirtualKey) -> VirtualKey:
            nonlocal old
            old = known.hash if known.hash != hash else old
            return replace(change(known), hash=hash, hint=hint_of(secret))

        new = await self.change(key_id, renewed)
        if old != hash:
            await self._table.remove(_hash_place(old), old)
        return secret, new, old

    async def delete(self, key_id: str) -> VirtualKey:
        """Removes a key, which works no more. Raises NotFound."""
        key = await self.get(key_id)
        if key.alias:  # while the key's own row has it, nobody else can have it
            await self._free_alias(key.alias, key_id)
        await self._announce(key_id)
        await self._table.remove(_key_place(key_id), key_id)
        await self._table.remove(_hash_place(key.hash), key.hash)
        await self._table.remove(shares_place(key_id), key_id)
        return key

    async def close(self) -> None:
        """Lets the storage account go."""
        await self._table.close()

    async def _claimed(self, draft: VirtualKey, secret: str) -> VirtualKey:
        """The draft with an id that the secret's hash leads to. Raises BadRequest."""
        hash = hash_of(secret)
        key_id = f"key_{self._random_bytes(12).hex()}"
        if not await self._table.insert(_hash_row(hash, key_id)):
            key_id = await self._id_of(hash) or key_id  # left behind by a call that was cut
            kept = await self._kept(key_id)
            if kept is not None:
                raise BadRequest("A key like this one exists already.", param="key", code="key_exists")
        return replace(draft, key_id=key_id, hash=hash, hint=hint_of(secret))

    async def _claim_alias(self, alias: str, key_id: str) -> None:
        """Takes a name for a key. Raises BadRequest when another key has it."""
        claim = Row(ALIASES, escaped(alias), {"key_id": key_id, "at": self._clock()})
        for _ in range(TRIES):
            if await self._table.insert(claim):
                return
            held = await self._table.get(ALIASES, claim.key)
            if held is None:
                continue
            holder = str(held.properties["key_id"])
            if holder != key_id:
                other = await self._kept(holder)
                lately = self._clock() - float(held.properties["at"]) < CLAIM_S
                if lately or (other is not None and other.key.alias == alias):
                    raise BadRequest("Another key has this alias.", param="key_alias", code="alias_exists")
            if await self._table.swap(claim, held.etag) is not None:
                return
        raise StorageFailed("The alias is being taken all the time; try again.", retry_after_ms=1000)

    async def _free_alias(self, alias: str, key_id: str) -> None:
        held = await self._table.get(ALIASES, escaped(alias))
        if held is not None and held.properties["key_id"] == key_id:
            await self._table.remove(ALIASES, held.key)

    async def _announce(self, key_id: str) -> None:
        await announce(self._table, key_id, self._clock(), self._random_bytes)

    async def _id_of(self, hash: str) -> str | None:
        row = await self._table.get(_hash_place(hash), hash)
        return None if row is None else str(row.properties["key_id"])

    async def _kept(self, key_id: str) -> Kept | None:
        row = await self._table.get(_key_place(key_id), key_id)
        return None if row is None else _kept(row)

    def _new_secret(self) -> str:
        return virtual_key.KEY_PREFIX + base64.urlsafe_b64encode(self._random_bytes(KEY_BYTES)).rstrip(b"=").decode()


def unknown_key() -> NotFound:
    """The answer for a key that there is not, or that is nobody's business."""
    return NotFound("There is no such key.", param="key", code="key_not_found")


def _hash_place(hash: str) -> str:
    """The partition of a hash: one of 16, so that none is asked for everything."""
    return f"hash_{hash[0]}"


def shares_place(key_id: str) -> str:
    """The partition of what is spent and held of a key's limits."""
    return f"shares_{key_id[4:5]}"


def rows_of(key: VirtualKey) -> tuple[Row, Row]:
    """The rows that make a key work: the one that its hash leads to it by, and its own."""
    return _hash_row(key.hash, key.key_id), _row(key)


def _key_place(key_id: str) -> str:
    return key_id[:5]


def _hash_row(hash: str, key_id: str) -> Row:
    return Row(_hash_place(hash), hash, {"key_id": key_id})


def _row(key: VirtualKey) -> Row:
    return Row(_key_place(key.key_id), key.key_id, {"key": virtual_key.packed(key)})


def _kept(row: Row) -> Kept:
    raw = row.properties["key"]
    assert isinstance(raw, bytes)
    return Kept(virtual_key.unpacked(raw), row.etag)
