"""One key's limits on one instance: its share of the key's row, asked for when a call needs more than is there.

A call that finds enough waits for nothing. Else one write at a time asks for all who wait, and for as much as the next
seconds will probably take. What is not needed goes back: soon where little is left for others, all of it after IDLE_S.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.callers.holding import Holding, Proposal
from shared.callers.key_store import shares_place
from shared.callers.presence import Presence
from shared.callers.shares import BUCKET_S, EMPTY, PART, Amounts, Pot, Shares, packed, pots_of, unpacked
from shared.callers.virtual_key import VirtualKey
from shared.errors import SpillwayError, StorageFailed
from shared.storage.tables import Row, Table
from shared.supervisor import Supervisor

ANSWER_S = 3.0
"""A row that is not written in this time is not waited for."""
TRIES = 20
PAUSE_S = 0.02
"""Between two tries, when others write the row as well; longer with each, and never the same."""
RENEW_S = 20.0
TELL_S = 1.0
"""What was spent without a lease is told so soon, where nothing limits it."""
SLACK_S = 0.25
IDLE_S = 5.0
AHEAD_S = 5.0
"""For so long what an instance asks for should be enough."""
FIRST_AHEAD = 4
"""An instance that has not spent anything yet asks for so many times its need."""
PROPERTY_BYTES, PROPERTIES_MAX = 60_000, 8
Read = Callable[[], float]


def desk(table: Table, instance: str, supervisor: Supervisor, clock: Read, now: Read) -> Desk:
    """The desk of an instance."""
    return Desk(table, instance, supervisor, clock, now, Presence(table, instance, clock, now))


@dataclass(frozen=True, slots=True)
class Desk:
    """What every wallet of an instance shares. `clock` gives seconds since 1970, `now` goes forward."""

    table: Table
    instance: str
    supervisor: Supervisor
    clock: Read
    now: Read
    presence: Presence


@dataclass(slots=True)
class Wallet:
    """`key` is as it was last known. `calls`: those under way. `seen`: the row as it was last read or written.
    `rests_until`: nothing is due before, whatever calls come."""

    key: VirtualKey
    desk: Desk
    holding: Holding = field(init=False)
    calls: int = 0
    seen: Shares = EMPTY
    seen_at: float = float("-inf")
    touched_at: float = field(init=False)
    failed_at: float = float("-inf")
    renew_s: float = RENEW_S
    idle_s: float = IDLE_S
    rests_until: float = float("-inf")
    _waiting: dict[object, Amounts] = field(default_factory=dict)
    _taken: dict[str, int] = field(default_factory=dict)
    _asked_at: float = float("-inf")
    _began: int = 0
    _ended: int = 0
    _write: asyncio.Task[SpillwayError | None] | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _pots_of: VirtualKey | None = None
    _pots: Mapping[str, Pot] = field(default_factory=dict)
    _pots_from: float = 0.0
    _pots_until: float = 0.0

    def __post_init__(self) -> None:
        self.holding = Holding(self.desk.instance, self.desk.clock())
        self.touched_at = self.desk.now()

    @property
    def pots(self) -> Mapping[str, Pot]:
        """The limits of the key as they are now."""
        clock = self.desk.clock()
        if self.key is not self._pots_of or not self._pots_from <= clock < self._pots_until:
            ends_at = self.key.period(clock).ends_at
            self._pots_of, self._pots, self._pots_from = self.key, pots_of(self.key, clock), clock
            self._pots_until = min((clock // BUCKET_S + 1) * BUCKET_S, ends_at or float("inf"))
        return self._pots

    def usable(self, name: str) -> int:
        """What can be had there without asking."""
        return self.holding.usable(name, self.pots[name], self.desk.clock())

    def take(self, needs: Amounts) -> None:
        """Sets it aside, whether or not it is there."""
        self.touched_at = self.desk.now()
        for name, amount in needs.items():
            self.holding.take(name, amount)
            self._taken[name] = self._taken.get(name, 0) + amount

    def spend(self, name: str, amount: int, bucket: int) -> None:
        """Takes what is spent by being asked for."""
        self.take({name: amount})
        self.holding.settle(name, amount, amount, bucket)

    def settle(self, name: str, amount: int, spent: int, bucket: int) -> None:
        """What was set aside for a call has come to this."""
        self.touched_at = self.desk.now()
        self.holding.settle(name, amount, spent, bucket)
        self._changed.set()

    def correct(self, name: str, by: int, bucket: int) -> None:
        """What was spent was more, or less; nothing when that counts no more."""
        pot = self.pots.get(name)
        if by and pot is not None and bucket >= pot.first:
            self.holding.correct(name, by, bucket)
            self._changed.set()

    async def have(self, needs: Amounts) -> bool:
        """Sees to it that all of it can be had, and asks the row where it must; whoever gets True takes it at once.

        Raises StorageFailed.
        """
        if self._fits(needs):
            return True
        me = object()
        self._waiting[me] = needs
        try:
            began = self._began
            while self._ended <= began:  # only what is asked from now on knows of this need
                failure = await asyncio.shield(self._writing())
                if self._fits(needs):
                    return True
                if failure is not None:
                    raise failure
        finally:
            del self._waiting[me]
        return False

    async def change(self, seconds: float) -> None:
        """Waits until something is settled here, at most so long."""
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def spent(self, name: str) -> int:
        """What is known to be spent: what the others have told, and what was spent here."""
        pot = self.pots[name]
        own = self.holding.spent.get(name, {})
        mine = sum(amount for bucket, amount in own.items() if bucket >= pot.first)
        return self.seen.without(self.desk.instance).spent(name, pot) + mine

    def due(self) -> bool:
        """Whether the row should be written, although no call asks for it."""
        now, holding = self.desk.now(), self.holding
        if self._write is not None or now - self.failed_at < TELL_S or self.gone:
            return False
        if not holding.leased:
            return now - self._asked_at >= TELL_S
        quiet_s = now - self.touched_at
        if self.desk.clock() - holding.renewed_at >= self.renew_s or (quiet_s >= self.idle_s and not self.calls):
            return True
        return quiet_s >= SLACK_S and now - self._asked_at >= SLACK_S and self._hoards()

    async def keep(self) -> None:
        """Renews the lease, or gives back what is not needed. Raises Unavailable when no task can be had."""
        await asyncio.shield(self._writing())

    @property
    def writing(self) -> bool:
        return self._write is not None

    @property
    def gone(self) -> bool:
        """Whether there is nothing left to do."""
        return not self.calls and not self._waiting and self.holding.empty and self._write is None

    def _fits(self, needs: Amounts) -> bool:
        return self.holding.fits(self.pots, needs, self.desk.clock())

    def _hoards(self) -> bool:
        """Whether something is free here, of which little is left for the others."""
        clock = self.desk.clock()
        for name, pot in self.pots.items():
            free = self.holding.free.get(name, 0)
            if pot.limit is not None and free > 0:
                left = pot.limit - self.spent(name) - self.seen.held(name, pot, clock)
                if left < PART * free:
                    return True
        return False

    def _writing(self) -> asyncio.Task[SpillwayError | None]:
        """The write that is under way, or one that begins."""
        if self._write is None:
            self._write = self.desk.supervisor.start(self._run(), "key limits")
        return self._write

    async def _run(self) -> SpillwayError | None:
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._written()
        except (SpillwayError, TimeoutError) as error:
            self.failed_at = self.desk.now()
            told = "The limits of this key cannot be checked: the storage account does not answer."
            failure = StorageFailed(told, retry_after_ms=1000)
            failure.__cause__ = error
            return failure
        finally:
            self._ended = self._began
            self._write = None
            self._changed.set()
        return None

    async def _written(self) -> None:
        """Reads the row and puts another in its place, until nobody comes between. Raises StorageFailed."""
        await self.desk.presence.announce()
        table, key_id = self.desk.table, self.key.key_id
        for number in range(TRIES):
            row = await table.get(shares_place(key_id), key_id)
            shares = EMPTY if row is None else read(row)
            proposal = self._proposal(shares)
            nothing = row is None and proposal.shares == EMPTY  # of a key that was deleted
            if nothing:
                self.holding.accept(proposal, self.desk.clock())
            if nothing or (row is not None and self._stands(shares, proposal)):
                self.seen, self.seen_at = shares, self.desk.now()
                return
            new = written(key_id, proposal.shares)
            if row is None:
                done = await table.insert(new)
            else:
                done = await table.swap(new, row.etag) is not None
            if done:
                self.holding.accept(proposal, self.desk.clock())
                self.seen, self.seen_at = proposal.shares, self.desk.now()
                return
            await asyncio.sleep(PAUSE_S * (number + 1) * random.random())  # noqa: S311 - no secret
        raise StorageFailed("The row is being written all the time.")

    def _proposal(self, shares: Shares) -> Proposal:
        clock, now = self.desk.clock(), self.desk.now()
        pots = self.pots
        self._began += 1
        quiet_s = now - self.touched_at
        needs: dict[str, int] = {}
        for one in self._waiting.values():
            for name, amount in one.items():
                needs[name] = needs.get(name, 0) + amount
        if quiet_s >= self.idle_s and not needs and not self.calls and self.holding.leased:
            return self.holding.propose_leaving(shares, pots, clock)
        passed_s = max(now - self._asked_at, SLACK_S)
        more = {name: int(taken * AHEAD_S / passed_s) for name, taken in self._taken.items()}
        for name, amount in needs.items():
            more[name] = max(more.get(name, 0), 0 if name in self._taken else FIRST_AHEAD * amount)
        self._taken, self._asked_at = {}, now
        return self.holding.propose(shares, pots, needs, more if needs or quiet_s < SLACK_S else {}, clock)

    def _stands(self, shares: Shares, proposal: Proposal) -> bool:
        """Whether the row says already what would be written, and lately enough."""
        known, new = shares.leases.get(self.desk.instance), proposal.shares.leases.get(self.desk.instance)
        if known is None or new is None or proposal.leaves:
            return False
        if (known.held, known.spent) != (new.held, new.spent) or new.at - known.at >= RENEW_S / 2:
            return False
        renewed_at = max(self.holding.renewed_at, known.at)
        self.holding.accept(proposal, new.at)
        self.holding.renewed_at = renewed_at
        return True


def read(row: Row) -> Shares:
    """What the row says."""
    parts = (row.properties.get(f"p{number}", b"") for number in range(PROPERTIES_MAX))
    return unpacked(b"".join(part for part in parts if isinstance(part, bytes)))


def written(key_id: str, shares: Shares) -> Row:
    """The row that says it. Raises StorageFailed when too many instances share the key."""
    raw = packed(shares)
    parts = [raw[start : start + PROPERTY_BYTES] for start in range(0, len(raw), PROPERTY_BYTES)]
    if len(parts) > PROPERTIES_MAX:
        raise StorageFailed("Too many instances share the limits of this key.", retry_after_ms=1000)
    return Row(shares_place(key_id), key_id, {f"p{number}": part for number, part in enumerate(parts)})
