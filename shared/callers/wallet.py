"""One key's limits on one instance: its share of the key's row, asked for when a call needs more than is there.

A call that finds enough waits for nothing. Else one write at a time asks for all who wait, and for as much as the next
seconds will probably take. What is not needed goes back: soon where little is left for others, all of it after IDLE_S.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from shared.callers.desk import Desk
from shared.callers.holding import Holding, Proposal
from shared.callers.key_store import shares_place
from shared.callers.shares import EMPTY, PART, Amounts, CurrentPots, Pot, Shares
from shared.callers.shares_row import read, written
from shared.callers.virtual_key import VirtualKey
from shared.errors import SpillwayError, StorageFailed

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
LEAVE_WRITES = 3  # one that is under way, a lease for what was spent without, and its end


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
    _etag: str = ""
    """Of the row that was `seen`, where it may still be that."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _pots: CurrentPots = field(default_factory=CurrentPots)

    def __post_init__(self) -> None:
        self.holding = Holding(self.desk.instance, self.desk.clock())
        self.touched_at = self.desk.now()

    @property
    def pots(self) -> Mapping[str, Pot]:
        """The limits of the key as they are now."""
        return self._pots.of(self.key, self.desk.clock())

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
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

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

    def rest_s(self) -> float:
        """For how long nothing is due of a key without limits, whatever calls come."""
        renewed_s, quiet_s = self.desk.clock() - self.holding.renewed_at, self.desk.now() - self.touched_at
        return min(self.renew_s - renewed_s, self.idle_s - quiet_s) if self.holding.leased and not self.writing else 0.0

    @property
    def idle(self) -> bool:
        """Whether no call has to do with it."""
        return not self.calls and not self._waiting

    async def leave(self) -> None:
        """Tells what was spent and gives back what is held, so that it is `gone`, unless a call comes between. Raises
        StorageFailed, and Unavailable when no task can be had."""
        idle_s, self.idle_s = self.idle_s, 0.0
        try:
            for _ in range(LEAVE_WRITES):
                if not self.idle or self.gone:
                    break
                failure = await asyncio.shield(self._writing())
                if failure is not None:
                    raise failure
        finally:
            self.idle_s, self.rests_until = idle_s, float("-inf")

    async def keep(self) -> None:
        """Renews the lease, or gives back what is not needed. Raises Unavailable when no task can be had."""
        await asyncio.shield(self._writing())

    @property
    def writing(self) -> bool:
        return self._write is not None

    @property
    def gone(self) -> bool:
        """Whether there is nothing left to do."""
        return self.idle and self.holding.empty and self._write is None

    def _fits(self, needs: Amounts) -> bool:
        return self.holding.fits(self.pots, needs, self.desk.clock())

    def _hoards(self) -> bool:
        """Whether something is free here, of which little is left for the others."""
        clock = self.desk.clock()
        for name, pot in self.pots.items():
            free, limit, held = self.holding.free.get(name, 0), pot.limit, self.seen.held
            if limit is not None and free > 0 and limit - self.spent(name) - held(name, pot, clock) < PART * free:
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
        if await self._written_again():
            return
        for number in range(TRIES):
            row = await table.get(shares_place(key_id), key_id)
            shares = EMPTY if row is None else read(row)
            proposal = self._proposal(shares)
            nothing = row is None and proposal.shares == EMPTY  # of a key that was deleted
            if nothing:
                self.holding.accept(proposal, self.desk.clock())
            if nothing or (row is not None and self._stands(shares, proposal)):
                self.saw(shares, "" if row is None else row.etag)
                return
            new = written(key_id, proposal.shares)
            etag = await (table.insert(new) if row is None else table.swap(new, row.etag))
            if etag is not None:
                self._accept(proposal, etag)
                return
            await asyncio.sleep(PAUSE_S * (number + 1) * random.random())  # noqa: S311 - no secret
        raise StorageFailed("The row is being written all the time.")

    async def _written_again(self) -> bool:
        """Renews the lease, or ends it, in the row as it was last read or written; its ETag tells whether it still is.
        Not where a call waits, or where others have a lease and may have written it. Raises StorageFailed."""
        etag, self._etag = self._etag, ""
        due = self._leaves() or self.desk.clock() - self.holding.renewed_at >= RENEW_S / 2
        if not etag or self._waiting or not due or self.seen.leases.keys() != {self.desk.instance}:
            return False
        proposal = self._proposal(self.seen)
        new = await self.desk.table.swap(written(self.key.key_id, proposal.shares), etag)
        if new is not None:
            self._accept(proposal, new)
        return new is not None

    def saw(self, shares: Shares, etag: str) -> None:
        """The row was read, or written."""
        self.seen, self.seen_at, self._etag = shares, self.desk.now(), etag

    def _accept(self, proposal: Proposal, etag: str) -> None:
        self.holding.accept(proposal, self.desk.clock())
        self.saw(proposal.shares, etag)

    def _proposal(self, shares: Shares) -> Proposal:
        clock, now = self.desk.clock(), self.desk.now()
        pots = self.pots
        self._began += 1
        if self._leaves():
            return self.holding.propose_leaving(shares, pots, clock)
        needs: dict[str, int] = {}
        for one in self._waiting.values():
            for name, amount in one.items():
                needs[name] = needs.get(name, 0) + amount
        passed_s, busy = max(now - self._asked_at, SLACK_S), now - self.touched_at < SLACK_S
        more = {name: int(taken * AHEAD_S / passed_s) for name, taken in self._taken.items()}
        for name, amount in needs.items():
            more[name] = max(more.get(name, 0), 0 if name in self._taken else FIRST_AHEAD * amount)
        self._taken, self._asked_at = {}, now
        return self.holding.propose(shares, pots, needs, more if needs or busy else {}, clock)

    def _leaves(self) -> bool:
        """Whether the lease is to be ended."""
        return self.idle and self.holding.leased and self.desk.now() - self.touched_at >= self.idle_s

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
